"""What `autobertc inspect` tells: layers, types, parameters, operations and library calls of an architecture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from autobertc.compiler.canonical import canonicalise
from autobertc.compiler.fusion.accounting import Sizes, account
from autobertc.compiler.fusion.joint import plan_program
from autobertc.compiler.keys import keys
from autobertc.compiler.module_text import lower_programs
from autobertc.dsl.architecture import Architecture, AttentionLayer
from autobertc.dsl.graph import Node, Program, print_program
from autobertc.runtime.build import count_weights
from autobertc.runtime.flops import flops

DEFAULT_LENGTH = 128


def _part(name: str) -> str:
    """Which part of a base model a parameter belongs to."""
    if name.startswith("embeddings"):
        return "embeddings"
    if name.startswith("pooler"):
        return "pooler"
    # encoder.layer.N.<block>...
    block = name.split(".", 3)[3]
    if block.startswith(("attention.self.", "convolution.self.")):
        return "structure"
    if block.startswith(("attention.output.dense", "convolution.output.dense")):
        return "output_maps"
    if "LayerNorm" in block:
        return "layer_norms"
    return "feed_forward"


def count_parameters(architecture: Architecture) -> dict[str, int]:
    """Parameters of the base model with its pooler, by part, counted from its modules.

    `structure` is what the genome decides: the maps to Q, K, V and P, or to twice the width with the convolution
    kernels; the maps back, W_O, are `output_maps`. The vocabulary head of the pre-training models is tied to the
    embeddings and not counted again.
    """
    counts: Counter[str] = Counter()
    for name, count in count_weights(architecture, head="base"):
        counts[_part(name)] += count
    return {"total": sum(counts.values()), **dict(sorted(counts.items()))}


def _values(program: Program) -> list[dict[str, Any]]:
    """Every value of the program as written, with its type; operands by number."""
    numbers: dict[Node, int] = {}
    values = []
    for node in program.nodes():
        numbers[node] = len(numbers) + 1
        operands = [numbers[operand] for operand in node.operands]
        values.append({"number": numbers[node], "op": node.op.name, "operands": operands, "type": str(node.type)})
    return values


def inspect_plans(
    architecture: Architecture, length: int | None = None, names: Collection[str] | None = None
) -> dict[str, Any]:
    """The stages of each distinct program's fused kernels, ready for JSON: see `accounting.account`.

    `length` is the number of tokens that costs are for, by default the architecture's `max_length`; `names` those of
    the programs to tell of, by default all. Raises `MissingKernel`.
    """
    sizes = Sizes(length or architecture.sizes.max_length, architecture.sizes.head_dim)
    programs = []
    for number, program in enumerate(architecture.programs(), start=1):
        name = f"attention_{number}"
        if names is None or name in names:
            facts = account(plan_program(program), sizes)
            programs.append({"name": name, "source": print_program(program), "key": program.key, **facts})
    return {"name": architecture.name, "programs": programs}


def inspect(architecture: Architecture, length: int | None = None) -> dict[str, Any]:
    """Everything told of an architecture, ready for JSON.

    `length` is the sequence length that FLOPs are for, by default `DEFAULT_LENGTH` or what the model takes.
    Raises `ValueError` where `length` is longer than the model takes.
    """
    if length is None:
        length = min(DEFAULT_LENGTH, architecture.sizes.max_length)
    lowered = dict(lower_programs(architecture))
    names = {root: program.name for root, program in lowered.items()}
    layers: list[dict[str, Any]] = []
    used: dict[str, list[int]] = {}
    for number, layer in enumerate(architecture.layers, start=1):
        if isinstance(layer, AttentionLayer):
            name = names[layer.program.root]
            used.setdefault(name, []).append(number)
            inputs = list(layer.program.inputs)
            layers.append({"number": number, "type": "attention", "program": name, "inputs": inputs})
        else:
            layers.append({"number": number, "type": "convolution", "kernel_size": layer.kernel})
    programs = []
    for program in architecture.programs():
        name = names[program.root]
        programs.append(
            {
                "name": name,
                "layers": used[name],
                "inputs": list(program.inputs),
                "source": print_program(program),
                "canonical": print_program(canonicalise(program)),
                "mixes_tokens": program.root.mixes,
                "keys": asdict(keys(program)),
                "values": _values(program),
                "stages": [asdict(stage) for stage in lowered[program.root].stages],
            }
        )
    return {
        "name": architecture.name,
        "sizes": asdict(architecture.sizes) | {"head_dim": architecture.sizes.head_dim},
        "layers": layers,
        "programs": programs,
        "parameters": count_parameters(architecture),
        "flops": flops(architecture, length),
    }
