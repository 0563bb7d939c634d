"""A run's folder as the data of its report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from autobertc.search.configuration import Configuration
from autobertc.search.report.data import ReportData
from autobertc.search.report.from_run import Setting, report_data
from autobertc.search.strategies.genome_space import GenomeSpace
from autobertc.search.strategies.registry import combination
from autobertc.search.study.assembly import make_strategy, open_run
from autobertc.search.study.storage import DEFAULT_NAME, StudyStorage

_STRATEGIES = {
    "random": "random search",
    "evolution": "evolution",
    "aging": "aging evolution",
    "op-nas": "OP-NAS",
    "op-nas-paper": "OP-NAS as published",
}
_PROXIES = {"mechanistic": "mechanistic tasks", "masked-lm": "masked-LM loss"}
_SCORES = {"mechanistic": "accuracy", "masked-lm": "masked-LM score"}


def read_run(run: Path, command: str | None = None) -> ReportData:
    """The report's data of a run, finished or not, also while it runs. Raises `UserError` where there is none.

    `command` trains the winner, whose file lies beside the page as winner.abz.
    """
    storage, configuration = open_run(run)
    strategy = make_strategy(configuration, GenomeSpace(configuration.space))
    data = report_data(storage, setting_of(storage, configuration, command), strategy)
    # Most studies have the default's name; runs are told apart by their folders.
    return replace(data, name=run.resolve().name) if storage.name == DEFAULT_NAME else data


def setting_of(storage: StudyStorage, configuration: Configuration, command: str | None = None) -> Setting:
    """What a report says of a configuration."""
    evaluation, meta = configuration.evaluation, storage.meta
    name = configuration.strategy.name
    plain = name.removesuffix("-sharing")
    words = _STRATEGIES.get(plain, plain) + (" with shared weights" if configuration.sharing else "")
    device, threads = str(meta.get("device", "cpu")), int(meta.get("threads", 1))
    graphics = device.startswith("cuda")
    setting = Setting(
        strategy=words,
        proxy=_PROXIES.get(evaluation.proxy) or ", ".join(evaluation.task_names),
        score=_SCORES.get(evaluation.proxy, "score"),
        sharing=configuration.sharing,
        device=f"{device.removeprefix('cuda ')} GPU" if graphics else "CPU",
        threads=1 if graphics else threads,
        steps=evaluation.steps,
        configuration=configuration.text(),
        facts=_facts(meta, configuration, threads),
    )
    return setting if command is None else replace(setting, command=command)


def _facts(meta: dict[str, object], configuration: Configuration, threads: int) -> dict[str, str]:
    preset = combination(configuration.strategy.name).preset
    facts = {
        "autobertc": str(meta.get("version", "")),
        "device": str(meta.get("device", "")),
        "threads of a worker": str(threads),
        "seed": str(configuration.study.seed),
        "priorities": preset.name if preset else "",
    }
    return {name: text for name, text in facts.items() if text}
