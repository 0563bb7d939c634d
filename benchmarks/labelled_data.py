"""Accuracy on real labelled data, film review snippets: models by `finetune`, several seeds, beside naive Bayes.

The 10,605 snippets come out of a package (`autobertc gather film-snippets`); a tenth, drawn once, is scored. The real
6-layer BERT of `autobertc gather minilm` is converted and fine-tuned; further models are folders that `pretrain` wrote.
Everything has one learning rate and is scored once, at its end: nothing is chosen on what is scored.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import environment
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

import autobertc
from autobertc.runtime.comparison.statistics import interval
from autobertc.runtime.conversion import convert
from autobertc.runtime.data.packages import gather
from autobertc.runtime.tasks.base import Splits
from autobertc.runtime.tasks.custom import custom_task
from autobertc.runtime.training.finetuning import Finetuning, finetune

TASK = "film-snippets"
LENGTH = 64  # tokens; longer ones are 0.3% of the snippets
PRETRAINED_RATE = 5e-5
FRESH_RATE = 2e-4  # of models of few steps, whose weights are as good as drawn
MINILM = """
model minilm { hidden: 384  heads: 12  intermediate: 1536  vocab: 30522  max_length: 512 }
repeat 6 { att: softmax(scale(Q @ K.T)) @ V }
"""


def naive_bayes(splits: Splits) -> float:
    """The accuracy of multinomial naive Bayes on counts of words."""
    words = CountVectorizer()
    model = MultinomialNB().fit(words.fit_transform(splits["train"]["text"]), splits["train"]["label"])
    return float(model.score(words.transform(splits["validation"]["text"]), splits["validation"]["label"]))


def converted(output: Path) -> Path:
    """The real BERT as a compiled model."""
    folder = output / "models" / "minilm"
    if not folder.is_dir():
        weights = gather("minilm").folder
        architecture = autobertc.parse(MINILM)
        conversion = convert(architecture, weights)
        autobertc.emit(architecture, folder, model=conversion.model, source=MINILM, tokenizer=weights)
    return folder


def accuracies(result: Mapping[str, Any]) -> list[float]:
    """Of each seed, at the end of its run."""
    return [scores["validation"]["accuracy"] for scores in result["tasks"][TASK]["best"]["scores"]]


def print_rows(rows: Sequence[Mapping[str, Any]], scored: int) -> None:
    table = Table("model", "learning rate", "accuracy", "95% interval", "seeds", title=f"{TASK}, {scored} scored")
    for row in rows:
        low, high = row["low"], row["high"]
        spread = "" if low is None else f"{low:.3f} to {high:.3f}"
        rate = f"{row['learning_rate']:g}" if row["learning_rate"] else ""
        table.add_row(row["model"], rate, f"{row['mean']:.3f}", spread, " ".join(f"{x:.3f}" for x in row["values"]))
    Console(width=110).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, help="folders that `pretrain` or `compare` wrote")
    parser.add_argument("--output", type=Path, required=True, help="what is fine-tuned; an interrupted call goes on")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--without-minilm", action="store_true", help="only naive Bayes and the models named")
    arguments = parser.parse_args()

    task = custom_task([str(gather(TASK).folder)], ["text"], name=TASK)
    splits = task.load()
    rows = [{"model": "naive Bayes", "learning_rate": None, **interval([naive_bayes(splits)])}]
    models = [(folder.name, folder, FRESH_RATE) for folder in arguments.models]
    if not arguments.without_minilm:
        models.insert(0, ("minilm", converted(arguments.output), PRETRAINED_RATE))
    for name, folder, rate in models:
        settings = Finetuning(
            learning_rates=(rate,),
            weight_decays=(0.01,),
            epochs=arguments.epochs,
            length=LENGTH,
            seeds=arguments.seeds,
        )
        result = finetune(str(folder), [task], settings, arguments.output / name, resume=True, bars=True)
        rows.append({"model": name, "learning_rate": rate, **interval(accuracies(result))})
    print_rows(rows, len(splits["validation"]))
    content = {"rows": rows, "scored": len(splits["validation"]), **environment()}
    (arguments.output / "labelled-data.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
