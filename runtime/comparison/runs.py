"""The runs of a comparison, each kept once it is finished: `runs/NAME/lr-RATE-seed-SEED/run.json`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autobertc.dsl.architecture import print_architecture
from autobertc.runtime.comparison.settings import Comparison, Contestant
from autobertc.runtime.files import write_text
from autobertc.runtime.training.finetuning import finetune
from autobertc.runtime.training.pretraining import pretrain
from autobertc.runtime.training.recipes import NotFinite, TrainingError

Record = dict[str, Any]
"""A run: its `genome`, `learning_rate`, `seed`, `state` ("complete" or "diverged"), `metrics`, `curves`, `tasks`."""


@dataclass
class Runs:
    """Trains and scores, or finds what was trained before.

    Attributes:
        place: the comparison's folder.
        tokenizer: the folder of the tokenizer of all runs.
        data: hashes of the tokenizer and of the text, which a kept run must have been made with.
    """

    comparison: Comparison
    place: Path
    tokenizer: Path
    data: dict[str, str]
    say: Callable[[str], None]
    bars: bool = False
    _done: int = field(default=0, init=False)

    def all(self) -> tuple[dict[str, float], dict[str, list[Record]]]:
        """The chosen learning rate and the runs of each contestant.

        Raises `TrainingError` where one diverges at every learning rate, or a kept run was made with other settings.
        """
        chosen: dict[str, float] = {}
        records: dict[str, list[Record]] = {}
        comparison = self.comparison
        for contestant in comparison.contestants:
            grid = [
                self.trained(contestant, rate, seed)
                for rate in comparison.learning_rates
                for seed in comparison.seeds[: comparison.grid_seeds]
            ]
            chosen[contestant.name] = rate = choose(contestant.name, grid)
            rest = [self.trained(contestant, rate, seed) for seed in comparison.seeds[comparison.grid_seeds :]]
            records[contestant.name] = [*grid, *rest]
            for record in records[contestant.name]:
                if record["learning_rate"] == rate and record["state"] == "complete":
                    self.score(contestant, record)
                self._tidy(contestant, record, rate)
        return chosen, records

    @property
    def count(self) -> int:
        """How many runs there are."""
        comparison = self.comparison
        grid = len(comparison.learning_rates) * comparison.grid_seeds
        return len(comparison.contestants) * (grid + len(comparison.seeds) - comparison.grid_seeds)

    def folder(self, name: str, rate: float, seed: int) -> Path:
        """Where a run is kept."""
        return self.place / "runs" / name / f"lr-{rate:g}-seed-{seed}"

    def trained(self, contestant: Contestant, rate: float, seed: int) -> Record:
        """A run that is pre-trained now, or was."""
        self._done += 1
        title = f"[{self._done}/{self.count}] {contestant.name}  lr {rate:g}  seed {seed}"
        folder = self.folder(contestant.name, rate, seed)
        wanted = self._wanted(contestant, rate, seed)
        record = _known(folder, wanted)
        if record is None:
            self.say(title)
            record = self._train(contestant, rate, seed, wanted)
        self.say(f"{title}  {_outcome(record)}")
        return record

    def _train(self, contestant: Contestant, rate: float, seed: int, wanted: dict[str, Any]) -> Record:
        folder = self.folder(contestant.name, rate, seed)
        record: Record = {"genome": contestant.name, "learning_rate": rate, "seed": seed, "tasks": {}, "wanted": wanted}
        run = self.comparison.run(contestant, rate, seed, self.tokenizer)
        try:
            metrics = pretrain(run, folder / "model", resume=True, say=self._indented, bars=self.bars)
        except NotFinite as error:
            record |= {"state": "diverged", "reason": str(error), "metrics": {}, "curves": []}
            shutil.rmtree(folder / "model.training", ignore_errors=True)
        else:
            told = json.loads((folder / "model" / "training.json").read_text(encoding="utf-8"))
            record |= {"state": "complete", "metrics": metrics, "curves": told["curves"]}
        self._keep(record)
        if not self.comparison.tasks and not self.comparison.keep_models:
            shutil.rmtree(folder / "model", ignore_errors=True)
        return record

    def score(self, contestant: Contestant, record: Record) -> None:
        """Fine-tune a run's model on the tasks it has no score of yet."""
        missing = [task for task in self.comparison.tasks if task.name not in record["tasks"]]
        if not missing:
            return
        rate, seed = record["learning_rate"], record["seed"]
        folder = self.folder(contestant.name, rate, seed)
        if not (folder / "model" / "config.json").is_file():  # it was not kept: on a CPU it comes out the same
            pretrain(
                self.comparison.run(contestant, rate, seed, self.tokenizer),
                folder / "model",
                resume=True,
                say=self._indented,
                bars=self.bars,
            )
        settings = replace(self.comparison.finetuning, seed=seed)
        results = finetune(
            str(folder / "model"), missing, settings, folder / "tasks", resume=True, say=self._indented, bars=self.bars
        )
        for name, result in results["tasks"].items():
            metric = result["metric"]
            test = next((scores[metric] for scores in result["test"].values()), None)
            best = result["best"]
            record["tasks"][name] = {
                "metric": metric,
                "score": best["median"],
                "test": test,
                "majority": result["majority"],
                "learning_rate": best["learning_rate"],
            }
        self._keep(record)

    def _tidy(self, contestant: Contestant, record: Record, rate: float) -> None:
        """Remove models that are not asked for, and what fine-tuning wrote."""
        folder = self.folder(contestant.name, record["learning_rate"], record["seed"])
        shutil.rmtree(folder / "tasks", ignore_errors=True)
        if not self.comparison.keep_models or record["learning_rate"] != rate:
            shutil.rmtree(folder / "model", ignore_errors=True)

    def _keep(self, record: Record) -> None:
        folder = self.folder(record["genome"], record["learning_rate"], record["seed"])
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "run.json", json.dumps(record, indent=1) + "\n")

    def _wanted(self, contestant: Contestant, rate: float, seed: int) -> dict[str, Any]:
        comparison = self.comparison
        return {
            "genome": print_architecture(contestant.architecture),
            **self.data,
            "recipe": {**comparison.recipe.to_dict(), "learning_rate": rate},
            "held_out": comparison.held_out,
            "micro_batch": comparison.micro_batch,
            "log_every": comparison.log_every,
            "seed": seed,
        }

    def _indented(self, line: str) -> None:
        self.say(f"  {line}")


def _known(folder: Path, wanted: dict[str, Any]) -> Record | None:
    """A run that was finished before. Raises `TrainingError` where its settings were others."""
    try:
        record: Record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if changed := [name for name, value in wanted.items() if record["wanted"].get(name) != value]:
        raise TrainingError(
            f"cannot resume: {folder} was made with other settings: {', '.join(changed)}; "
            "give the same ones, or name another folder"
        )
    return record


def _outcome(record: Record) -> str:
    if record["state"] == "diverged":
        return "diverged"
    return f"held out mlm {record['metrics']['held_out_mlm_loss']:.4f}"


def choose(name: str, grid: list[Record]) -> float:
    """The learning rate with the lowest mean loss on what was held out. Raises `TrainingError` where all diverge."""
    losses: dict[float, list[float]] = {}
    for record in grid:
        loss = record["metrics"].get("held_out_mlm_loss", float("inf"))
        losses.setdefault(record["learning_rate"], []).append(loss)
    means = {rate: sum(values) / len(values) for rate, values in losses.items()}
    best = min(means, key=lambda rate: means[rate])
    if means[best] == float("inf"):
        raise TrainingError(
            f"{name} diverges at every learning rate ({', '.join(f'{rate:g}' for rate in means)}): give lower ones "
            "(--lr); with --resume the other runs stay"
        )
    return best
