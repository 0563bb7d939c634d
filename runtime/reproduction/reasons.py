"""Why our numbers differ from the paper's: what follows from the scale, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autobertc.runtime.reproduction.backbones import example, size_of
from autobertc.runtime.reproduction.entry import Context
from autobertc.runtime.reproduction.paper import Row
from autobertc.runtime.reproduction.runs import backbone_of, recipe_of

EXACT = (
    "Parameters are counted from the compiled modules with a vocabulary of 30,522; the paper says 30,000 entries, "
    "and rounds.",
    "FLOPs are by ELECTRA's convention, which gives the paper's 2.9e10 for BERT-base. How the paper counted the "
    "searched operations it does not say; the plain count, of what a compiled model computes, stands beside it.",
)


def on_plateau(metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The models whose loss of masked words is, within 3%, that of word frequencies or above it: a BERT can stay there
    for long where a convolution does not, and scores say nothing before all have left."""
    return [
        name
        for name, each in metrics.items()
        if each.get("held_out_mlm_loss", each["mlm_loss"])
        > 0.97 * each.get("held_out_unigram_loss", each["unigram_entropy"])
    ]


def of_training(context: Context, names: Iterable[str], metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What differs in pre-training."""
    found = []
    by_size: dict[str, str] = {}
    for name in names:
        by_size.setdefault(size_of(example(name)), name)
    for size, name in by_size.items():
        sizes, numbers = backbone_of(context, name).sizes, recipe_of(context, name)
        if context.scale.widths[size_of(example(name))] is not None:
            full = example(name).sizes
            found.append(
                f"The {size} models are {sizes.hidden} wide, not {full.hidden}, with {sizes.heads} heads, an inner "
                f"width of {sizes.intermediate} and at most {sizes.vocab:,} words; the layers are the paper's."
            )
        if numbers.steps is not None:
            tokens = numbers.steps * numbers.batch * numbers.length
            found.append(
                f"The {size} models have seen {numbers.steps:,} steps of {numbers.batch} sequences of "
                f"{numbers.length}: {tokens:,} tokens; the paper's, 40 epochs of 16 GB of text."
            )
    found.append(f"The text is {', '.join(context.sources)}; the paper's is BooksCorpus and English Wikipedia.")
    if plateau := on_plateau(metrics):
        found.append(
            f"Still at the loss of a model that knows word frequencies only: {', '.join(plateau)}. Their scores say "
            "nothing of the backbones."
        )
    return found


def of_tasks(context: Context, glue: bool, seeds: int = 1) -> list[str]:
    """What differs in fine-tuning."""
    found = []
    if not glue:
        found.append(
            "The tasks are stand-ins made of the text, for GLUE's rows were not to be had (`--data`); their means "
            "are not GLUE's, only the order of the models can be compared."
        )
    rates = context.scale.finetuning.get("learning_rates", ())
    found.append(
        f"Fine-tuning tries {len(rates)} of the paper's 6 learning rates, with {seeds} seed{'s' * (seeds != 1)}."
        if len(rates) < 6
        else f"The paper does not say how many seeds its scores are of; these are of {seeds}."
    )
    return found


def of_rows(rows: Iterable[Row]) -> list[str]:
    """What differs in the backbones themselves."""
    return [f"{row.title}: {row.note}." for row in rows if row.note]
