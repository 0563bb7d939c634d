"""Snapshots on the disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from biws import make_snapshot
from safetensors.torch import save_file

from autobertc.search.biws import snapshots
from autobertc.search.biws.snapshots import SnapshotError, latest_snapshot, read_snapshot, write_snapshot
from autobertc.search.biws.supernet import Sharing


def test_there_and_back(tmp_path: Path) -> None:
    snapshot = replace(make_snapshot(Sharing("branch", "layer")), round=7)
    again = read_snapshot(write_snapshot(tmp_path, snapshot))
    assert (again.round, again.head, again.sharing) == (7, snapshot.head, snapshot.sharing)
    assert again.tensors.keys() == snapshot.tensors.keys()
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in snapshot.tensors.items())


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    snapshot = make_snapshot(Sharing())
    for number in range(5):
        write_snapshot(tmp_path, replace(snapshot, round=number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["round-000003.safetensors", "round-000004.safetensors"]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_one_that_was_cut_short_is_passed_over(tmp_path: Path, share: float) -> None:
    snapshot = make_snapshot(Sharing())
    first = write_snapshot(tmp_path, snapshot)
    last = write_snapshot(tmp_path, replace(snapshot, round=1))
    data = last.read_bytes()
    last.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SnapshotError, match="cut short"):
        read_snapshot(last)
    assert latest_snapshot(tmp_path) == first


def test_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    path = write_snapshot(tmp_path, make_snapshot(Sharing()))
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(SnapshotError, match="damaged"):
        read_snapshot(path)
    assert latest_snapshot(tmp_path) is None


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="there is no"):
        read_snapshot(tmp_path / "round-000000.safetensors")
    tensors = {"a": torch.ones(2)}
    save_file(tensors, tmp_path / "other.safetensors", {"digest": snapshots.tensors_digest(tensors)})
    with pytest.raises(SnapshotError, match="no snapshot of a super-net"):
        read_snapshot(tmp_path / "other.safetensors")
    assert latest_snapshot(tmp_path) is None


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_snapshot(tmp_path, make_snapshot(Sharing()))

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Exception, match="No space left"):
        write_snapshot(tmp_path, replace(make_snapshot(Sharing()), round=1))
    assert list(tmp_path.iterdir()) == [first]
