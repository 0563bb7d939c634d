"""The runs of a task that are done, kept until all are: what is interrupted does not begin again."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from autobertc.runtime.files import write_bytes, write_text
from autobertc.runtime.training.recipes import TrainingError

Scores = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Run:
    """What a run reached: its number for comparisons, and all scores by split; below all and None where it diverged."""

    name: str
    score: float
    scores: Scores | None


def check_settings(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """That what is kept in a folder was made as is wanted now. Raises `TrainingError`."""
    if found != wanted:
        raise TrainingError(f"cannot resume: {folder} was made with other settings; remove it, or name another folder")


class KeptRuns:
    """Runs in a folder: scores, and the weights of those that may still be the best.

    Args:
        folder: made with the first run.
        settings: of the runs. Raises `TrainingError` where the folder has runs of others.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self._settings = json.loads(json.dumps(settings))
        about = folder / "settings.json"
        if about.is_file():
            check_settings(folder, json.loads(about.read_text(encoding="utf-8")), self._settings)

    def find(self, name: str) -> Run | None:
        """A run that is done."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        return Run(name, -math.inf if found["score"] is None else found["score"], found["scores"])

    def keep(self, run: Run, weights: dict[str, Tensor] | None) -> None:
        """Write a run; weights first, so that a run that is found has them. Raises `OutputError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        about = self.folder / "settings.json"
        if not about.is_file():
            write_text(about, json.dumps(self._settings, indent=1) + "\n")
        if weights is not None:
            whole = {name: weight.contiguous() for name, weight in weights.items()}
            write_bytes(self.folder / f"{run.name}.safetensors", save(whole))
        score = run.score if math.isfinite(run.score) else None
        write_text(self.folder / f"{run.name}.json", json.dumps({"score": score, "scores": run.scores}) + "\n")

    def weights(self, run: Run) -> dict[str, Tensor]:
        """A run's weights."""
        return load_file(self.folder / f"{run.name}.safetensors")

    def drop_weights(self, run: Run | None) -> None:
        """Remove the weights of a run that others are better than."""
        if run is not None:
            (self.folder / f"{run.name}.safetensors").unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all: the task's result is written."""
        shutil.rmtree(self.folder, ignore_errors=True)
