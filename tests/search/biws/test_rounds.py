"""A whole round: the same bits with one, two or eight workers, in whatever order they finish."""

from __future__ import annotations

import random
from collections.abc import Sequence
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
from autobertc.search.study.workers import Answer, Task, WorkerSettings, make_workers

LAYERS = (
    "conv: 5\natt: softmax(scale(Q @ K.T)) @ V\n",
    "conv: 65\nconv: 3\n",
    "att: Q @ (K.T @ P)\nconv: 31\n",
    "conv: 3\natt: softmax(Q @ K.T) @ P\n",
    "att: relu(Q @ K.T) @ V\natt: Q @ (K.T @ V)\n",
    "conv: 9\nconv: 7\n",
    "att: softmax(scale(Q @ K.T)) @ V\nconv: 15\n",
    "conv: 31\natt: tanh(Q @ K.T) @ add(V, P)\n",
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


@pytest.mark.slow
def test_workers_and_orders_change_no_bit(tmp_path: Path) -> None:
    """One, two and eight processes of one thread, to which the round's eight candidates are given in other orders."""
    digests = set()
    for count in (1, 2, 8):
        jobs = round_jobs(tmp_path / str(count))
        workers = make_workers(WorkerSettings("processes", count=count, threads=1))
        workers.start()
        try:
            for each in random.Random(count).sample(jobs, len(jobs)):
                workers.submit(Task(str(each.number), each))
            answers: list[Answer] = []
            while len(answers) < len(jobs):
                ended = workers.wait(60)
                assert ended, "no answer in a minute"
                answers += ended
        finally:
            workers.close()
        if count == 8:
            assert len({answer.worker for answer in answers}) == 8, "some process took two of them"
        digests.add(after(tmp_path / str(count), jobs, [answer.result for answer in answers]))
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
