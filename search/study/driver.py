"""The driver of a search: round after round, every step kept before the next.

A round is proposed whole from what earlier rounds gave, numbered and written down before any of it is evaluated. What
an evaluation gives is written down when it comes. So a driver killed at any instant is continued by the next one: it
proposes the same round again, finds what is done, and does what is not.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from autobertc.dsl.architecture import Sizes
from autobertc.dsl.errors import UserError
from autobertc.search.genome import Genome
from autobertc.search.strategies.base import Proposal, Strategy
from autobertc.search.strategies.selection import best, current_values
from autobertc.search.study.features import Features
from autobertc.search.study.locks import Lock
from autobertc.search.study.plan import Plan
from autobertc.search.study.records import ANCHOR, Evaluation, Round, Session, Trial
from autobertc.search.study.storage import StudyStorage, now, over_anchor
from autobertc.search.study.weights import Weights
from autobertc.search.study.workers.base import Answer, Task, Workers

# How often the anchor is tried, without which the scores of a round mean nothing, and what met a damaged snapshot.
TRIES = 3
# Seconds between notes of how long a driver has been at work: what a kill leaves uncounted.
NOTED_EVERY = 60.0


class Watcher(Protocol):
    """Is told how a search goes."""

    def round_begins(self, number: int, trials: int) -> None:
        """A round with so many candidates, evaluated or not."""
        ...

    def trial_ends(self, trial: Trial) -> None:
        """A candidate has its final state, now or, after a resume, before."""
        ...

    def tick(self) -> None:
        """Now and then."""
        ...


class Quiet:
    """Watches and says nothing."""

    def round_begins(self, number: int, trials: int) -> None: ...

    def trial_ends(self, trial: Trial) -> None: ...

    def tick(self) -> None: ...


@dataclass
class Driver:
    """A search to run to its end. Hold the study's lock meanwhile.

    Attributes:
        sizes: that candidates are built at.
        weights: None: every candidate starts from scratch, and nothing is scored again.
        key: what a genome computes, in a few characters, to be kept with its trial.
    """

    storage: StudyStorage
    strategy: Strategy
    plan: Plan
    workers: Workers
    sizes: Sizes
    features: Features
    weights: Weights | None = None
    key: Callable[[Genome], str] = lambda genome: ""
    watcher: Watcher = field(default_factory=Quiet)
    lock: Lock | None = None
    _stash: list[Answer] = field(default_factory=list)
    _restored: float = 0.0
    _session_started: float = 0.0
    _before: float = 0.0
    _noted: float = field(default_factory=time.monotonic)

    def run(self) -> str:
        """Search until the budget is spent; returns why it ended. Raises `UserError` where it cannot go on."""
        self.begin()
        if self.weights is not None and not self.storage.rounds() and self.weights.digest(0) is None:
            self.weights.begin()
        for done in self.storage.trials():
            if done.state != "running":
                self.watcher.trial_ends(done)
        try:
            number = len(self.storage.rounds())
            while (reason := self.finished(number)) is None:
                if not self._round(number):
                    reason = "there is nothing new left to propose"
                    break
                number += 1
        finally:
            self.note_session()
        return reason

    def begin(self) -> None:
        """From here on time is counted; `run` does it where nothing came before."""
        if not self._session_started:
            self._before = sum(each.finished - each.started for each in self.storage.sessions())
            self._session_started = now()

    def finished(self, number: int) -> str | None:
        """Why the search ends before this round, None where it goes on."""
        if self._size(number) == 0:
            return f"the budget of {self.plan.trials:,} candidates is spent"
        if self.plan.seconds and self._before + now() - self._session_started >= self.plan.seconds:
            return f"the budget of {self.plan.seconds / 3600:g} hours is spent"
        if self.plan.patience and number >= self.plan.initial_rounds + self.plan.patience:
            tops = {self._top(number - back) for back in range(self.plan.patience + 1)}
            if len(tops) == 1:
                return f"the best {self.plan.parents} have not changed for {self.plan.patience} rounds"
        return None

    def _size(self, number: int) -> int:
        """How many candidates a round has: the plan's, and all that were proposed under a larger budget."""
        begun = sum(trial.round == number for trial in self.storage.trials())
        return max(begun, self.plan.size(number, self._count_before(number)))

    def _count_before(self, number: int) -> int:
        return sum(trial.round < number for trial in self.storage.trials())

    def _top(self, before: int) -> frozenset[int]:
        """The numbers of the best K, as they were before a round."""
        known = current_values(self.storage.history(before))
        return frozenset(record.number for record in best(known, self.plan.parents))

    # A round

    def _round(self, number: int) -> bool:
        """One round; False where nothing could be proposed."""
        started = time.monotonic()
        self._restore(number)
        trials = self._propose(number)
        if not trials:
            return False
        self.watcher.round_begins(number, len(trials))
        proposed = time.monotonic()
        anchor = self._evaluate_round(number, trials)
        evaluated = time.monotonic()
        winners, digest = self._write_back(number)
        seconds = {
            "propose": proposed - started,
            "evaluate": evaluated - proposed,
            "write back": time.monotonic() - evaluated,
        }
        rescored = {
            each.number: values
            for each in self.storage.evaluations()
            if each.round == number and each.number != ANCHOR and (values := over_anchor(each.result, anchor))
        }
        self.tick()
        self.storage.set_round(Round(number, len(trials), anchor, rescored, winners, digest, seconds))
        if self.weights is not None:
            self.weights.clean()
        self.note_session()
        return True

    def _propose(self, number: int) -> list[Trial]:
        """The round's trials, all of them written down."""
        before = self._count_before(number)
        known = {trial.number: trial for trial in self.storage.trials() if trial.round == number}
        proposals = self.strategy.propose(self.storage.history(number), number, self._size(number))
        trials = [self._trial(before + slot, number, slot, proposal) for slot, proposal in enumerate(proposals)]
        for trial in trials:
            old = known.get(trial.number)
            if old is None:
                self.storage.add(trial, self.features)
            elif self.storage.genome(old) != self.storage.genome(trial):
                raise UserError(
                    f"candidate {trial.number} is not what the study proposed before: it was begun with another "
                    "version of autobertc or another configuration, and cannot be continued with this one"
                )
        return [self.storage.trial(trial.number) for trial in trials]

    def _trial(self, number: int, round: int, slot: int, proposal: Proposal) -> Trial:
        return Trial(
            number,
            round,
            slot,
            proposal.genome.text(self.sizes, f"candidate-{number}"),
            proposal.origin,
            proposal.parents,
            proposal.edits,
            proposal.probabilities,
            proposal.redraws,
            proposal.rejected,
            self.key(proposal.genome),
        )

    def _evaluate_round(self, number: int, trials: Sequence[Trial]) -> tuple[float, ...]:
        """Evaluate what is not; returns the anchor's objectives."""
        snapshot = str(self.weights.path(number)) if self.weights is not None else None
        done = {(each.round, each.number) for each in self.storage.evaluations()}
        anchored = number if self.weights is not None else 0
        tasks = []
        if self.plan.anchor and (anchored, ANCHOR) not in done:
            tasks.append(Task(f"anchor:{anchored}", self.plan.anchored(anchored, snapshot)))
        if self.weights is not None:
            parents = sorted({parent for trial in trials for parent in trial.parents})
            tasks += [
                Task(f"parent:{parent}", self.plan.parent(self.storage.trial(parent), number, snapshot))
                for parent in parents
                if (number, parent) not in done
            ]
        before = [trial for trial in self.storage.trials() if trial.round < number]
        tasks += [self._task(trial, snapshot, before) for trial in trials if trial.result is None]
        self._finish_known(anchored)
        self._evaluate(tasks, number, anchored)
        return self._anchor(anchored) or ()

    def _task(self, trial: Trial, snapshot: str | None, before: Sequence[Trial]) -> Task:
        output = str(self.weights.output(trial.number)) if self.weights is not None else None
        return Task(f"trial:{trial.number}", self.plan.candidate(trial, snapshot, output, before))

    def _evaluate(self, tasks: Sequence[Task], number: int, anchored: int) -> None:
        """Have tasks done, and write each answer down."""
        waiting = {task.key: task for task in tasks}
        tries: dict[str, int] = {}
        for task in tasks:
            self.workers.submit(task)
        while waiting:
            for answer in self._answers(waiting):
                task = waiting.pop(answer.key)
                self._stop_in_trouble(answer)
                tries[answer.key] = tries.get(answer.key, 0) + 1
                if self._again(task, answer, number, tries[answer.key]):
                    waiting[task.key] = task
                    self.workers.submit(task)
                else:
                    self._keep(task, answer, number, anchored)

    def _answers(self, wanted: Container[str]) -> list[Answer]:
        """Answers to tasks of these keys, after waiting a while for one; others are put by."""
        self._stash += self.workers.wait(0.0 if self._stash else 1.0)
        answers = [answer for answer in self._stash if answer.key in wanted]
        self._stash = [answer for answer in self._stash if answer.key not in wanted]
        self.tick()
        return answers

    def tick(self) -> None:
        """To be called now and then. Raises `SecondDriver` where another driver has taken the study over."""
        self.watcher.tick()
        if time.monotonic() - self._noted > NOTED_EVERY:
            self.note_session()
        if self.lock is not None:
            self.lock.check()

    def _stop_in_trouble(self, answer: Answer) -> None:
        if answer.trouble:
            raise UserError(f"the search stops: {answer.trouble}. Nothing is lost: see to that, then resume")

    def _again(self, task: Task, answer: Answer, number: int, tries: int) -> bool:
        """Whether to try again: the snapshot was damaged, and is whole again; or it is the anchor, which is needed."""
        if answer.result.state != "failed":
            if task.job.purpose == "anchor" and answer.result.state != "complete":
                raise UserError(f"the anchor was not evaluated to the end: {answer.result.reason}")
            return False
        if self.weights is not None and self.weights.digest(number) is None:
            self._restore(number)
            self._restored = now()
        if answer.started < self._restored and tries < TRIES:
            return True
        if task.job.purpose == "anchor":
            if tries < TRIES:
                return True
            raise UserError(
                f"the anchor, which every round's scores are relative to, could not be scored: {answer.result.reason}"
            )
        return False

    def _keep(self, task: Task, answer: Answer, number: int, anchored: int) -> None:
        """Write an answer down; candidates get their values once the anchor has its own."""
        evaluation = Evaluation(number, task.job.number, answer.result, answer.started, answer.finished, answer.worker)
        if task.job.purpose == "candidate":
            self.storage.set_result(task.job.number, evaluation)
        else:
            self.storage.set_evaluation(evaluation)
        self._finish_known(anchored)

    def _finish_known(self, anchored: int) -> None:
        """Give final states to candidates with a result, if the anchor is known."""
        anchor = self._anchor(anchored)
        if anchor is None:
            return
        for trial in self.storage.trials():
            if trial.state == "running" and trial.result is not None:
                self.storage.finish(trial.number, anchor)
                self.watcher.trial_ends(self.storage.trial(trial.number))

    def _anchor(self, round: int) -> tuple[float, ...] | None:
        """The anchor's objectives in a round; none where it is not scored yet, empty where there is no anchor."""
        if not self.plan.anchor:
            return ()
        found = [each for each in self.storage.evaluations() if (each.round, each.number) == (round, ANCHOR)]
        return found[0].result.values if found else None

    # Weights

    def _write_back(self, number: int) -> tuple[dict[int, int], str]:
        """The next round's snapshot; what each child gave, and the snapshot's digest."""
        if self.weights is None:
            return {}, ""
        children = [trial for trial in self.storage.trials() if trial.round == number and trial.state == "complete"]
        self._train_again([trial for trial in children if not self.weights.trained(trial.number)], number)
        winners = self.weights.write_back(number, [(trial.number, trial.values[0]) for trial in children])
        return winners, self.weights.digest(number + 1) or ""

    def _train_again(self, trials: Sequence[Trial], number: int) -> None:
        """Evaluate candidates whose scores are known for what they trained, which is not there."""
        assert self.weights is not None
        before = [trial for trial in self.storage.trials() if trial.round < number]
        snapshot = str(self.weights.path(number))
        tasks = [self._task(trial, snapshot, before) for trial in trials]
        waiting = {f"again:{task.job.number}": task.job.number for task in tasks}
        for task in tasks:
            self.workers.submit(Task(f"again:{task.job.number}", task.job))
        while waiting:
            for answer in self._answers(waiting):
                self._stop_in_trouble(answer)
                trial = self.storage.trial(waiting.pop(answer.key))
                assert trial.result is not None
                again = f"candidate {trial.number}, evaluated again for its weights,"
                if answer.result.state != "complete":
                    raise UserError(f"{again} failed: {answer.result.reason}. Resume to try once more")
                # The score alone: a measured latency is never the same.
                if answer.result.values[0] != trial.result.values[0]:
                    raise UserError(
                        f"{again} scored {answer.result.values[0]} and not {trial.result.values[0]}: another device, "
                        "another number of threads or another version"
                    )

    def _restore(self, number: int) -> None:
        """See that the round's snapshot is whole; make it again from the one before where it is not.

        Raises `UserError` where neither is.
        """
        if self.weights is None:
            return
        expected = self.storage.rounds()[number - 1].snapshot if number else None
        found = self.weights.digest(number)
        if found is not None and expected in (None, found):
            return
        if number == 0:
            self.weights.begin()
            return
        if self.weights.digest(number - 1) is None:
            raise UserError(
                f"the super-net's snapshot {self.weights.path(number)} is damaged or missing, and so is the one "
                "before it: the search cannot go on from here"
            )
        self._write_back(number - 1)
        if self.weights.digest(number) != expected:
            raise UserError(f"the super-net's snapshot {self.weights.path(number)} could not be made again")

    def note_session(self) -> None:
        """Keep how long this driver has been at work."""
        self._noted = time.monotonic()
        session = Session(
            self._session_started, now(), self.workers.describe(), self.workers.places, socket.gethostname()
        )
        self.storage.set_session(session)
