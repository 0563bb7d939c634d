"""Snapshots of the super-net: one safetensors file a round, written beside and renamed, the last two kept.

A file carries what made it and a hash of its tensors, so that one that was cut short or damaged is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from autobertc.dsl.errors import UserError
from autobertc.runtime.files import write_bytes
from autobertc.search.biws.supernet import Sharing

KEPT = 2
FOLDER = "supernet"
"""Where a run's folder has them."""
_NAME = re.compile(r"round-(\d{6})\.safetensors")


class SnapshotError(UserError):
    """A snapshot that is missing, cut short or damaged."""


@dataclass(frozen=True)
class Snapshot:
    """A super-net's weights between two rounds.

    Attributes:
        tensors: by the super-net's names.
        round: the first round whose candidates start from it.
        head: "masked-lm" or "pre-training".
        sharing: what belongs to the branches.
    """

    tensors: Mapping[str, Tensor]
    round: int
    head: str
    sharing: Sharing


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """A hash of names, types, shapes and bytes, whatever order they come in."""
    hasher = blake2b(digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        hasher.update(tensor.numpy().tobytes())
    return hasher.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file whole or not at all, with its hash. Raises `OutputError`."""
    ordered = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, save(ordered, {**(about or {}), "digest": tensors_digest(ordered)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors, and what the file says about them. Raises `SnapshotError` where it is not whole."""
    try:
        with safe_open(str(path), "pt") as file:
            about = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise SnapshotError(f"{path} cannot be read, it may have been cut short: {error}") from error
    if about.get("digest") != tensors_digest(tensors):
        raise SnapshotError(f"{path} is damaged: its tensors are not those that were written")
    return tensors, about


def snapshot_path(folder: Path, round: int) -> Path:
    """Where the snapshot that a round starts from is kept."""
    return folder / f"round-{round:06d}.safetensors"


def write_snapshot(folder: Path, snapshot: Snapshot) -> Path:
    """Write a snapshot, and remove all others but the one before it. Raises `OutputError`."""
    path = snapshot_path(folder, snapshot.round)
    about = {"round": str(snapshot.round), "head": snapshot.head, "sharing": json.dumps(asdict(snapshot.sharing))}
    write_tensors(path, snapshot.tensors, about)
    kept = {snapshot_path(folder, snapshot.round - back) for back in range(KEPT)}
    for other in {*_snapshots(folder)} - kept:
        other.unlink(missing_ok=True)
    return path


def read_snapshot(path: Path) -> Snapshot:
    """A snapshot. Raises `SnapshotError` where the file is missing, not whole, or none of ours."""
    if not path.is_file():
        raise SnapshotError(f"there is no snapshot {path}")
    tensors, about = read_tensors(path)
    try:
        return Snapshot(tensors, int(about["round"]), about["head"], Sharing(**json.loads(about["sharing"])))
    except (KeyError, ValueError, TypeError) as error:
        raise SnapshotError(f"{path} is no snapshot of a super-net") from error


def latest_snapshot(folder: Path) -> Path | None:
    """The last whole snapshot of a folder."""
    for path in _snapshots(folder):
        try:
            read_snapshot(path)
        except SnapshotError:
            continue
        return path
    return None


def _snapshots(folder: Path) -> list[Path]:
    """Latest first; half-written files have other names."""
    found = [path for path in folder.glob("round-*.safetensors") if _NAME.fullmatch(path.name)]
    return sorted(found, reverse=True)
