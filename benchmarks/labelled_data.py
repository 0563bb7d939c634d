"""Scores on real labelled data, out of packages: models by `finetune`, several seeds, beside naive Bayes.

    python benchmarks/labelled_data.py --output FOLDER [[NAME=]MODEL ...] [--questions 2000]

The real 6-layer BERT of `autobertc gather minilm` is converted and fine-tuned; MODELs are folders that `pretrain` or
`compare --keep-models` wrote. On 10,605 film review snippets, of which a tenth, drawn once, is scored; with
`--questions`, on so many questions of SQuAD's layout too, scored on a quarter as many of SQuAD's own. Each has one
learning rate and is scored once, at its end: nothing is chosen on what is scored. FOLDER keeps what is done,
and gets `labelled-data.md` and `labelled-data.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
from measure import environment
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

import autobertc
from autobertc.dsl.architecture import safe_name
from autobertc.runtime.comparison.statistics import interval
from autobertc.runtime.conversion import convert
from autobertc.runtime.data.packages import gather
from autobertc.runtime.files import write_text
from autobertc.runtime.markdown import markdown_table
from autobertc.runtime.tasks import find
from autobertc.runtime.tasks.base import Splits, Task
from autobertc.runtime.tasks.custom import custom_task
from autobertc.runtime.tasks.squad import aligned, read_layout
from autobertc.runtime.training.finetuning import Finetuning, finetune

COLUMNS = ("model", "learning rate", "metric", "mean", "95% interval", "by seed")
SNIPPETS = "film-snippets"
PRETRAINED_RATE = 5e-5
FRESH_RATE = 2e-4  # of models of few steps, whose weights are little better than drawn
MINILM = """
model minilm { hidden: 384  heads: 12  intermediate: 1536  vocab: 30522  max_length: 512 }
repeat 6 { att: softmax(scale(Q @ K.T)) @ V }
"""
QUESTIONS = {"train": ("new_wiki_v1.0", "nyt_v1.0", "reddit_v1.0"), "validation": ("squaddev_v1.1",)}


def naive_bayes(splits: Splits) -> float:
    """The accuracy of multinomial naive Bayes on counts of words."""
    words = CountVectorizer()
    model = MultinomialNB().fit(words.fit_transform(splits["train"]["text"]), splits["train"]["label"])
    return float(model.score(words.transform(splits["validation"]["text"]), splits["validation"]["label"]))


def questions(folder: Path, count: int) -> Task:
    """SQuAD's task on `count` questions about other texts than SQuAD's, and a quarter as many of SQuAD's own to score.
    Those whose answer does not stand where it says are left out."""
    packages = gather("squad-shifts").folder
    folder.mkdir(parents=True, exist_ok=True)
    for split, names in QUESTIONS.items():
        rows = datasets.concatenate_datasets([read_layout(packages / f"{name}.json") for name in names])
        rows = rows.filter(aligned).shuffle(seed=0)
        rows.select(range(count if split == "train" else count // 4)).to_parquet(folder / f"{split}.parquet")
    return find("squad", str(folder))


def converted(folder: Path) -> Path:
    """The real BERT as a compiled model."""
    if not folder.is_dir():
        weights = gather("minilm").folder
        architecture = autobertc.parse(MINILM)
        conversion = convert(architecture, weights)
        autobertc.emit(architecture, folder, model=conversion.model, source=MINILM, tokenizer=weights)
    return folder


def rows_of(model: str, rate: float, result: dict[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """For each metric the mean over seeds with its interval."""
    scores = [found["validation"] for found in result["best"]["scores"]]
    return [
        {"model": model, "learning_rate": rate, "metric": name, **interval([each[name] for each in scores])}
        for name in names
    ]


def cells(row: dict[str, Any]) -> list[str]:
    """A row in words, the columns of `COLUMNS`."""
    low, high = row["low"], row["high"]
    spread = "" if low is None else f"{low:.3f} to {high:.3f}"
    rate = f"{row['learning_rate']:g}" if row["learning_rate"] else ""
    by_seed = " ".join(f"{value:.3f}" for value in row["values"]) if len(row["values"]) > 1 else ""
    return [row["model"], rate, row["metric"], f"{row['mean']:.3f}", spread, by_seed]


def model_of(text: str) -> tuple[str, Path]:
    """NAME=FOLDER, or a folder, which names itself."""
    name, equals, folder = text.rpartition("=")
    return (name, Path(folder)) if equals else (safe_name(text), Path(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="[NAME=]FOLDER")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, help="instead of the paper's 3")
    parser.add_argument("--questions", type=int, default=0, help="358 MB are fetched for them")
    parser.add_argument("--without-minilm", action="store_true", help="only naive Bayes and the models named")
    arguments = parser.parse_args()
    output: Path = arguments.output

    models = [(*model_of(text), FRESH_RATE) for text in arguments.models]
    if not arguments.without_minilm:
        models.insert(0, ("minilm", converted(output / "models" / "minilm"), PRETRAINED_RATE))
    snippets = custom_task([str(gather(SNIPPETS).folder)], ["text"], name=SNIPPETS)
    works: list[tuple[Task, tuple[str, ...]]] = [(snippets, ("accuracy",))]
    if arguments.questions:
        works.append((questions(output / "questions", arguments.questions), ("exact_match", "f1")))

    tables = []
    for task, names in works:
        splits = task.load()
        rows: list[dict[str, Any]] = []
        if task is snippets:
            found = interval([naive_bayes(splits)])
            rows.append({"model": "naive Bayes", "learning_rate": None, "metric": "accuracy", **found})
        for name, folder, rate in models:
            settings = Finetuning(
                learning_rates=(rate,),
                weight_decays=(0.01,),
                epochs=arguments.epochs,
                seeds=arguments.seeds,
                group_by_length=True,
            )
            place = output / f"{name}-{task.name}"
            result = finetune(str(folder), [task], settings, place, resume=True, bars=True)
            rows += rows_of(name, rate, result["tasks"][task.name], names)
        counts = {split: len(found) for split, found in splits.items()}
        title = f"{task.name}: {counts['train']:,} to train on, {counts['validation']:,} scored"
        tables.append({"task": task.name, "title": title, "counts": counts, "rows": rows})
        table = Table(*COLUMNS, title=title)
        for row in rows:
            table.add_row(*cells(row))
        Console(width=120).print(table)
    shown = [(each["title"], markdown_table(COLUMNS, list(map(cells, each["rows"])))) for each in tables]
    write_text(output / "labelled-data.md", "\n".join(f"{title}.\n\n{rows}\n" for title, rows in shown))
    write_text(output / "labelled-data.json", json.dumps({"tables": tables, **environment()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
