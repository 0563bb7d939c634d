"""What a batch costs: latency and peak memory of a base model beside BERT of the same size (the paper's Table 7)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from autobertc.dsl.architecture import Architecture, print_architecture
from autobertc.runtime.analysis.memory import BertSizes, forward, make_bert, make_model, peak_here
from autobertc.runtime.analysis.timing import Work, alternate, interval
from autobertc.runtime.training.devices import device_name
from autobertc.runtime.training.recipes import TrainingError


@dataclass(frozen=True)
class Latency:
    """One model's batch beside BERT's, forward pass without gradients, in float32, no padding.

    Attributes:
        batch, length: sequences and the tokens of each.
        seconds, bert_seconds: medians.
        ratio, low, high: the median of the ratios of alternating pairs, below 1 where the model is faster, and its
            95% interval.
        pairs: how many there were.
        memory, bert_memory: the peak in bytes: weights and what the pass adds to them.
        device: what it ran on.
    """

    batch: int
    length: int
    seconds: float
    bert_seconds: float
    ratio: float
    low: float
    high: float
    pairs: int
    memory: int
    bert_memory: int
    device: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def bert_of(architecture: Architecture) -> BertSizes:
    """BERT with an architecture's sizes and number of layers."""
    sizes = architecture.sizes
    return BertSizes(
        layers=len(architecture.layers),
        hidden=sizes.hidden,
        heads=sizes.heads,
        intermediate=sizes.intermediate,
        vocab=sizes.vocab,
        positions=sizes.max_length,
        embedding=sizes.embedding,
    )


def measure_latency(
    architecture: Architecture, batch: int = 128, length: int = 128, pairs: int = 15, limit: float = 60.0
) -> Latency:
    """A model of drawn weights, which change neither time nor memory, beside BERT.

    Args:
        pairs: of alternating passes; fewer, but at least 3, once `limit` seconds have passed.

    Raises `TrainingError` where the model cannot be run at this batch.
    """
    length = min(length, architecture.sizes.max_length)
    bert = bert_of(architecture)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    models = make_model(print_architecture(architecture)).to(device), make_bert(bert).to(device)
    inputs = torch.randint(5, architecture.sizes.vocab, (batch, length), generator=torch.Generator().manual_seed(0))
    ours, theirs = (_pass(model, inputs.to(device)) for model in models)
    try:
        times = alternate(ours, theirs, pairs, warm=1 if device == "cpu" else 5, limit=limit)
    except torch.OutOfMemoryError as error:
        raise TrainingError(f"a batch of {batch} sequences of {length} does not fit on the device") from error
    del models, ours, theirs
    memory = [peak(sizes, batch, length) for sizes in (print_architecture(architecture), bert)]
    seconds, bert_seconds = times.medians
    low, high = interval(times.ratios)
    return Latency(
        batch=batch,
        length=length,
        seconds=seconds,
        bert_seconds=bert_seconds,
        ratio=median(times.ratios),
        low=low,
        high=high,
        pairs=len(times.ours),
        memory=memory[0],
        bert_memory=memory[1],
        device=device_name(),
    )


def _pass(model: Any, inputs: Tensor) -> Work:
    def work() -> None:
        forward(model, inputs)
        if inputs.is_cuda:
            torch.cuda.synchronize()

    return work


def peak(what: str | BertSizes, batch: int, length: int) -> int:
    """Peak bytes of a forward pass, weights included, of an architecture's text or a BERT.

    On a CPU it is measured in a fresh process: in this one the allocator has room that it got before. Raises
    `TrainingError`.
    """
    if torch.cuda.is_available():
        return peak_here(what, batch, length)
    given = json.dumps([what if isinstance(what, str) else asdict(what), batch, length])
    command = [sys.executable, "-m", "autobertc.runtime.analysis.memory"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=environment)
    if done.returncode:
        last = next(iter(done.stderr.strip().splitlines()[-1:]), f"exit code {done.returncode}")
        raise TrainingError(f"cannot measure memory at a batch of {batch} sequences of {length}: {last}")
    return int(done.stdout.split()[-1])
