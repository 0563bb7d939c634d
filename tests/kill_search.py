"""Searches killed at random instants end as one that never was: `python tests/kill_search.py 20`.

A tiny search with weight sharing, hurdles and a last stage is run once whole, and timed. Then again, its driver killed
with SIGKILL after a random time, resumed, killed and resumed, as often as asked: now and then while its worker still
imports, else within a share of the whole search's time that leaves room for all kills; one that ends before its kill,
where the machine has become faster, is compared, and the next begins from nothing. Trials, scores, what was written
back, the last stage and the winner must be the same.
"""

from __future__ import annotations

import json
import os
import random
import shutil
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


def start(command: list[str], run: Path) -> subprocess.Popen[bytes]:
    """Start a command, and wait until its driver holds the run."""
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and not (run / "study.db.driver").exists():
        time.sleep(0.01)
    return process


def time_whole(command: list[str], run: Path) -> tuple[float, float]:
    """Search to the end; seconds until the driver first wrote something down, its worker ready, and from there on."""
    with start(command, run) as process:
        began = time.monotonic()
        await_write(process, run)
        first = time.monotonic()
        _, error = process.communicate()
    assert process.returncode == 0, error.decode()[-3000:]
    return first - began, time.monotonic() - first


def await_write(process: subprocess.Popen[bytes], run: Path) -> None:
    """Wait until the study is written to."""
    before = (run / "study.db").stat().st_mtime_ns
    while process.poll() is None and (run / "study.db").stat().st_mtime_ns == before:
        time.sleep(0.005)


def kill_in_search(command: list[str], seconds: float, run: Path, working: bool) -> bool:
    """Start a command and kill it a while after its driver holds the run or, `working`, has written something down;
    False where it ended before."""
    with start(command, run) as process:
        if working:
            await_write(process, run)
        end = time.monotonic() + seconds
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


def compare(expected: dict[str, Any], run: Path) -> dict[str, Any]:
    """What a run found. Raises `AssertionError` where that is not what was expected."""
    found = results(run)
    for name in expected:
        assert expected[name] == found[name], f"{name} differ:\n{expected[name]}\n{found[name]}"
    return found


def main(kills: int, trials: int, place: Path, seed: int = 0) -> None:
    (place / "search.toml").write_text(CONFIGURATION)
    whole, killed = place / "whole", place / "killed"
    imports, work = time_whole(call(whole, False, place, trials), whole)
    expected, rng = results(whole), random.Random(seed)
    left = kills
    while left:
        working = rng.random() < 0.75
        seconds = rng.uniform(0, work / kills if working else imports)
        command = call(killed, (killed / "search.toml").exists(), place, trials)
        if kill_in_search(command, seconds, killed, working):
            left -= 1
            (killed / "study.db.driver").unlink(missing_ok=True)
        else:
            compare(expected, killed)
            shutil.rmtree(killed)
    finish(call(killed, True, place, trials))
    found = compare(expected, killed)
    states = [trial[5] for trial in found["trials"]]
    print(
        f"{kills} kills: the same {len(states)} trials ({states.count('stopped')} stopped at hurdles), "
        f"{len(found['rounds'])} rounds, last stage and winner ({found['winner']})"
    )


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        main(number, 16 + 2 * number, Path(folder))
