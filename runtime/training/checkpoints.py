"""Checkpoints that are whole: sealed when all is written, and passed over where the seal is missing or broken.

A process can be killed while it writes. The seal is written last, in one step, and has every file's size; older
checkpoints go only after it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from autobertc.runtime.files import write_text

SEAL = "whole.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def name(step: int) -> str:
    """The folder's name, the library's."""
    return f"checkpoint-{step}"


def step_of(folder: Path) -> int:
    """The step a checkpoint was made after; -1 where it is none."""
    found = _NAME.fullmatch(folder.name)
    return int(found[1]) if found else -1


def _sizes(folder: Path) -> dict[str, int]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != SEAL)
    return {str(file.relative_to(folder)): file.stat().st_size for file in sorted(files)}


def seal(folder: Path) -> None:
    """Declare a checkpoint whole, once its files are on the disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    write_text(folder / SEAL, json.dumps(_sizes(folder), indent=1) + "\n")


def is_whole(folder: Path) -> bool:
    """Whether a checkpoint was sealed and has all of its files, in their sizes."""
    try:
        sealed = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(sealed) and sealed == _sizes(folder)


def _all(place: Path) -> list[Path]:
    """Checkpoints, latest first."""
    return sorted((path for path in place.glob("checkpoint-*") if step_of(path) >= 0), key=step_of, reverse=True)


def latest(place: Path) -> tuple[Path | None, list[Path]]:
    """The latest whole checkpoint of a folder, and the broken ones that are later."""
    broken: list[Path] = []
    for folder in _all(place):
        if is_whole(folder):
            return folder, broken
        broken.append(folder)
    return None, broken


def keep_last(place: Path, count: int) -> None:
    """Remove all checkpoints but the last so many whole ones."""
    whole = [folder for folder in _all(place) if is_whole(folder)]
    for folder in _all(place):
        if folder not in whole[:count]:
            shutil.rmtree(folder, ignore_errors=True)
