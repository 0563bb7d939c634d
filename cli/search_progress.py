"""A search's progress: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from autobertc.search.study.records import Trial


def make_progress(trials: int) -> SearchProgress:
    """What suits standard error."""
    return Bar(trials) if sys.stderr.isatty() else SearchProgress(trials)


class SearchProgress:
    """Plain lines: one a round."""

    def __init__(self, trials: int) -> None:
        self.trials = trials
        self.done = self.fresh = 0
        self.best: float | None = None
        self.failed = 0
        self.interrupted = False
        self._began: float | None = None

    def __enter__(self) -> SearchProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, line: str) -> None:
        """A line for the user."""
        typer.echo(line)

    def round_begins(self, number: int, trials: int) -> None:
        if self._began is None:
            self._began = time.monotonic()
            self.fresh = 0
        self.say(f"round {number}: {trials} candidates; so far {self.describe()}")

    def trial_ends(self, trial: Trial) -> None:
        self.done += 1
        self.fresh += 1
        self.failed += trial.state == "failed"
        if trial.values and (self.best is None or trial.values[0] > self.best):
            self.best = trial.values[0]

    def tick(self) -> None:
        """Raises `KeyboardInterrupt` where there was one that did not arrive."""
        if self.interrupted:
            raise KeyboardInterrupt

    def describe(self) -> str:
        """Done, best, rate, time left."""
        parts = [f"{self.done:,} of {self.trials:,} done"]
        if self.best is not None:
            parts.append(f"best {self.best:+.4f} against the anchor")
        if self.failed:
            parts.append(f"{self.failed} failed")
        rate = self.rate()
        if rate:
            parts.append(f"{60 * rate:.1f} a minute")
            parts.append(f"{duration(max(0, self.trials - self.done) / rate)} left at most")
        return ", ".join(parts)

    def rate(self) -> float:
        """Candidates a second, of this driver."""
        if self._began is None or not self.fresh:
            return 0.0
        return self.fresh / max(1e-9, time.monotonic() - self._began)


class Bar(SearchProgress):
    """A bar that is kept up to date, lines above it."""

    def __init__(self, trials: int) -> None:
        super().__init__(trials)
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[what]}"),
            console=self._console,
        )
        self._task = self._bar.add_task("searching", total=trials, what="")

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)

    def round_begins(self, number: int, trials: int) -> None:
        if self._began is None:
            self._began = time.monotonic()
            self.fresh = 0
        self._bar.update(self._task, description=f"round {number}")

    def trial_ends(self, trial: Trial) -> None:
        super().trial_ends(trial)
        self.tick()

    def tick(self) -> None:
        super().tick()
        what = self.describe().partition(", ")[2]
        self._bar.update(self._task, completed=self.done, what=what)


def duration(seconds: float) -> str:
    """A time in words."""
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{minutes:.0f} minutes" if minutes >= 2 else f"{seconds:.0f} seconds"
