"""Evaluations that take a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from autobertc.dsl.architecture import Sizes
from autobertc.search.biws.snapshots import Snapshot, write_snapshot
from autobertc.search.biws.supernet import Sharing, make_supernet, supernet_tensors
from autobertc.search.evaluation.job import CandidateJob
from autobertc.search.evaluation.settings import EvaluationSettings
from autobertc.search.genome import Genome

SIZES = Sizes(32, 2, 64, 32, 32, hidden_dropout=0.1, attention_dropout=0.1, kernel_dropout=0.1)
SETTINGS = EvaluationSettings(
    tasks=("associative-recall", "local-completion"), steps=6, batch=8, length=16, scored=16, symbols=24
)
LAYERS = "conv: 5\natt: softmax(scale(Q @ K.T)) @ V\n"


def genome_text(layers: str = LAYERS, sizes: Sizes = SIZES) -> str:
    """A genome as a job carries it."""
    return Genome.read("model m {}\n" + layers).text(sizes)


def job(number: int = 0, layers: str = LAYERS, sizes: Sizes = SIZES, **changes: Any) -> CandidateJob:
    """A job; `changes` are of its fields, or of its settings."""
    own = {name: changes.pop(name) for name in list(changes) if name in CandidateJob.__dataclass_fields__}
    plain = CandidateJob(number, 0, number, genome_text(layers, sizes), seed=number)
    return replace(plain, settings=SETTINGS.changed(**changes).to_dict(), **own)


def first_snapshot(folder: Path, sizes: Sizes = SIZES, layers: int = 2, head: str = "masked-lm") -> Path:
    """An untrained super-net."""
    tensors = supernet_tensors(make_supernet(sizes, layers, head, Sharing(), seed=0))
    return write_snapshot(folder, Snapshot(tensors, 0, head, Sharing()))
