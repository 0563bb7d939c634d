"""A comparison from its settings to its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from autobertc.runtime.comparison.report import draw, page
from autobertc.runtime.comparison.runs import Runs
from autobertc.runtime.comparison.settings import Comparison
from autobertc.runtime.comparison.summary import summarise
from autobertc.runtime.data.corpus import load_corpus
from autobertc.runtime.data.reading import quiet
from autobertc.runtime.data.vocabulary import train_tokenizer
from autobertc.runtime.emission import check_memory
from autobertc.runtime.files import OutputError, new_directory, write_text
from autobertc.runtime.tokenizer import holds_tokenizer, make_tokenizer, save_tokenizer
from autobertc.runtime.training.devices import device_name
from autobertc.runtime.training.initial_weights import tokenizer_digest
from autobertc.runtime.training.preparation import prepare
from autobertc.runtime.training.silence import library_silent


def compare(
    comparison: Comparison,
    output: Path,
    *,
    resume: bool = False,
    say: Callable[[str], None] = print,
    bars: bool = False,
) -> dict[str, Any]:
    """Train and score all runs, and write and return what they say.

    `output` gets `comparison.json`, `comparison.md`, `curves.png`, `curves.svg`, the tokenizer, and `runs/`, where each
    run is kept once it is finished and a run that was interrupted can go on.

    Args:
        resume: keep the runs that `output` has; there may be more contestants, seeds or learning rates than before.

    Raises `UserError` for what is wrong with settings, data or output before training starts.
    """
    output = Path(output).absolute()
    if output.exists() and not output.is_dir():
        raise OutputError(f"cannot write {output}: it is a file, not a folder")
    if not resume and output.is_dir() and any(output.iterdir()):
        raise OutputError(f"cannot write {output}: the folder is not empty; go on with --resume, or name another")
    comparison.check()
    with library_silent(), quiet(progress=bars):
        for contestant in comparison.contestants:
            check_memory(contestant.architecture)
        for task in comparison.tasks:
            task.load()  # what is wrong with them, before any training
        tokenizer = _tokenizer(comparison)
        corpus = load_corpus(comparison.sources, tokenizer)
        corpus.split(comparison.held_out, seed=comparison.seeds[0])
        words = output / "tokenizer"
        if not holds_tokenizer(words):
            with new_directory(words, replace=True) as folder:
                save_tokenizer(tokenizer, folder)
        comparison = _in_steps(comparison, words)
    sources = [str(source) for source in comparison.sources]
    data = {"tokenizer": tokenizer_digest(tokenizer), "corpus": corpus.key}
    runs = Runs(comparison, output, words, data, say, bars)
    say(
        f"comparing {', '.join(each.name for each in comparison.contestants)}: {runs.count} runs at most; "
        f"{corpus.num_tokens:,} tokens of {', '.join(sources)}, vocabulary {len(tokenizer):,}"
    )
    summary = summarise(*runs.all())
    summary["settings"] = {
        "recipe": comparison.recipe.to_dict(),
        "data": ", ".join(sources),
        "vocabulary": len(tokenizer),
        "held_out": comparison.held_out,
        "learning_rates": list(comparison.learning_rates),
        "seeds": list(comparison.seeds),
        "grid_seeds": comparison.grid_seeds,
        "device": device_name(),
        "genomes": {each.name: each.source for each in comparison.contestants},
        **data,
    }
    write_text(output / "comparison.json", json.dumps(summary, indent=1) + "\n")
    draw(summary, [output / f"curves.{kind}" for kind in ("png", "svg")])
    write_text(output / "comparison.md", page(summary))
    return summary


def _in_steps(comparison: Comparison, tokenizer: Path) -> Comparison:
    """With a number of steps where the recipe has epochs, which differ by a step from seed to seed."""
    if comparison.recipe.steps is not None:
        return comparison
    run = comparison.run(comparison.contestants[0], comparison.learning_rates[0], comparison.seeds[0], tokenizer)
    steps = prepare(run, say=lambda line: None).steps
    return replace(comparison, recipe=replace(comparison.recipe, steps=steps, epochs=None))


def _tokenizer(comparison: Comparison) -> Any:
    """The tokenizer of all runs: the one given, or trained on the sources, with as many entries as the first backbone's
    header says."""
    sizes = comparison.contestants[0].architecture.sizes
    length = min(each.architecture.sizes.max_length for each in comparison.contestants)
    vocab = comparison.vocab or sizes.vocab
    if comparison.tokenizer is None:
        return train_tokenizer(comparison.sources, vocab, length)
    given = comparison.tokenizer.is_dir() and holds_tokenizer(comparison.tokenizer)
    return make_tokenizer(comparison.tokenizer, 2**31 if given else vocab, length)
