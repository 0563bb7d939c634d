"""Models pre-trained and scored, once for all entries: a run with the same settings is found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autobertc.dsl.architecture import Architecture, print_architecture
from autobertc.runtime.data.cache import digest
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.reproduction.backbones import example, fitted, size_of
from autobertc.runtime.reproduction.entry import Context
from autobertc.runtime.tasks.base import Task
from autobertc.runtime.training.finetuning import Finetuning, finetune
from autobertc.runtime.training.preparation import Pretraining
from autobertc.runtime.training.pretraining import pretrain
from autobertc.runtime.training.recipes import Recipe, recipe


@dataclass(frozen=True)
class Scores:
    """A model's scores as percentages: by column, and their mean."""

    columns: dict[str, float]
    average: float


def recipe_of(context: Context, name: str) -> Recipe:
    """How a backbone is pre-trained: the paper's preset of its size, with the scale's changes."""
    return recipe(size_of(example(name)), context.scale.pretraining)


def backbone_of(context: Context, name: str) -> Architecture:
    """A backbone at the scale's size."""
    return fitted(name, context.scale.widths[size_of(example(name))])


def pretrained(context: Context, name: str) -> tuple[Path, dict[str, Any]]:
    """The folder and the metrics of a pre-trained backbone of examples/. An interrupted run is gone on with."""
    architecture, numbers = backbone_of(context, name), recipe_of(context, name)
    text = print_architecture(architecture)
    key = digest(text, numbers.to_dict(), context.sources, context.scale.held_out, context.seed)[:10]
    folder = context.runs / f"{name}-{key}"
    context.say(f"pre-training {name}")
    run = Pretraining(
        architecture=architecture,
        source=text,
        recipe=numbers,
        sources=tuple(TextSource.parse(source) for source in context.sources),
        held_out=context.scale.held_out,
        seed=context.seed,
    )
    return folder, pretrain(run, folder, resume=True, say=context.say)


def scored(
    context: Context, folder: Path, tasks: Sequence[Task], glue: bool, accuracies: bool = False, seeds: int = 1
) -> Scores:
    """A pre-trained model fine-tuned on tasks: GLUE's nine columns, or each task's own metric."""
    settings = Finetuning(**context.scale.finetuning, seed=context.seed, seeds=seeds)
    results = _finetuned(context, folder, tasks, settings, accuracies)
    if glue:
        columns = {name: 100 * value for name, value in results["glue"]["numbers"].items()}
    else:
        columns = {name: 100 * task["best"]["median"] for name, task in results["tasks"].items()}
    return Scores(columns, sum(columns.values()) / len(columns))


def scored_spans(context: Context, folder: Path, tasks: Sequence[Task]) -> Scores:
    """A pre-trained model fine-tuned on questions: exact match and F1 of each task."""
    settings = Finetuning(**{**context.scale.finetuning, **context.scale.spans}, seed=context.seed)
    results = _finetuned(context, folder, tasks, settings, False)
    columns: dict[str, float] = {}
    for name, task in results["tasks"].items():
        found = next(scores for scores in task["best"]["scores"] if scores)["validation"]
        columns |= {f"{name} em": 100 * found["exact_match"], f"{name} f1": 100 * found["f1"]}
    return Scores(columns, sum(columns.values()) / len(columns))


def _finetuned(
    context: Context, folder: Path, tasks: Sequence[Task], settings: Finetuning, accuracies: bool
) -> dict[str, Any]:
    key = digest([task.name for task in tasks], list(tasks[0].data), asdict(settings), context.scale.rows, accuracies)
    context.say(f"fine-tuning {folder.name}")
    output = folder.with_name(f"{folder.name}.tasks-{key[:10]}")
    return finetune(
        str(folder), tasks, settings, output, resume=output.is_dir(), accuracies=accuracies, say=context.say
    )
