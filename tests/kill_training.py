"""Trainings killed at random instants end as one that never was: `python tests/kill_training.py 20`.

A tiny backbone with dropout is pre-trained once whole. Then again, killed with SIGKILL after a random time, resumed,
killed and resumed, as often as asked; one that ends before its kill is compared, and the next begins from nothing.
Losses, accuracies and weights must be the same bits.
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

import numpy as np
from safetensors.numpy import load_file

GENOME = """model tiny { hidden: 32  heads: 2  intermediate: 64  vocab: 500  max_length: 64 }
conv: 3
att: softmax(scale(Q @ K.T)) @ V
"""
TIMED = ("seconds", "tokens_per_second", "input_wait", "mfu")


def command(genome: Path, output: Path, steps: int) -> list[str]:
    options = f"--steps {steps} --batch 8 --micro-batch 4 --length 32 --lr 1e-3 --log-every 2 --save-every 4"
    call = [sys.executable, "-m", "autobertc", "pretrain", str(genome), "-o", str(output), *options.split()]
    return [*call, "--data", "default:manual", "--resume"]


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "AUTOBERTC_CACHE": str(cache)}


def finish(call: list[str], cache: Path) -> None:
    """Run a command to its end."""
    done = subprocess.run(call, env=environment(cache), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def kill_in_training(call: list[str], cache: Path, rng: random.Random, log: Path) -> bool:
    """Start a command and kill it a random while after its first line of training; False where it ended before."""
    with log.open("w") as lines:
        unbuffered = {**environment(cache), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(call, env=unbuffered, stdout=lines, stderr=lines)
        while process.poll() is None and "step" not in log.read_text().partition("parameters")[2]:
            time.sleep(0.01)
        time.sleep(rng.expovariate(2.0))  # within a step, a log or a checkpoint
        process.kill()
        assert process.wait() in (0, -9), log.read_text()[-3000:]
        return process.returncode != 0


def results(folder: Path) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """Weights and curves without times."""
    curves = json.loads((folder / "training.json").read_text())["curves"]
    return load_file(folder / "model.safetensors"), [
        {name: value for name, value in window.items() if name not in TIMED} for window in curves
    ]


def compare(whole: Path, other: Path) -> None:
    """Raise `AssertionError` unless two trainings ended with the same bits."""
    (weights, curves), (other_weights, other_curves) = results(whole), results(other)
    assert curves == other_curves, "the losses differ"
    assert weights.keys() == other_weights.keys()
    for name, values in weights.items():
        assert values.tobytes() == other_weights[name].tobytes(), f"{name} differs"


def main(kills: int, steps: int, place: Path, seed: int = 0) -> None:
    genome = place / "tiny.abz"
    genome.write_text(GENOME)
    whole, killed, cache = place / "whole", place / "killed", place / "cache"
    finish(command(genome, whole, steps), cache)
    again, rng = command(genome, killed, steps), random.Random(seed)
    left = kills
    while left:
        if kill_in_training(again, cache, rng, place / "log.txt"):
            left -= 1
        else:  # how many steps a random time holds is the machine's affair
            compare(whole, killed)
            shutil.rmtree(killed)
    finish(again, cache)
    compare(whole, killed)
    print(f"{kills} kills in {steps} steps: the same losses and weights, bit for bit")


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        main(number, 60 * number, Path(folder))
