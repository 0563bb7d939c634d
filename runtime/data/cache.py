"""Results kept on disk under the hash of all they depend on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from autobertc.runtime.files import OutputError, new_directory


def default_cache() -> Path:
    """`$AUTOBERTC_CACHE`, or `autobertc` in the user's cache folder."""
    if given := os.environ.get("AUTOBERTC_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autobertc"


def digest(*parts: Any) -> str:
    """A hash of values that JSON can write."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def cached(folder: Path, build: Callable[[Path], None]) -> Path:
    """`folder`, which `build` filled, now or in an earlier run; another process that is building it is waited for.

    It appears whole or not at all. Raises `OutputError` where it cannot be written.
    """
    folder = Path(folder)
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                with new_directory(folder) as partial:
                    build(partial)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    return folder
