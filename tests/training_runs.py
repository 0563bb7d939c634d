"""Runs of tiny backbones on the reference manual."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import architecture

from autobertc.dsl.architecture import print_architecture
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.training.preparation import Pretraining
from autobertc.runtime.training.recipes import recipe
from autobertc.runtime.training.trainer import PretrainingTrainer

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


TIMED = ("seconds", "tokens_per_second", "input_wait", "mfu")


def curves(folder: Path) -> list[dict[str, float]]:
    """What a run's folder says of its windows of steps, without times."""
    windows = json.loads((folder / "training.json").read_text())["curves"]
    return [{name: value for name, value in window.items() if name not in TIMED} for window in windows]


class Interrupted(Exception):
    """A run that was stopped."""


def interrupt(patch: pytest.MonkeyPatch, step: int) -> None:
    """Runs are stopped in the step after so many."""
    original = PretrainingTrainer.compute_loss

    def stop(self: Any, *arguments: Any, **options: Any) -> Any:
        if self.state.global_step == step:
            raise Interrupted
        return original(self, *arguments, **options)

    patch.setattr(PretrainingTrainer, "compute_loss", stop)
