"""One candidate: built, filtered, trained, scored. Plain data in and out, so that any process can do it.

Nothing here is caught but what a candidate's own numbers do: a worker sees to exceptions, memory and time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from autobertc.dsl import parse
from autobertc.dsl.architecture import Architecture
from autobertc.runtime.build import build
from autobertc.runtime.flops import plain_flops
from autobertc.runtime.training.short_runs import Batch, NotFinite, ShortRun, train_steps
from autobertc.search.biws.candidates import candidate_tensors, extract
from autobertc.search.biws.kernels import decay_taps, undecayed
from autobertc.search.biws.snapshots import Snapshot, SnapshotError, read_snapshot, write_tensors
from autobertc.search.evaluation import junk
from autobertc.search.evaluation.job import CandidateJob, CandidateResult, State
from autobertc.search.evaluation.proxies import Proxy, Scores, make_proxy
from autobertc.search.evaluation.settings import EvaluationError, EvaluationSettings
from autobertc.search.randomness import seed_of

_JUNK_ROWS = 4
_LATENCY_RUNS = 5


class _Clock:
    """Seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass
class _Training:
    """What came of one learning rate."""

    state: State = "complete"
    reason: str = ""
    score: float = -math.inf
    scores: Scores = field(default_factory=dict)
    rungs: list[float] = field(default_factory=list)
    model: nn.Module | None = None


@dataclass
class _Work:
    """A job with all that its trainings share."""

    job: CandidateJob
    settings: EvaluationSettings
    architecture: Architecture
    proxy: Proxy
    snapshot: Snapshot | None
    device: str
    clock: _Clock

    def build(self) -> nn.Module:
        """The candidate with its weights before training."""
        torch.manual_seed(seed_of(self.job.seed, "weights") % 2**63)
        if self.snapshot is None:
            model: nn.Module = build(self.architecture, head=self.settings.head, backend="eager")
        else:
            model = extract(self.snapshot, self.architecture)
        return model.to(self.device).train()

    def batch(self, step: int) -> Batch:
        """The training batch of a step."""
        return {name: value.to(self.device) for name, value in self.proxy.batch(self.job.seed, step).items()}


def evaluate(job: CandidateJob) -> CandidateResult:
    """Train and score a candidate. The same job gives the same result, timings and latency apart, on the same kind of
    device with the same number of threads.

    A candidate that is junk or whose numbers stop being finite gives a failed result with the reason, one that a
    hurdle stops a stopped one. Raises `UserError` for settings, a snapshot or an output that cannot be.
    """
    clock = _Clock()
    with torch.random.fork_rng(devices=[]), clock.part("all"):
        result = _evaluate(job, clock)
    seconds = clock.seconds
    total = seconds.pop("all")
    if "score at rungs" in seconds:  # inside the training
        seconds["train"] -= seconds["score at rungs"]
    seconds["other"] = total - sum(seconds.values())
    return result


def _evaluate(job: CandidateJob, clock: _Clock) -> CandidateResult:
    settings = EvaluationSettings.from_dict(job.settings)
    with clock.part("prepare"):
        architecture = parse(job.genome)
        proxy = make_proxy(settings, architecture.sizes)
        snapshot = _snapshot(job, settings)
        flops = plain_flops(architecture, settings.length).total
    device = device_of(settings)
    work = _Work(job, settings, architecture, proxy, snapshot, device, clock)
    trainings = [_train(work, rate) for rate in settings.learning_rates]
    best = max(trainings, key=lambda each: each.score)
    known: dict[str, Any] = {"rungs": tuple(best.rungs), "timings": clock.seconds, "flops": flops}
    if best.model is None or not math.isfinite(best.score):
        chosen = next((each for each in trainings if each.state == "stopped"), trainings[0])
        state: State = "stopped" if chosen.state == "stopped" else "failed"
        return CandidateResult(job.number, state, chosen.reason, **{**known, "rungs": tuple(chosen.rungs)})
    with clock.part("measure"):
        parameters = sum(parameter.numel() for parameter in best.model.parameters())
        latency = _latency(best.model, work)
    with clock.part("write"):
        tensors = _leave(work, best.model)
    measured = {"score": best.score, "flops": -float(flops), "parameters": -float(parameters), "latency": -latency}
    return CandidateResult(
        job.number,
        "complete",
        values=tuple(measured[name] for name in settings.objectives),
        scores=best.scores,
        parameters=parameters,
        latency=latency,
        tensors=tensors,
        **known,
    )


def device_of(settings: EvaluationSettings) -> str:
    """ "cpu" or "cuda". Raises `EvaluationError` where a GPU is asked for and there is none."""
    if settings.device == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if settings.device == "cuda":
        raise EvaluationError('evaluation.device is "cuda", and torch finds no GPU here: set it to "auto" or "cpu"')
    return "cpu"


def _snapshot(job: CandidateJob, settings: EvaluationSettings) -> Snapshot | None:
    if job.snapshot is None:
        return None
    snapshot = read_snapshot(Path(job.snapshot))
    if snapshot.head != settings.head:
        raise SnapshotError(f"{job.snapshot} has the head {snapshot.head}, but the proxy needs {settings.head}")
    return snapshot


def _train(work: _Work, rate: float) -> _Training:
    """One training. A hurdle is passed over where the job is no plain candidate."""
    settings, clock, training = work.settings, work.clock, _Training()
    with clock.part("build"):
        model = work.build()
    if settings.junk_filter:
        with clock.part("junk"):
            try:
                junk.check(model, {name: value[:_JUNK_ROWS] for name, value in work.batch(0).items()})
            except junk.Junk as found:
                return _Training("failed", f"junk: {found}")
    run = ShortRun(settings.steps, rate, settings.warmup, settings.weight_decay)
    try:
        with clock.part("train"):
            train_steps(
                model,
                work.batch,
                run,
                undecayed=undecayed(model),
                decay=lambda amount: decay_taps(model, amount),
                after=_Hurdles(work, model, training) if settings.hurdles else None,
            )
        if training.state == "stopped":
            return training
        with clock.part("score"):
            training.score, training.scores = work.proxy.score(model, work.architecture, work.job.seed)
    except NotFinite as error:
        training.state, training.reason = "failed", str(error)
        return training
    if not math.isfinite(training.score):
        training.state, training.reason = "failed", "the score is not a finite number"
        return training
    if settings.hurdles:
        training.rungs.append(training.score)
    training.model = model
    return training


class _Hurdles:
    """Scores at the rungs, called after each step; true where the candidate stops."""

    def __init__(self, work: _Work, model: nn.Module, training: _Training) -> None:
        self.work, self.model, self.training = work, model, training
        settings = work.settings
        self.steps = [max(1, round(share * settings.steps)) for share in settings.rungs[:-1]]

    def __call__(self, step: int) -> bool:
        if step not in self.steps:
            return False
        with self.work.clock.part("score at rungs"):
            score = self.work.proxy.quick(self.model)
        if not math.isfinite(score):
            raise NotFinite(f"the score is not a finite number after {step} steps")
        rung, job = len(self.training.rungs), self.work.job
        self.training.rungs.append(score)
        thresholds = job.thresholds if job.purpose == "candidate" else ()
        if rung < len(thresholds) and not score >= thresholds[rung]:
            self.training.state = "stopped"
            share = self.work.settings.rungs[rung]
            self.training.reason = f"at {share:.0%} of the steps {score:.4f}, below {thresholds[rung]:.4f}"
            return True
        return False


@torch.no_grad()
def _latency(model: nn.Module, work: _Work) -> float:
    """Seconds of a forward pass for one sequence, in batches: the median of a few."""
    ids = work.batch(0)["input_ids"]
    base: Any = model.eval().bert
    seconds = []
    for _ in range(_LATENCY_RUNS):
        start = time.perf_counter()
        base(input_ids=ids)
        if ids.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return median(seconds) / len(ids)


def _leave(work: _Work, model: nn.Module) -> str | None:
    """Write what the candidate trained, where the job asks for it and there is a super-net to take it."""
    if work.job.output is None or work.snapshot is None:
        return None
    write_tensors(Path(work.job.output), candidate_tensors(model, work.architecture, work.snapshot.sharing))
    return work.job.output
