"""Where a search's time goes: `python benchmarks/search_overhead.py [section.key=value ...]`.

Runs the tiny preset with one worker of one thread and with two, the same candidates, and prints for each how much of
the wall-clock time of the rounds was inside candidates' training and scoring, and how many evaluations a minute it
made; the latter also without the waits at the ends of rounds, where a worker finds nothing left to do.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from autobertc.search.configuration import load_configuration
from autobertc.search.study.assembly import begin_run, search
from autobertc.search.study.storage import StudyStorage

INSIDE = ("train", "score", "score at rungs")


@dataclass(frozen=True)
class Span:
    """One evaluation: its round, when, by whom, and its seconds by part."""

    round: int
    started: float
    finished: float
    worker: str
    timings: dict[str, float]


def spans(storage: StudyStorage) -> list[Span]:
    """Candidates, parents and anchors."""
    trials = [(trial.round, trial) for trial in storage.trials() if trial.result is not None]
    others = [(each.round, each) for each in storage.evaluations()]
    return [
        Span(round, each.started, each.finished, each.worker, each.result.timings)  # type: ignore[union-attr]
        for round, each in [*trials, *others]
    ]


def barriers(found: list[Span]) -> float:
    """Seconds that workers waited at ends of rounds for the last one of them."""
    last: dict[int, dict[str, float]] = defaultdict(dict)
    for span in found:
        last[span.round][span.worker] = max(span.finished, last[span.round].get(span.worker, 0.0))
    workers = {span.worker for span in found}
    waits = 0.0
    for ends in last.values():
        end = max(ends.values())
        waits += sum(end - ends[worker] for worker in workers if worker in ends)
    return waits


def measure(count: int, settings: list[str], place: Path) -> float:
    """Run the search, print its row; returns evaluations a minute, barriers apart."""
    fixed = ["gate.enabled=false", "last_stage.top=0", f"workers.count={count}", "workers.threads=1"]
    configuration = load_configuration(preset="tiny", settings=[*settings, *fixed])
    run = place / f"workers-{count}"
    begin_run(run, configuration)
    began = time.perf_counter()
    with search(run, configuration, say=lambda line: None) as going:
        ready = time.perf_counter()
        going.driver.run()
        ended = time.perf_counter()
        found = spans(going.driver.storage)
    wall = ended - ready
    inside = sum(span.timings.get(part, 0.0) for span in found for part in INSIDE)
    evaluating = sum(span.finished - span.started for span in found)
    waited = barriers(found)
    rate = 60 * len(found) / (wall - waited / count)
    print(
        f"{count:7} {ready - began:9.1f} {wall:9.1f} {len(found):11} {inside / (wall * count):8.1%} "
        f"{evaluating / (wall * count):10.1%} {inside / (wall * count - waited):8.1%} "
        f"{60 * len(found) / wall:9.1f} {rate:9.1f}"
    )
    return rate


def main(settings: list[str]) -> None:
    print("workers  start, s  rounds, s  evaluations  trained  in workers  no waits    a minute  no waits")
    with tempfile.TemporaryDirectory() as folder:
        one, two = (measure(count, settings, Path(folder)) for count in (1, 2))
    print(f"two workers make {two / one:.2f} times the evaluations of one, ends of rounds apart")


if __name__ == "__main__":
    main(sys.argv[1:])
