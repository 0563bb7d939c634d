"""Runs of tiny backbones on the reference manual."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiny import architecture

from autobertc.dsl.architecture import print_architecture
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.training.preparation import Pretraining
from autobertc.runtime.training.recipes import recipe

HEADER = "model tiny {\n  hidden: 32  heads: 2  intermediate: 64  vocab: 500  max_length: 64\n}\n"
LAYERS = "conv: 3\natt: softmax(scale(Q @ K.T)) @ V\n"
Runs = Callable[..., Pretraining]


def tiny_run(preset: str = "base", changes: dict[str, Any] | None = None, **settings: Any) -> Pretraining:
    """A run of few steps on the manual."""
    backbone = architecture(LAYERS, HEADER)
    numbers = {"steps": 8, "batch": 8, "length": 32, "learning_rate": 1e-3, **(changes or {})}
    return Pretraining(
        architecture=backbone,
        source=print_architecture(backbone),
        recipe=recipe(preset, numbers),
        **{"sources": (TextSource.parse("default:manual"),), "log_every": 2, "save_every": 4, **settings},
    )


def silent(line: str) -> None:
    """Says nothing."""
