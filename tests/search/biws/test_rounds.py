"""A whole round: the same bits with one, two or eight workers, in whatever order they finish."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from jobs import SIZES, first_snapshot, job

from autobertc.search.biws.rounds import StoredTensors, Trained, finish_round, start_supernet
from autobertc.search.biws.snapshots import SnapshotError, read_snapshot, snapshot_path, tensors_digest
from autobertc.search.biws.supernet import Sharing
from autobertc.search.evaluation.candidate import evaluate
from autobertc.search.evaluation.job import CandidateJob, CandidateResult

LAYERS = (
    "conv: 5\natt: softmax(scale(Q @ K.T)) @ V\n",
    "conv: 65\nconv: 3\n",
    "att: Q @ (K.T @ P)\nconv: 31\n",
    "conv: 3\natt: softmax(Q @ K.T) @ P\n",
)


def round_jobs(folder: Path) -> list[CandidateJob]:
    start = first_snapshot(folder / "supernet")
    return [
        job(number, layers, snapshot=str(start), output=str(folder / f"{number}.safetensors"), steps=3)
        for number, layers in enumerate(LAYERS)
    ]


def after(folder: Path, jobs: Sequence[CandidateJob], results: Sequence[CandidateResult]) -> str:
    """The digest of the next round's snapshot, from results in the order of their arrival."""
    assert all(result.state == "complete" for result in results)
    trained = [Trained(result.number, result.values[0], Path(str(result.tensors))) for result in results]
    path, _ = finish_round(folder / "supernet", Path(str(jobs[0].snapshot)), trained)
    assert path == snapshot_path(folder / "supernet", 1)
    return tensors_digest(read_snapshot(path).tensors)


def start_worker() -> None:
    torch.set_num_threads(1)


def test_workers_and_orders_change_no_bit(tmp_path: Path) -> None:
    digests = set()
    for name, seed in (("one", None), ("eight", 1), ("others", 2)):
        jobs = round_jobs(tmp_path / name)
        # Eight workers take a job each and end in any order: as if the jobs were run, and came back, in that order.
        order = jobs if seed is None else random.Random(seed).sample(jobs, len(jobs))
        digests.add(after(tmp_path / name, jobs, [evaluate(each) for each in order]))
    jobs = round_jobs(tmp_path / "two")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, start_worker) as pool:
        ended = [future.result() for future in as_completed([pool.submit(evaluate, each) for each in jobs[::-1]])]
    digests.add(after(tmp_path / "two", jobs, ended))
    assert len(digests) == 1
    assert digests != {tensors_digest(read_snapshot(Path(str(jobs[0].snapshot))).tensors)}, "nothing was written back"


def test_a_round_can_be_finished_again(tmp_path: Path) -> None:
    jobs = round_jobs(tmp_path)[:2]
    results = [evaluate(each) for each in jobs]
    assert after(tmp_path, jobs, results) == after(tmp_path, jobs, results)


def test_a_childs_file_that_is_not_whole(tmp_path: Path) -> None:
    [first, *_] = round_jobs(tmp_path)
    result = evaluate(replace(first))
    path = Path(str(result.tensors))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SnapshotError, match="cut short"):
        finish_round(tmp_path / "supernet", Path(str(first.snapshot)), [Trained(0, 0.5, path)])
    assert not snapshot_path(tmp_path / "supernet", 1).exists()


def test_stored_tensors_are_read_one_by_one(tmp_path: Path) -> None:
    path = start_supernet(tmp_path, SIZES, 2, "masked-lm", Sharing(), seed=5)
    stored, whole = StoredTensors(path), read_snapshot(path).tensors
    assert set(stored) == set(whole) and len(stored) == len(whole)
    assert all(torch.equal(stored[name], tensor) for name, tensor in whole.items())
    with pytest.raises(KeyError):
        stored["nothing"]
