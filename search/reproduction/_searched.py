"""The search that the entries share: found again by its settings, gone on with where it was interrupted."""

from __future__ import annotations

import os
from pathlib import Path

from autobertc.runtime.data.cache import digest
from autobertc.runtime.reproduction.entry import Context
from autobertc.search.configuration import Configuration, load_configuration
from autobertc.search.study.assembly import CONFIGURATION, begin_run, continue_run, search

_PRESETS = {"paper": "paper"}
# The preset is of mechanistic tasks and shares no weights; the paper's search is of text and does.
_TEXT = (
    *('evaluation.proxy="masked-lm"', "evaluation.tasks=[]", "evaluation.learning_rates=[1e-3]"),
    *("evaluation.length=64", "evaluation.hurdles=true", "supernet.sharing=true"),
)
_SMOKE = (
    *("space.layers=2", "model.hidden=16", "model.heads=2", "model.intermediate=32", "model.vocab=1024"),
    *("strategy.population=4", "strategy.initial_rounds=1", "strategy.parents=2", "strategy.children=2"),
    *("evaluation.steps=4", "evaluation.batch=4", "evaluation.length=32", "evaluation.scored=16"),
    *("study.trials=8", "gate.enabled=false", "last_stage.top=1", "last_stage.seeds=2", "last_stage.steps=8"),
    'workers.kind="in-process"',
)
_SETTINGS: dict[str, tuple[str, ...]] = {
    "smoke": _SMOKE,
    # The sizes and steps of benchmarks/search_fidelity.py, at which a few steps are known to tell architectures apart.
    "laptop": (
        *("space.layers=4", "model.heads=2", "model.intermediate=256", "model.vocab=2048"),
        *("evaluation.steps=300", "evaluation.batch=16", "evaluation.learning_rates=[3e-3]"),
        *("study.trials=100", "strategy.population=40", "last_stage.seeds=3", "last_stage.steps=1500"),
    ),
    "gpu": (
        *("space.layers=12", "model.hidden=256", "model.intermediate=1024", "model.vocab=8192"),
        *("evaluation.steps=1000", "last_stage.steps=20000", 'evaluation.device="auto"', "workers.gpus=1"),
    ),
}


def configuration_of(context: Context) -> Configuration:
    """The preset `small` on text and at other lengths, or at the paper's scale the paper's."""
    name = context.scale.name
    settings = [*_SETTINGS.get(name, ()), f"study.seed={context.seed}"]
    if name != "paper":
        listed = ", ".join(f'"{source}"' for source in context.sources)
        settings = [*_TEXT, *settings]
        settings += [f"evaluation.sources=[{listed}]", f"workers.count={1 if name == 'smoke' else os.cpu_count()}"]
    return load_configuration(None, _PRESETS.get(name, "small"), settings)


def searched(context: Context) -> tuple[Path, Configuration]:
    """The run's folder, its search at its end, and how it was searched. Raises `UserError`."""
    configuration = configuration_of(context)
    run = context.runs / f"search-{digest(configuration.text())[:10]}"
    if (run / CONFIGURATION).is_file():
        continue_run(run, ())
    else:
        begin_run(run, configuration)
    context.say(f"searching in {run}")
    with search(run, configuration, say=context.say) as going:
        going()
    return run, configuration


def differences(configuration: Configuration) -> tuple[str, ...]:
    """What of the search is not the paper's."""
    sizes, evaluation, study = configuration.model, configuration.evaluation, configuration.study
    return (
        f"The search evaluated up to {study.trials} candidates of {configuration.space.layers} layers, {sizes.hidden} "
        f"wide, {evaluation.steps:,} steps each; the paper 760 of 12 layers, 768 wide, 40,000 steps each.",
        f"Candidates were scored by {evaluation.proxy} on {', '.join(evaluation.sources)}; the paper's by GLUE after "
        "pre-training on 16 GB of text.",
    )
