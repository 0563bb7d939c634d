"""Searches killed at random instants end as one that never was: `python tests/kill_search.py 20`.

A tiny search with weight sharing, hurdles and a last stage is run once whole. Then again, its driver killed with
SIGKILL after a random time, resumed, killed and resumed, as often as asked. Trials, scores, what was written back,
the last stage and the winner must be the same.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from autobertc.search.study.assembly import open_run
from autobertc.search.study.stages import FINAL, GATE, winner

CONFIGURATION = """preset = "tiny"
[space]
layers = 2
length = [2, 6]
[model]
hidden = 32
heads = 2
intermediate = 64
[strategy]
population = 8
initial_rounds = 2
parents = 2
children = 2
[evaluation]
steps = 12
batch = 8
scored = 16
hurdles = true
[gate]
architectures = 3
[last_stage]
top = 2
seeds = 2
[workers]
count = 1
"""


def call(run: Path, resume: bool, place: Path, trials: int) -> list[str]:
    begin = ["resume", str(run)] if resume else ["run", "-c", str(place / "search.toml"), "-o", str(run)]
    return [sys.executable, "-m", "autobertc", "search", *begin, "--set", f"study.trials={trials}"]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def finish(command: list[str]) -> None:
    """Run a command to its end."""
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def kill_in_search(command: list[str], rng: random.Random, run: Path) -> bool:
    """Start a command and kill it a random while after its database is there; False where it ended before."""
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not (run / "study.db.driver").exists():
            time.sleep(0.01)
        # From the imports of the worker to some rounds later.
        end = time.monotonic() + rng.expovariate(1 / 8)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        process.kill()
        _, error = process.communicate()
    assert process.returncode in (0, -9), error.decode()[-3000:]
    return process.returncode != 0


def results(run: Path) -> dict[str, Any]:
    """All that must be the same: no times, no places."""
    storage, _ = open_run(run)
    best = winner(storage)
    return {
        "trials": [
            (
                trial.number,
                trial.round,
                trial.genome,
                trial.parents,
                trial.edits,
                trial.state,
                trial.reason,
                trial.values,
            )
            for trial in storage.trials()
        ],
        "rungs": [trial.result.rungs for trial in storage.trials() if trial.result is not None],
        "rescored": [(each.round, each.number, each.result.values) for each in storage.evaluations()],
        "rounds": [(each.number, each.anchor, each.rescored, each.winners, each.snapshot) for each in storage.rounds()],
        "gate": json.dumps(storage.attribute(GATE)),
        "last stage": json.dumps(storage.attribute(FINAL)),
        "winner": best.number if best is not None else None,
    }


def main(kills: int, trials: int, place: Path, seed: int = 0) -> None:
    (place / "search.toml").write_text(CONFIGURATION)
    whole, killed = place / "whole", place / "killed"
    finish(call(whole, False, place, trials))
    rng, count = random.Random(seed), 0
    while count < kills and kill_in_search(call(killed, (killed / "search.toml").exists(), place, trials), rng, killed):
        (killed / "study.db.driver").unlink(missing_ok=True)
        count += 1
    finish(call(killed, True, place, trials))
    expected, found = results(whole), results(killed)
    for name in expected:
        assert expected[name] == found[name], f"{name} differ:\n{expected[name]}\n{found[name]}"
    states = [trial[5] for trial in found["trials"]]
    print(
        f"{count} kills: the same {len(states)} trials ({states.count('stopped')} stopped at hurdles), "
        f"{len(found['rounds'])} rounds, last stage and winner ({found['winner']})"
    )
    assert count == kills, f"the search ended before kill {count + 1}: give more trials"


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        main(number, 16 + 2 * number, Path(folder))
