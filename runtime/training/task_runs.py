"""One task's runs: a point of the grid for each learning rate and weight decay, a run for each seed."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median, pstdev
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainingArguments

from autobertc.runtime.files import new_directory
from autobertc.runtime.tasks.base import SequenceTask, Splits, Task
from autobertc.runtime.training.kept_runs import KeptRuns, Run
from autobertc.runtime.training.models import load_model, save_model
from autobertc.runtime.training.prediction import predict
from autobertc.runtime.training.progress import Progress
from autobertc.runtime.training.recipes import TrainingError


@dataclass(frozen=True)
class TaskWork:
    """One task with everything its runs need."""

    task: Task
    splits: Splits
    features: dict[str, Any]
    tokenizer: Any
    model: str
    numbers: dict[str, Any]

    @property
    def evaluations(self) -> list[str]:
        """Names of the validation splits; runs are compared on the first."""
        return self.task.evaluations(self.splits)

    def score(self, model: Any, splits: Sequence[str]) -> dict[str, dict[str, float]] | None:
        """Scores by split, None where predictions are no numbers."""
        scores = {}
        for split in splits:
            logits = predict(model, self.features[split], self.task.collator(self.tokenizer), self.numbers["batch"])
            if not all(np.isfinite(each).all() for each in (logits if isinstance(logits, tuple) else (logits,))):
                return None
            scores[split] = self.task.score(self.splits[split], self.features[split], logits)
        return scores

    def main_score(self, scores: dict[str, dict[str, float]] | None) -> float:
        """The number that runs are compared by; of a run that diverged it is below all."""
        return -math.inf if scores is None else scores[self.evaluations[0]][self.task.metrics[0]]


@dataclass
class _Best:
    """The best evaluation of a run."""

    score: float = -math.inf
    scores: dict[str, dict[str, float]] | None = None
    weights: dict[str, Tensor] | None = None


class _Evaluate(TrainerCallback):
    """Evaluates every so many steps and at the end, and keeps the best."""

    def __init__(self, work: TaskWork) -> None:
        self.work, self.best = work, _Best()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        every = self.work.numbers["eval_every"]
        if state.global_step < state.max_steps and (every is None or state.global_step % every):
            return
        scores = self.work.score(model, self.work.evaluations)
        score = self.work.main_score(scores)
        if score > self.best.score:
            weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
            self.best = _Best(score, scores, weights)


def run_task(
    work: TaskWork, wanted: dict[str, Any], folder: Path, keep: bool, say: Callable[[str], None], bars: bool
) -> dict[str, Any]:
    """The grid of one task, written to `folder`; runs that are done are kept beside it until all are."""
    start, task, numbers = time.perf_counter(), work.task, work.numbers
    for split, rows in work.splits.items():
        work.features[split] = task.encode(rows, work.tokenizer, numbers["length"], training=split == "train")
    points: list[dict[str, Any]] = []
    best_point: dict[str, Any] | None = None
    best: Run | None = None
    kept = KeptRuns(folder.with_name(f"{folder.name}.runs"), wanted)
    grid = list(product(numbers["learning_rates"], numbers["weight_decays"]))
    for rate, decay in grid:
        point, found = _run_point(work, kept, rate, decay, say, bars)
        points.append(point)
        if point["median"] is not None and (best_point is None or point["median"] > best_point["median"]):
            best_point, best, found = point, found, best
        kept.drop_weights(found)
    if best_point is None or best is None:
        raise TrainingError(f"{task.name}: runs of every learning rate diverged; try a lower learning rate")
    result = {
        "settings": wanted,
        "metric": task.metrics[0],
        "best": best_point,
        "grid": points,
        "majority": _majority(work),
    }
    with new_directory(folder, replace=folder.is_dir()) as partial:
        model = load_model(work.model, task, 0)
        model.load_state_dict(kept.weights(best))
        model = model.to("cuda" if torch.cuda.is_available() else "cpu")
        result["test"] = _write_predictions(work, model, partial / "predictions")
        if keep:
            save_model(model.cpu(), work.tokenizer, work.model, partial / "model")
        result["seconds"] = time.perf_counter() - start
        (partial / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    kept.remove()
    return result


def _run_point(
    work: TaskWork, kept: KeptRuns, rate: float, decay: float, say: Callable[[str], None], bars: bool
) -> tuple[dict[str, Any], Run | None]:
    """All seeds of a point of the grid, and the best of them, whose weights alone are kept."""
    best: Run | None = None
    values, all_scores = [], []
    for seed in work.numbers["seeds"]:
        name = f"lr-{rate:g}-decay-{decay:g}-seed-{seed}"
        found = kept.find(name)
        least = -math.inf if best is None else best.score
        if found is None:
            reached = _run_once(work, rate, decay, seed, bars)
            found = Run(name, reached.score, reached.scores)
            kept.keep(found, reached.weights if reached.score > least else None)
        shown = "diverged" if found.scores is None else f"{work.task.metrics[0]} {found.score:.4f}"
        say(f"{work.task.name}  lr {rate:g}  weight decay {decay:g}  seed {seed}  {shown}")
        values.append(found.score)
        all_scores.append(found.scores)
        if found.score > least:
            kept.drop_weights(best)
            best = found
    finite = [value for value in values if math.isfinite(value)]
    return {
        "learning_rate": rate,
        "weight_decay": decay,
        "values": [value if math.isfinite(value) else None for value in values],
        "median": float(median(values)) if math.isfinite(median(values)) else None,  # half of them diverged
        "min": min(finite, default=None),
        "max": max(finite, default=None),
        "deviation": pstdev(finite) if finite else None,
        "scores": all_scores,
    }, best


def _run_once(work: TaskWork, rate: float, decay: float, seed: int, bars: bool) -> _Best:
    """One run."""
    numbers, gpu = work.numbers, torch.cuda.is_available()
    model = load_model(work.model, work.task, seed)
    evaluate = _Evaluate(work)
    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(
            output_dir=place,
            num_train_epochs=numbers["epochs"],
            per_device_train_batch_size=numbers["batch"],
            learning_rate=rate,
            weight_decay=decay,
            warmup_steps=numbers["warmup"],
            lr_scheduler_type="linear",
            seed=seed % 2**32,
            bf16=numbers["bf16"],
            train_sampling_strategy="group_by_length" if numbers["group_by_length"] else "random",
            save_strategy="no",
            logging_strategy="steps",
            logging_steps=100,
            logging_nan_inf_filter=False,
            disable_tqdm=True,
            dataloader_pin_memory=gpu,
            report_to=[],
            use_cpu=not gpu,
        )
        arguments._n_gpu = min(1, arguments.n_gpu)
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=work.features["train"],
            data_collator=work.task.collator(work.tokenizer),
            callbacks=[evaluate, *([Progress(print, bars)] if bars else [])],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    return evaluate.best


def _write_predictions(work: TaskWork, model: Any, folder: Path) -> dict[str, dict[str, float]]:
    """Prediction files of every split but the training's; scores of test splits whose labels are known."""
    scores = {}
    for split, rows in work.splits.items():
        if split == "train":
            continue
        features = work.features[split]
        logits = predict(model, features, work.task.collator(work.tokenizer), work.numbers["batch"])
        work.task.write_predictions(folder, split, rows, features, logits)
        if split.startswith("test") and "labels" in features.column_names:
            scores[split] = work.task.score(rows, features, logits)
    return scores


def _majority(work: TaskWork) -> float | None:
    """The accuracy of always choosing the commonest class of the first validation split."""
    features = work.features[work.evaluations[0]]
    if not isinstance(work.task, SequenceTask) or not work.task.labels or "labels" not in features.column_names:
        return None
    counts = np.unique(features["labels"], return_counts=True)[1]
    return float(counts.max() / counts.sum())
