"""The generated part of a compiled model: its configuration and its layers, as Python source."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap

from autobertc.compiler.eager import Lowered, lower
from autobertc.compiler.fusion.fused_text import FusedText, fuse
from autobertc.compiler.rendering import render
from autobertc.dsl.architecture import Architecture, AttentionLayer, Sizes, print_architecture, safe_name
from autobertc.dsl.graph import Node, Program, print_program
from autobertc.dsl.ops.calculus import MissingKernel

HEADS = {
    "base": "AutobertcModel",
    "pre-training": "AutobertcForPreTraining",
    "masked-lm": "AutobertcForMaskedLM",
    "sequence-classification": "AutobertcForSequenceClassification",
    "token-classification": "AutobertcForTokenClassification",
    "question-answering": "AutobertcForQuestionAnswering",
    "multiple-choice": "AutobertcForMultipleChoice",
}
"""Class names by what they are for."""

BACKENDS = ("auto", "eager", "triton")
MAX_TITLE = 2_000
# Of values in a program that has kernels without being told to.
MAX_FUSED = 500


@dataclass(frozen=True)
class ModuleText:
    """The two generated files.

    Attributes:
        digest: a hash of the architecture, its name apart.
        configuration, modeling: the sources.
        kernels: the source of fused kernels, or None where there are none.
        programs: each distinct program, lowered, in order of its first layer.
        fused: those that have kernels, by the same names.
    """

    digest: str
    configuration: str
    modeling: str
    kernels: str | None
    programs: tuple[Lowered, ...]
    fused: Mapping[str, FusedText]


def _title(program: Program) -> str:
    """A program as the text of a docstring, 100 columns wide."""
    text = print_program(program).rstrip()
    if len(text) > MAX_TITLE:
        return f"A program of {sum(1 for _ in program.nodes())} values."
    lines = [part for line in text.splitlines() for part in wrap(line, 100, break_on_hyphens=False)]
    return lines[0] if len(lines) == 1 else "\n    ".join(["", *lines, ""])


def _uses(lowered: Lowered, library: str) -> bool:
    return re.search(rf"\b{library}\.", lowered.source) is not None


def configuration_fields(sizes: Sizes) -> dict[str, int | float | None]:
    """The header as the fields of a model's configuration."""
    return {
        "vocab_size": sizes.vocab,
        "hidden_size": sizes.hidden,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.intermediate,
        "embedding_size": sizes.embedding,
        "max_position_embeddings": sizes.max_length,
        "type_vocab_size": sizes.types,
        "hidden_dropout_prob": sizes.hidden_dropout,
        "attention_probs_dropout_prob": sizes.attention_dropout,
        "kernel_dropout_prob": sizes.kernel_dropout,
    }


def lower_programs(architecture: Architecture) -> Iterator[tuple[Node, Lowered]]:
    """Each distinct program's root, and the program lowered under the name attention_1, attention_2, ..."""
    sizes = architecture.sizes
    for number, program in enumerate(architecture.programs(), start=1):
        lowered = lower(program, f"attention_{number}", _title(program), sizes.max_length, sizes.head_dim)
        yield program.root, lowered


def kernels_text(programs: Sequence[FusedText], name: str) -> str:
    """The file of fused kernels."""
    source = "".join(program.source for program in programs)
    runtime = {"Direction", "Fused", *(word for word in ("LibraryCall", "Stage") if f"{word}(" in source)}
    runtime |= {function for program in programs for function in program.library}
    return render(
        "kernels.py.jinja",
        name=name,
        programs=programs,
        helpers=sorted({helper for program in programs for helper in program.helpers}),
        runtime=sorted(runtime),
        partial="partial(" in source,
        torch=re.search(r"\btorch\.", source) is not None,
    )


def fuse_programs(architecture: Architecture, backend: str) -> dict[str, FusedText]:
    """The kernels of each distinct program, by the names that `lower_programs` gives them.

    Under "auto" programs of a size that Triton takes minutes for are left out, and those with a primitive that has no
    kernel. Raises `MissingKernel` under "triton".
    """
    fused: dict[str, FusedText] = {}
    for number, program in enumerate(architecture.programs() if backend != "eager" else (), start=1):
        name = f"attention_{number}"
        if backend == "auto" and sum(1 for _ in program.nodes()) > MAX_FUSED:
            continue
        try:
            fused[name] = fuse(program, name)
        except MissingKernel:
            if backend == "triton":
                raise
    return fused


def module_text(architecture: Architecture, suffix: str | None = None, backend: str = "auto") -> ModuleText:
    """Generate the files of an architecture: configuration, layers, and kernels unless `backend` is "eager".

    `suffix` ends the names of the files' modules: "autobertc" in an emitted folder, by default; a model built in the
    process takes its hash, so that architectures do not meet in `sys.modules`. Raises as `fuse_programs` does.
    """
    digest = architecture.digest()
    programs = dict(lower_programs(architecture))
    layers = [
        {"type": "attention", "program": programs[layer.program.root].name}
        if isinstance(layer, AttentionLayer)
        else {"type": "convolution", "kernel_size": layer.kernel}
        for layer in architecture.layers
    ]
    name = safe_name(architecture.name)
    configuration = render(
        "configuration.py.jinja",
        name=name,
        genome=print_architecture(architecture, name),
        digest=digest,
        fields=configuration_fields(architecture.sizes),
        layers=[(json.dumps(layer), len(list(run))) for layer, run in groupby(layers)],
    )
    fused = fuse_programs(architecture, backend)
    modeling = render(
        "modeling.py.jinja",
        name=name,
        configuration_module=f"configuration_{suffix or 'autobertc'}",
        libraries={name for name in ("torch", "F") if any(_uses(lowered, name) for lowered in programs.values())},
        helpers=sorted({helper for lowered in programs.values() for helper in lowered.helpers}),
        programs=list(programs.values()),
        heads=[head.removeprefix("Autobertc") for head in HEADS.values() if head != HEADS["base"]],
        kernels=f"kernels_{suffix or 'autobertc'}" if fused else None,
        fused=fused,
    )
    kernels = kernels_text(list(fused.values()), name) if fused else None
    return ModuleText(digest, configuration, modeling, kernels, tuple(programs.values()), fused)
