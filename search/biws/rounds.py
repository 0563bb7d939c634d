"""The super-net through a search: made before the first round, written anew after each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from autobertc.dsl.architecture import Sizes
from autobertc.search.biws.snapshots import Snapshot, read_snapshot, read_tensors, write_snapshot
from autobertc.search.biws.supernet import Sharing, make_supernet, supernet_tensors
from autobertc.search.biws.write_back import Child, Rule, write_back


class StoredTensors(Mapping[str, Tensor]):
    """The tensors of a file, each read when it is asked for: a round's children need not fit in memory together.

    Raises `SnapshotError` where the file is not whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = tuple(read_tensors(path)[0])

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            raise KeyError(name)
        with safe_open(str(self.path), "pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self.names  # without the reading of the tensor that a mapping's own test is

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Trained:
    """A candidate of a round that was evaluated to the end: its number, its score, the file it left."""

    number: int
    score: float
    path: Path


def start_supernet(folder: Path, sizes: Sizes, layers: int, head: str, sharing: Sharing, seed: int) -> Path:
    """Write the snapshot that round 0 starts from. Raises `OutputError`."""
    tensors = supernet_tensors(make_supernet(sizes, layers, head, sharing, seed))
    return write_snapshot(folder, Snapshot(tensors, 0, head, sharing))


def finish_round(
    folder: Path, snapshot: Path, trained: Sequence[Trained], rule: Rule = "best"
) -> tuple[Path, dict[int, int]]:
    """Write the snapshot of the next round, out of this round's and what its candidates trained, whatever order they
    are given in; the same again for the same round, so that a search that was killed can repeat it.

    Returns its path, and how many tensors came from each candidate, by number.

    Raises `SnapshotError` where a file is not whole, `OutputError` where the snapshot cannot be written.
    """
    before = read_snapshot(snapshot)
    children = [Child(each.number, each.score, StoredTensors(each.path)) for each in trained]
    after, contributions = write_back(before.tensors, children, rule)
    return write_snapshot(folder, replace(before, tensors=after, round=before.round + 1)), contributions
