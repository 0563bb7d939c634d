"""The driver: rounds, anchors, parents scored again, write-back, budgets, and what failures become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from search_fakes import NumberWeights, driver, location, outcome, plan

from autobertc.dsl.errors import UserError
from autobertc.search.study.records import ANCHOR, Trial
from autobertc.search.study.storage import StudyStorage
from autobertc.search.study.workers.base import WorkerSettings


def test_a_search_improves(tmp_path: Path) -> None:
    search = driver(tmp_path)
    assert search.run() == "the budget of 24 candidates is spent"
    storage = search.storage
    assert [each.trials for each in storage.rounds()] == [4, 4, 6, 6, 4]
    assert [trial.number for trial in storage.trials()] == list(range(24))
    assert all(trial.state == "complete" for trial in storage.trials())
    first = max(trial.values[0] for trial in storage.trials()[:8])
    assert max(trial.values[0] for trial in storage.trials()) > first


def test_scores_are_less_the_anchor(tmp_path: Path) -> None:
    """Later rounds inherit more training, one a round here; what is left after the anchor does not drift."""
    search = driver(tmp_path)
    search.run()
    storage = search.storage
    anchors = {each.round: each.result.values[0] for each in storage.evaluations() if each.number == ANCHOR}
    assert sorted(anchors) == [0, 1, 2, 3, 4] and anchors[4] - anchors[0] == pytest.approx(4, abs=4)
    for trial in storage.trials():
        assert trial.result is not None and trial.anchor == (anchors[trial.round],)
        assert trial.values == (trial.result.values[0] - anchors[trial.round],)


def test_parents_are_scored_again(tmp_path: Path) -> None:
    search = driver(tmp_path)
    search.run()
    storage = search.storage
    for number, each in enumerate(storage.rounds()):
        parents = {parent for trial in storage.trials() if trial.round == number for parent in trial.parents}
        assert each.rescored.keys() == parents and bool(parents) == (number >= 2)
    history = storage.history()
    assert history.rescored and all(
        history.rescored[number] != storage.trial(number).values for number in history.rescored
    )


def test_the_best_child_is_written_back(tmp_path: Path) -> None:
    search = driver(tmp_path)
    search.run()
    for each in search.storage.rounds():
        children = [trial for trial in search.storage.trials() if trial.round == each.number]
        best = max(children, key=lambda trial: trial.values)
        assert each.winners == {best.number: 1}
    weights = NumberWeights(tmp_path / "weights")
    assert weights.digest(5) == search.storage.rounds()[-1].snapshot
    assert sorted(path.name for path in weights.folder.glob("round-*")) == ["round-4.txt", "round-5.txt"]
    assert list(weights.folder.joinpath("trained").iterdir()) == []


def test_without_sharing(tmp_path: Path) -> None:
    """From scratch the anchor is scored once, and nothing is scored again."""
    search = driver(tmp_path, sharing=False)
    search.run()
    assert [(each.round, each.number) for each in search.storage.evaluations()] == [(0, ANCHOR)]
    assert {trial.anchor for trial in search.storage.trials()} == {search.storage.trial(0).anchor}
    assert not list(tmp_path.glob("weights"))


class Dies(Exception):
    """Stands for a kill."""


class KillsAt:
    """Ends the driver after so many final states and ticks."""

    def __init__(self, count: int) -> None:
        self.left = count

    def _step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Dies

    def round_begins(self, number: int, trials: int) -> None:
        self._step()

    def trial_ends(self, trial: Trial) -> None:
        self._step()

    def tick(self) -> None:
        self._step()


def test_resumed_anywhere_it_ends_the_same(tmp_path: Path) -> None:
    """At each of its steps in turn, without what the process knew."""
    whole = driver(tmp_path / "whole")
    whole.run()
    expected = outcome(whole.storage)
    folder = tmp_path / "killed"
    kills = 0
    for step in range(1, 100):
        try:
            driver(folder, watcher=KillsAt(step)).run()
        except Dies:
            kills += 1
            continue
        break
    assert kills > 20
    assert outcome(StudyStorage.load(location(folder))) == expected


def dying(real: Callable[..., object], left: list[int], after: bool) -> Callable[..., object]:
    """A write that ends the driver when its turn has come, done or not."""

    def call(*arguments: object) -> object:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise Dies
        value = real(*arguments)
        if left[0] == 0:
            raise Dies
        return value

    return call


def test_killed_between_any_two_writes_it_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver dies before and after the n-th write to the study, for a spread of n."""
    whole = driver(tmp_path / "whole", plan(trials=12))
    whole.run()
    expected = outcome(whole.storage)
    writes = ("create_new_trial", "set_trial_user_attr", "set_trial_state_values", "set_study_user_attr")
    for after in (False, True):
        folder, deaths = tmp_path / f"killed {after}", 0
        for step in range(2, 60, 4):
            search = driver(folder, plan(trials=12))
            left = [step]
            for name in writes:
                real = getattr(search.storage.database, name)
                monkeypatch.setattr(search.storage.database, name, dying(real, left, after))
            try:
                search.run()
            except Dies:
                deaths += 1
                continue
            break
        assert deaths >= 5
        driver(folder, plan(trials=12)).run()
        assert outcome(StudyStorage.load(location(folder))) == expected


def test_more_budget_goes_on_where_it_ended(tmp_path: Path) -> None:
    whole = driver(tmp_path / "whole")
    whole.run()
    driver(tmp_path / "longer", plan(trials=14)).run()  # the end of a round: a shorter last round would be another
    longer = driver(tmp_path / "longer")
    longer.run()
    assert outcome(longer.storage) == outcome(whole.storage)


def test_patience(tmp_path: Path) -> None:
    search = driver(tmp_path, plan(trials=10_000, patience=3))
    assert search.run() == "the best 3 have not changed for 3 rounds"
    assert len(search.storage.trials()) < 400


def test_a_budget_of_time() -> None:
    search = driver(None, plan(seconds=1e-9))
    assert "hours is spent" in search.run()
    assert search.storage.trials() == []


def test_a_failed_candidate_is_a_failed_trial(tmp_path: Path) -> None:
    """It gives no score, no weights, has no children, and the search goes on."""
    search = driver(tmp_path, plan(settings={"misbehave": {"2": "raise", "9": "memory"}}))
    search.run()
    storage = search.storage
    assert [trial.number for trial in storage.trials() if trial.state == "failed"] == [2, 9]
    assert (
        storage.trial(2).reason == "RuntimeError: a shape does not fit" and storage.trial(9).reason == "out of memory"
    )
    assert len(storage.trials()) == 24
    assert not {2, 9} & {parent for trial in storage.trials() for parent in trial.parents}
    assert not {2, 9} & {number for each in storage.rounds() for number in each.winners}


def test_not_finite_and_nothing(tmp_path: Path) -> None:
    workers = WorkerSettings("in-process", evaluate="search_fakes:evaluate_badly")
    search = driver(tmp_path, plan(trials=4, anchor=""), workers, sharing=False)
    search.run()
    assert [trial.state for trial in search.storage.trials()] == ["failed", "failed", "complete", "complete"]
    assert "not finite" in search.storage.trial(0).reason
    assert "NoneType" in search.storage.trial(1).reason


def test_a_full_disk_stops_the_search_and_loses_nothing(tmp_path: Path) -> None:
    """Every candidate would fail the same way: the machine is at fault, and no trial is."""
    whole = driver(tmp_path / "whole")
    whole.run()
    settings = {"misbehave": {"10": "disk"}}
    with pytest.raises(UserError, match=r"No space left on device: trained.safetensors.*resume"):
        driver(tmp_path / "full", plan(settings=settings)).run()
    again = driver(tmp_path / "full")
    assert again.storage.trial(10).state == "running"
    again.run()
    assert outcome(again.storage) == outcome(whole.storage)


class Damages(KillsAt):
    """Cuts short, or removes, the snapshot of a round that has begun."""

    def __init__(self, folder: Path, remove: bool) -> None:
        self.folder, self.remove, self.left = folder, remove, 0

    def round_begins(self, number: int, trials: int) -> None:
        path = NumberWeights(self.folder / "weights").path(number)
        if number == 3 and self.remove:
            path.unlink()
        elif number == 3:
            path.write_text(path.read_text()[:3])


@pytest.mark.parametrize("remove", [False, True])
def test_a_damaged_snapshot_is_made_again(tmp_path: Path, remove: bool) -> None:
    """In the middle of a round, of the round before."""
    whole = driver(tmp_path / "whole")
    whole.run()
    damaged = driver(tmp_path / "damaged", watcher=Damages(tmp_path / "damaged", remove))
    damaged.run()
    assert outcome(damaged.storage) == outcome(whole.storage)


def test_a_truncated_snapshot_is_made_again_on_resuming(tmp_path: Path) -> None:
    whole = driver(tmp_path / "whole")
    whole.run()
    for step in (20, 45):
        with pytest.raises(Dies):
            driver(tmp_path / "cut", watcher=KillsAt(step)).run()
        rounds = StudyStorage.load(location(tmp_path / "cut")).rounds()
        NumberWeights(tmp_path / "cut/weights").path(len(rounds)).write_text("0.")
    again = driver(tmp_path / "cut")
    again.run()
    assert 2 <= len(rounds) < 5 and outcome(again.storage) == outcome(whole.storage)


def test_two_damaged_snapshots_are_told(tmp_path: Path) -> None:
    with pytest.raises(Dies):
        driver(tmp_path, watcher=KillsAt(30)).run()
    for path in (tmp_path / "weights").glob("round-*"):
        path.write_text("0.")
    with pytest.raises(UserError, match="and so is the one before it"):
        driver(tmp_path).run()


def test_an_anchor_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the anchor, which every round's scores are relative to"):
        driver(tmp_path, plan(anchor="nonsense")).run()


def test_another_proposal_is_told(tmp_path: Path) -> None:
    """A study that another version began differently is not continued by mistake."""
    with pytest.raises(Dies):
        driver(tmp_path, watcher=KillsAt(3)).run()
    search = driver(tmp_path)
    search.strategy.seed = 4  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="not what the study proposed before"):
        search.run()


def test_the_end_of_a_space(tmp_path: Path) -> None:
    search = driver(tmp_path, plan(trials=100_000, initial_rounds=1))
    search.strategy.propose = lambda history, round, count: []  # type: ignore[method-assign]
    assert search.run() == "there is nothing new left to propose"


def test_scores_do_not_come_in_order(tmp_path: Path) -> None:
    """Workers that answer last what was asked first give the same study."""
    whole = driver(tmp_path / "whole")
    whole.run()
    search = driver(tmp_path / "backwards")
    queue = search.workers._queue  # type: ignore[attr-defined]
    search.workers.submit = queue.appendleft  # type: ignore[method-assign]
    search.run()
    assert outcome(search.storage) == outcome(whole.storage)


def test_a_begun_round_is_finished_under_any_budget(tmp_path: Path) -> None:
    """Killed in a short last round, and gone on with under a larger budget, or a smaller one."""
    whole = driver(tmp_path / "whole", plan(trials=40))
    whole.run()
    for budget, end in ((40, 40), (8, 22)):
        folder = tmp_path / str(budget)
        with pytest.raises(Dies):
            driver(folder, plan(trials=22), watcher=DiesInRound(4)).run()
        again = driver(folder, plan(trials=budget))
        again.run()
        assert len(again.storage.trials()) == end
        assert not [trial for trial in again.storage.trials() if trial.state == "running"]


class DiesInRound(KillsAt):
    """Ends the driver when a round has been proposed."""

    def round_begins(self, number: int, trials: int) -> None:
        if number == self.left:
            raise Dies

    def _step(self) -> None: ...


def test_patience_counts_rounds_without_a_change(tmp_path: Path) -> None:
    """The best never change: it ends after so many rounds of children."""
    for patience in (1, 3):
        search = driver(tmp_path / str(patience), plan(trials=1000, patience=patience), sharing=False)
        search._top = lambda before: frozenset({1})  # type: ignore[method-assign]
        assert search.run() == f"the best 3 have not changed for {patience} rounds"
        assert len(search.storage.rounds()) == 2 + patience


def test_a_measured_latency_is_no_score(tmp_path: Path) -> None:
    """What a candidate trained is made again though the other objectives, measured, come out otherwise."""
    workers = WorkerSettings("in-process", evaluate="search_fakes:evaluate_with_latency")
    search = driver(tmp_path, plan(trials=12), workers)
    search.storage.set_attribute("autobertc", {"format": 1, "objectives": ["score", "latency"]})
    search.watcher = Forgets(tmp_path)
    search.run()
    assert search.watcher.forgot and len(search.storage.rounds()) == 3


class Forgets(KillsAt):
    """Loses what a candidate trained before it is written back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.forgot = folder, False

    def round_begins(self, number: int, trials: int) -> None: ...

    def _step(self) -> None: ...

    def trial_ends(self, trial: Trial) -> None:
        path = NumberWeights(self.folder / "weights").output(trial.number)
        if trial.number == 9 and path.exists():
            path.unlink()
            self.forgot = True
