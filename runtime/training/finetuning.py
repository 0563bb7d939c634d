"""Fine-tuning on tasks: a grid of learning rates and weight decays, seeds, the best of it, and prediction files.

The defaults are the paper's (Gao et al. 2022, appendix D): 3 epochs of batches of 32, for SQuAD 2.0 2 epochs of batches
of 48; learning rate and weight decay chosen on the validation split from 6 x 2 on a GPU, where a grid is affordable;
RTE, STS-B and MRPC from the model that was fine-tuned on MNLI, where MNLI is among the tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from autobertc.runtime.data.reading import quiet
from autobertc.runtime.files import OutputError, write_text
from autobertc.runtime.metrics.glue import AVERAGED, glue_average, glue_numbers
from autobertc.runtime.tasks.base import Task
from autobertc.runtime.training.kept_runs import check_settings
from autobertc.runtime.training.models import check_model
from autobertc.runtime.training.recipes import TrainingError
from autobertc.runtime.training.silence import library_silent
from autobertc.runtime.training.task_runs import TaskWork, run_task

PAPER_LEARNING_RATES = (1e-5, 1.5e-5, 2e-5, 3e-5, 4e-5, 5e-5)
PAPER_WEIGHT_DECAYS = (0.1, 0.01)
FROM_MNLI = ("rte", "stsb", "mrpc")
"""Tasks that start from MNLI's model (Liu et al. 2019, and the paper)."""


@dataclass(frozen=True)
class Finetuning:
    """How a model is fine-tuned. None is the paper's value for the task, or of the grid on a CPU one of its values.

    Attributes:
        learning_rates, weight_decays: the grid.
        epochs, batch, length: 3, 32 and 128; of SQuAD 3, 32 and 384, of SQuAD 2.0 2, 48 and 384.
        warmup: the share of steps in which the learning rate grows, before it falls in a straight line.
        seeds: how many runs there are of each point of the grid; the median counts.
        seed: the first of them.
        eval_every: steps between evaluations, of which a run's best counts; None for one at its end.
        bf16: of the forward pass.
        group_by_length: whether batches are drawn of rows about as long as each other: less padding, nearly half of the
            work where rows are short texts. The paper does not say that it did.
        save_models: whether each task's best model is kept.
    """

    learning_rates: tuple[float, ...] | None = None
    weight_decays: tuple[float, ...] | None = None
    epochs: float | None = None
    batch: int | None = None
    length: int | None = None
    warmup: float = 0.01
    seeds: int = 1
    seed: int = 0
    eval_every: int | None = None
    bf16: bool = False
    group_by_length: bool = False
    save_models: bool = False

    def of(self, task: Task) -> dict[str, Any]:
        """The numbers for a task. Raises `TrainingError` for those that cannot be."""
        squad = task.head == "question-answering"
        second = task.name == "squad_v2"
        affordable = torch.cuda.is_available()
        rates = self.learning_rates or (PAPER_LEARNING_RATES if affordable else (5e-5,))
        decays = self.weight_decays or (PAPER_WEIGHT_DECAYS if affordable else (0.01,))
        numbers: dict[str, Any] = {
            "learning_rates": list(rates),
            "weight_decays": list(decays),
            "epochs": self.epochs if self.epochs is not None else (2.0 if second else 3.0),
            "batch": self.batch if self.batch is not None else (48 if second else 32),
            "length": self.length if self.length is not None else (384 if squad else 128),
            "warmup": self.warmup,
            "seeds": list(range(self.seed, self.seed + self.seeds)),
            "eval_every": self.eval_every,
            "bf16": self.bf16,
            "group_by_length": self.group_by_length,
        }
        if min(numbers["batch"], numbers["length"], self.seeds, numbers["epochs"]) <= 0:
            raise TrainingError("batch, length, epochs and the number of seeds must be above 0")
        if min(rates) <= 0 or min(decays) < 0:
            raise TrainingError("learning rates must be above 0, and weight decays at least 0")
        return numbers


def finetune(
    model: str,
    tasks: Sequence[Task],
    settings: Finetuning,
    output: Path,
    *,
    resume: bool = False,
    accuracies: bool = False,
    say: Callable[[str], None] = print,
    bars: bool = False,
) -> dict[str, Any]:
    """Fine-tune a model on tasks, and write and return the results.

    `output` gets a folder for each task, whole once it is done, and `results.json`.

    Args:
        model: a model folder, or the name of one of the Hub.
        resume: keep the tasks that `output` already has with the same settings.
        accuracies: GLUE's average with the accuracy of MRPC and QQP, as the paper's Table 4 has it.

    Raises `UserError` for all that is wrong with settings, data, model or output before training starts.
    """
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise OutputError(f"cannot write {output}: it is a file, not a folder")
    if not resume and output.is_dir() and any(output.iterdir()):
        raise OutputError(f"cannot write {output}: the folder is not empty; go on with --resume, or name another")
    numbers = {task.name: settings.of(task) for task in tasks}
    with library_silent(), quiet(progress=bars):
        config, tokenizer = check_model(model)
        for name, found in numbers.items():
            limit = config.max_position_embeddings
            if settings.length is not None and settings.length > limit:
                raise TrainingError(f"the length is {settings.length}, but the model has {limit} positions")
            if found["length"] > limit:
                say(f"{name}: length {limit}, as many positions as the model has, not {found['length']}")
                found["length"] = limit
        loaded = {task.name: task.load() for task in tasks}  # all that is wrong with them, before any training
        names = [task.name for task in tasks]
        results: dict[str, Any] = {"model": model, "tasks": {}}
        for task in sorted(tasks, key=lambda task: task.name in FROM_MNLI):  # MNLI comes before them
            from_mnli = task.name in FROM_MNLI and "mnli" in names
            start = str(output / "mnli" / "model") if from_mnli else model
            wanted = {"model": start, "data": list(task.data), **numbers[task.name]}
            keep = settings.save_models or (task.name == "mnli" and bool(set(FROM_MNLI) & set(names)))
            result = _known(output / task.name, wanted) if resume else None
            if result is None:
                work = TaskWork(task, loaded[task.name], {}, tokenizer, start, numbers[task.name])
                result = run_task(work, wanted, output / task.name, keep, say, bars)
            results["tasks"][task.name] = result
            results |= _glue(results["tasks"], accuracies)
            write_text(output / "results.json", json.dumps(results, indent=1) + "\n")
    return results


def _known(folder: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The result of an earlier call with these settings."""
    try:
        result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    check_settings(folder, result["settings"], wanted)
    return result


def _glue(tasks: dict[str, Any], accuracies: bool) -> dict[str, Any]:
    """GLUE's average of the medians, once all its tasks are there."""
    medians = {
        name: {
            split: {
                metric: median(scores[split][metric] for scores in found["best"]["scores"] if scores)
                for metric in split_scores
            }
            for split, split_scores in next(scores for scores in found["best"]["scores"] if scores).items()
        }
        for name, found in tasks.items()
    }
    numbers = glue_numbers(medians, accuracies)
    if set(AVERAGED) - set(numbers):
        return {}
    return {"glue": {"numbers": numbers, "average": glue_average(numbers), "accuracies": accuracies}}
