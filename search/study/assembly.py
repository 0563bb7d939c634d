"""A search made of its configuration: study, strategy, weights, workers and driver, and what they do in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from autobertc.dsl import load
from autobertc.dsl.errors import UserError
from autobertc.runtime.files import write_text
from autobertc.search.configuration import Configuration, check_same, load_configuration
from autobertc.search.evaluation import hurdles
from autobertc.search.evaluation.named import NAMES, named
from autobertc.search.evaluation.settings import EvaluationSettings
from autobertc.search.genome import Genome
from autobertc.search.identity import KeyCache
from autobertc.search.randomness import generator, seed_of
from autobertc.search.sampling import sample_genome
from autobertc.search.strategies.base import Strategy
from autobertc.search.strategies.genome_space import GenomeSpace
from autobertc.search.strategies.priorities import Preset
from autobertc.search.strategies.random_search import Settings
from autobertc.search.strategies.registry import combination, strategy
from autobertc.search.study import stages
from autobertc.search.study.database import sqlite_file
from autobertc.search.study.driver import Driver, Quiet, Watcher
from autobertc.search.study.features import Features
from autobertc.search.study.locks import only_driver
from autobertc.search.study.plan import Plan, no_thresholds
from autobertc.search.study.records import Trial
from autobertc.search.study.storage import StudyStorage
from autobertc.search.study.weights import SupernetWeights
from autobertc.search.study.workers import WorkerSettings, make_workers

CONFIGURATION = "search.toml"
DATABASE = "study.db"


def locate(run: Path, configuration: Configuration) -> tuple[str, str]:
    """The URL of a run's storage, and the study's name there."""
    url = configuration.study.storage or f"sqlite:///{run.resolve() / DATABASE}"
    return url, configuration.study.name


def open_run(run: Path) -> tuple[StudyStorage, Configuration]:
    """A run to look at. Raises `UserError` where it is none."""
    path = run / CONFIGURATION
    if not path.is_file():
        raise UserError(f"{run} is no run of a search: it has no {CONFIGURATION}")
    configuration = load_configuration(path)
    url, name = locate(run, configuration)
    file = sqlite_file(url)
    if file is not None and not file.exists():  # opening it would make one
        raise UserError(f"{run} has no study yet: there is no {file}")
    return StudyStorage.load(url, name), configuration


def begin_run(run: Path, configuration: Configuration) -> None:
    """Make the folder of a new run. Raises `UserError` where there is one already, or something else, and for a search
    that cannot be."""
    if (run / CONFIGURATION).exists():
        raise UserError(f"there is a run in {run} already: `autobertc search resume {run}`, or name another folder")
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise UserError(f"cannot search in {run}: it is there already, and not empty")
    # What cannot be searched leaves no folder behind.
    url, name = locate(run, configuration)
    if url == ":memory:":
        raise UserError("study.storage: a run has to outlast its process, which `:memory:` does not")
    if not configuration.study.storage and any(sign in str(run.resolve()) for sign in "?%#"):
        raise UserError(f"cannot search in {run}: `?`, `%` and `#` mean something else in a storage's URL; rename it")
    _named_finalists(configuration)
    make_strategy(configuration, GenomeSpace(configuration.space, KeyCache()))
    plan = make_plan(configuration)
    make_workers(worker_settings(configuration))
    device_class(configuration)
    if configuration.study.storage:
        storage = StudyStorage(url, name)
        if storage.exists():
            _check_study(storage, configuration, plan)
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / CONFIGURATION, configuration.text())


def continue_run(run: Path, settings: Sequence[str]) -> Configuration:
    """The configuration to go on with. Raises `UserError` where there is no run, or a setting must not change."""
    path = run / CONFIGURATION
    if not path.is_file():
        raise UserError(f"{run} is no run of a search: it has no {CONFIGURATION}")
    configuration = load_configuration(path, settings=settings)
    if settings:
        before = load_configuration(path)
        check_same(before.everything(), configuration)
        if locate(run, configuration) != locate(run, before):
            StudyStorage.load(*locate(run, configuration))  # moved; an empty storage would be another study
    return configuration


def make_strategy(configuration: Configuration, domain: GenomeSpace) -> Strategy:
    """The strategy of a configuration. Raises `UserError`."""
    section = configuration.strategy
    chosen = {name: getattr(section, name) for name in ("population", "parents", "redraws", "both", "crossover")}
    genomes = tuple(_architecture(name, configuration) for name in section.named)
    for name, genome in zip(section.named, genomes, strict=True):
        if reason := configuration.space.legal_genome(genome):
            raise UserError(f"strategy.named: {name} is outside the space: {reason}")
    settings = Settings(**chosen, named=genomes, alive=section.alive, tournament=section.tournament)
    return strategy(section.name, domain, settings, configuration.study.seed, _preset(configuration))


def _preset(configuration: Configuration) -> Preset | None:
    """The priorities' preset with what the configuration changes; None where there are no priorities."""
    section, preset = configuration.strategy, combination(configuration.strategy.name).preset
    if preset is None:
        return None
    names = ("alpha", "tau", "contrast", "shrinkage")
    changes = {name: getattr(section, name) for name in names if getattr(section, name) is not None}
    return replace(preset, **changes)


def _architecture(name: str, configuration: Configuration) -> Genome:
    """A named architecture, or a file's layers. Raises `UserError`."""
    if name in NAMES:
        return named(name, configuration.space.layers)
    if not Path(name).exists():
        raise UserError(f"{name!r} is no architecture's name ({', '.join(NAMES)}) and no file")
    genome = Genome(load(Path(name)).layers)
    if len(genome) != configuration.space.layers:
        raise UserError(f"{name} has {len(genome)} layers, and the space {configuration.space.layers}")
    return genome


def _named_finalists(configuration: Configuration) -> list[tuple[str, str]]:
    """Those of the last stage that no search found: name and `.abz` text. Raises `UserError`."""
    sizes = configuration.model.sizes
    return [(name, _architecture(name, configuration).text(sizes, name)) for name in configuration.last_stage.named]


def make_plan(configuration: Configuration) -> Plan:
    """How the search goes on."""
    study, section, evaluation = configuration.study, configuration.strategy, configuration.evaluation
    sizes = configuration.model.sizes
    anchor = _architecture(study.anchor, configuration).text(sizes, "anchor") if study.anchor else ""
    return Plan(
        study.seed,
        study.trials,
        study.hours * 3600,
        study.patience,
        section.population,
        section.initial_rounds,
        section.parents,
        section.children,
        anchor,
        evaluation.to_dict(),
        partial(_thresholds, evaluation) if evaluation.hurdles else no_thresholds,
    )


def _thresholds(evaluation: EvaluationSettings, before: Sequence[Trial]) -> tuple[float, ...]:
    """Of finished rounds: what candidates had reached at the rungs."""
    reached = [trial.result.rungs for trial in before if trial.result is not None and trial.result.rungs]
    return hurdles.thresholds(reached, len(evaluation.rungs))


def device_class(configuration: Configuration) -> str:
    """What scores are made on, as far as their bits depend on it. Raises `UserError` for a GPU that is not there."""
    import torch

    from autobertc.search.evaluation.candidate import device_of

    if configuration.workers.kind == "ray" and not torch.cuda.is_available():
        return "cpu"  # of this machine; the cluster's machines find out for themselves
    return f"cuda {torch.cuda.get_device_name()}" if device_of(configuration.evaluation) == "cuda" else "cpu"


def candidate_key(cache: KeyCache, genome: Genome) -> str:
    """A hash of a candidate's key."""
    return blake2b(repr(cache.candidate(genome)).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True)
class Search:
    """A search, ready to go.

    Attributes:
        driver: of the rounds; its workers are started.
    """

    run: Path
    configuration: Configuration
    driver: Driver
    say: Callable[[str], None]

    def __call__(self) -> Trial | None:
        """The gate, the rounds, the last stage; returns the winner. Raises `UserError`."""
        storage = self.driver.storage
        if storage.attribute(stages.FINISHED) is not None:  # a larger budget, another last stage
            storage.set_attribute(stages.FINISHED, None)
        self.driver.begin()
        self._gate()
        if storage.attribute(stages.FINAL) is not None and self.driver.finished(len(storage.rounds())) is None:
            storage.set_attribute(stages.FINAL, None)  # its trainings are kept, should the same be the best
        reason = self.driver.run()
        self.say(f"the search ended: {reason}")
        self._last_stage()
        storage.set_attribute(stages.FINISHED, reason)
        self.driver.note_session()
        return stages.winner(storage)

    def _gate(self) -> None:
        gate, driver = self.configuration.gate, self.driver
        if not gate.enabled or driver.storage.trials():
            return
        if driver.weights is not None and driver.weights.digest(0) is None:
            driver.weights.begin()
        snapshot = str(driver.weights.path(0)) if driver.weights is not None else None
        known = driver.storage.attribute(stages.GATE) is not None
        verdict = stages.run_gate(
            driver.storage,
            driver.workers,
            self._gate_genomes(gate.architectures),
            gate.seeds,
            self.configuration.evaluation,
            self.configuration.study.seed,
            snapshot,
            driver.tick,
        )
        if not known:
            self.say(verdict["statement"])

    def _gate_genomes(self, count: int) -> list[str]:
        """Named architectures of the space, which differ much, then random ones."""
        configuration = self.configuration
        space, sizes = configuration.space, configuration.model.sizes
        found = [genome for name in NAMES if not space.legal_genome(genome := named(name, space.layers))][:count]
        for index in range(count - len(found)):
            found.append(sample_genome(space, generator(configuration.study.seed, "gate", index)))
        return [genome.text(sizes, f"gate-{index}") for index, genome in enumerate(found)]

    def _last_stage(self) -> None:
        stage, driver = self.configuration.last_stage, self.driver
        if not stage.top:
            return
        others = _named_finalists(self.configuration)
        chosen = stages.finalists(driver.storage, stage.top, stage.random, others)
        if not any(each.number is not None for each in chosen):
            return
        found = stages.run_last_stage(
            driver.storage,
            driver.workers,
            chosen,
            stage.seeds,
            self.configuration.evaluation,
            self.configuration.study.seed,
            stage.steps or None,
            driver.tick,
        )
        for each in found["standings"]:
            mean = "failed" if each["mean"] is None else f"{each['mean']:.4f}"
            number = "" if each["number"] is None else f" (candidate {each['number']})"
            self.say(f"from scratch: {each['label']}{number}: {mean} in {each['steps']:,} steps")


@contextmanager
def search(
    run: Path,
    configuration: Configuration,
    watcher: Watcher | None = None,
    say: Callable[[str], None] = print,
    evaluate: str | None = None,
) -> Iterator[Search]:
    """A run's search, as its only driver, with workers that are ended afterwards. Raises `UserError`.

    `evaluate` stands in for the evaluation of candidates, "package.module:function".
    """
    domain = GenomeSpace(configuration.space, KeyCache())
    made = make_strategy(configuration, domain)
    plan = make_plan(configuration)
    from autobertc.search.biws.snapshots import FOLDER

    storage = StudyStorage(*locate(run, configuration))
    workers = make_workers(worker_settings(configuration, evaluate))
    if storage.exists():
        _check_study(storage, configuration, plan)
    elif (run / FOLDER).exists():
        raise UserError(f"the study of {run} is gone from {storage.url}: without it there is nothing to go on with")
    storage.prepare(configuration.evaluation.objectives)
    with only_driver(storage) as lock:
        if not storage.exists():
            storage.create(_meta(configuration, plan), configuration.evaluation.objectives)
        _check_study(storage, configuration, plan)
        write_text(run / CONFIGURATION, configuration.text())  # as it is gone on with
        workers.start()
        try:
            features = Features(configuration.space.layers, configuration.space.length[1])
            weights = _weights(run, configuration) if configuration.sharing else None
            key = partial(candidate_key, domain.cache)
            sizes = configuration.model.sizes
            driver = Driver(storage, made, plan, workers, sizes, features, weights, key, watcher or Quiet(), lock)
            yield Search(run, configuration, driver, say)
        finally:
            workers.close()


def worker_settings(configuration: Configuration, evaluate: str | None = None) -> WorkerSettings:
    """Who evaluates by a configuration; `evaluate` as for `search`."""
    chosen = vars(configuration.workers)
    return WorkerSettings(**chosen) if evaluate is None else WorkerSettings(**chosen, evaluate=evaluate)


def _weights(run: Path, configuration: Configuration) -> SupernetWeights:
    from autobertc.search.biws.supernet import Sharing

    section = configuration.supernet
    return SupernetWeights(
        run,
        configuration.model.sizes,
        configuration.space.layers,
        configuration.evaluation.head,
        Sharing(section.feed_forward, section.norms),
        section.write_back,
        seed_of(configuration.study.seed, "supernet") % 2**63,
    )


def _meta(configuration: Configuration, plan: Plan) -> dict[str, Any]:
    from autobertc import __version__

    return {
        "version": __version__,
        "configuration": configuration.everything(),
        "anchor": plan.anchor,
        "threads": configuration.workers.threads,
        "device": device_class(configuration),
    }


def _check_study(storage: StudyStorage, configuration: Configuration, plan: Plan) -> None:
    """That the study in the storage is this configuration's. Raises `UserError`."""
    storage.check_format()
    meta = storage.meta
    check_same(meta["configuration"], configuration)
    if meta.get("anchor", plan.anchor) != plan.anchor:
        raise UserError(
            f"{configuration.study.anchor}, the anchor that every score is relative to, is not what it was when the "
            "study was begun: put it back, or begin another study"
        )
    device = device_class(configuration)
    if meta["device"] != device:
        raise UserError(
            f"this study's scores were made on {meta['device']}, and here is {device}: they cannot be compared. "
            "Resume it on such a device, or begin another study"
        )
