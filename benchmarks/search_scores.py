"""What the scores of a finished search are worth: its candidates trained from scratch, as long as in its last stage.

    python benchmarks/search_scores.py RUN [RUN ...] [--candidates 32] [--output FILE.md]

Candidates are drawn at random from each run. Kendall's tau, with its 95% interval by bootstrap, between the score
after training from scratch and the search's, as measured and less the round's anchor's. Trainings are kept in
RUN/from-scratch: the same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fidelity_statistics import tau

from autobertc.runtime.files import write_text
from autobertc.runtime.markdown import markdown_table
from autobertc.search.randomness import generator
from autobertc.search.reproduction.figure8 import fully_trained
from autobertc.search.study.assembly import open_run
from autobertc.search.study.records import Trial

HEADER = ("run", "score", "candidates", "tau", "95% interval")


def scores(trials: Sequence[Trial]) -> dict[str, list[float]]:
    """Each way of reading a score, for each trial."""
    return {
        "as measured": [trial.values[0] + (trial.anchor[0] if trial.anchor else 0.0) for trial in trials],
        "less the anchor": [trial.values[0] for trial in trials],
    }


def rows(run: Path, candidates: int) -> list[tuple[str, ...]]:
    """A run's lines of the table."""
    storage, configuration = open_run(run)
    complete = [trial for trial in storage.trials() if trial.state == "complete"]
    drawn = generator(configuration.study.seed, "search scores").choice(
        len(complete), min(candidates, len(complete)), replace=False
    )
    chosen = [complete[int(index)] for index in sorted(drawn)]
    full = fully_trained(chosen, run, configuration, print)
    chosen = [trial for trial in chosen if str(trial.number) in full]
    late = [{"score": full[str(trial.number)]["score"]} for trial in chosen]
    made = []
    for name, values in scores(chosen).items():
        early: Any = [{"score": value} for value in values]
        one = tau(early, late, "score", configuration.study.seed)
        cells = (f"{one['tau']:.2f}", f"{one['low']:.2f} to {one['high']:.2f}") if one else ("", "")
        made.append((run.name, name, str(len(chosen)), *cells))
    return made


def main() -> None:
    """The table of all runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--candidates", type=int, default=32)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    table = markdown_table(HEADER, [row for run in options.runs for row in rows(run, options.candidates)], labels=2)
    print(table)
    if options.output:
        write_text(options.output, table + "\n")


if __name__ == "__main__":
    main()
