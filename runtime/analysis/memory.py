"""Peak memory of one forward pass. Run as a program it is the fresh process that measures on a CPU."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BertConfig, BertModel, ElectraConfig, ElectraModel

from autobertc.dsl.checker import check
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.source import Source
from autobertc.runtime.build import build


@dataclass(frozen=True)
class BertSizes:
    """A BERT of the library's; `embedding` is None where it is as wide as `hidden`."""

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocab: int
    positions: int
    embedding: int | None = None


def make_bert(sizes: BertSizes) -> Any:
    """The library's BERT, attention by PyTorch's own call. Narrow embeddings are ELECTRA's, the same layers after."""
    settings: dict[str, Any] = {
        "num_hidden_layers": sizes.layers,
        "hidden_size": sizes.hidden,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.intermediate,
        "vocab_size": sizes.vocab,
        "max_position_embeddings": sizes.positions,
        "attn_implementation": "sdpa",
    }
    if sizes.embedding is None:
        return BertModel(BertConfig(**settings)).eval()
    return ElectraModel(ElectraConfig(embedding_size=sizes.embedding, **settings)).eval()


def make_model(genome: str) -> Any:
    """The base model of an architecture's text."""
    architecture = check(parse_tree(Source("genome.abz", genome))).architecture
    return build(architecture, "base", "auto").eval()


@torch.inference_mode()
def forward(model: Any, inputs: Tensor) -> None:
    """One pass over token numbers `[batch, N]`."""
    model(input_ids=inputs)


def peak_here(what: str | BertSizes, batch: int, length: int) -> int:
    """Bytes of a model's weights and of what one forward pass adds to them at its peak, in this process."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = (make_model(what) if isinstance(what, str) else make_bert(what)).to(device)
    weights: int = sum(each.numel() * each.element_size() for each in (*model.parameters(), *model.buffers()))
    forward(model, torch.zeros(1, 8, dtype=torch.long, device=device))  # the library's own buffers
    inputs = torch.full((batch, length), 5, device=device)
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        forward(model, inputs)
        torch.cuda.synchronize()
        return weights + int(torch.cuda.max_memory_allocated()) - before
    return weights + resident_growth(lambda: forward(model, inputs))


def _kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def resident_growth(work: Callable[[], object]) -> int:
    """By how many bytes resident memory grows during a call, at most."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():  # not Linux: the peak of all the process's life, kilobytes or, on a Mac, bytes
        unit = 1 if sys.platform == "darwin" else 1024
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work()
        return unit * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    reset.write_text("5")  # the peak becomes what is resident now
    before = _kilobytes("VmRSS")
    work()
    return 1024 * (_kilobytes("VmHWM") - before)


def _main() -> None:
    given, batch, length = json.load(sys.stdin)
    print(peak_here(given if isinstance(given, str) else BertSizes(**given), batch, length))


if __name__ == "__main__":
    _main()
