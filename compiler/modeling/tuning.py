"""Choices by measurement, made once for a device and written down.

A choice is a small file in `AUTOBERTC_CACHE`, by default `~/.cache/autobertc`; processes that tune the same thing at
the same time each write a whole file, and the last one stays. `AUTOBERTC_TUNING=off` takes the first candidate without
measuring; `AUTOBERTC_DEBUG=tuning` prints what was chosen, and the times.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from os import environ, fdopen
from pathlib import Path
from typing import Any, TypeVar

import torch

from .operators import triton

Candidate = TypeVar("Candidate")

_known: dict[str, str] = {}


def _digest(key: Sequence[Any]) -> str:
    versions = (torch.__version__, getattr(triton, "__version__", ""))
    return hashlib.blake2b(repr((*key, *versions)).encode(), digest_size=16).hexdigest()


def _directory() -> Path:
    return Path(environ.get("AUTOBERTC_CACHE") or Path.home() / ".cache" / "autobertc")


def known_choice(key: Sequence[Any], candidates: Sequence[Candidate]) -> Candidate | None:
    """What was chosen for a key, in this process or before; None where nothing was, or it is no candidate any more."""
    digest = _digest(key)
    if digest not in _known:
        try:
            _known[digest] = str(json.loads((_directory() / f"{digest}.json").read_text())["choice"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
    return next((one for one in candidates if repr(one) == _known[digest]), None)


def milliseconds(run: Callable[[], Any]) -> float:
    """The median time of a run on the GPU; infinite where the kernel does not fit it."""
    try:
        median: float = triton.testing.do_bench(run, warmup=5, rep=20, return_mode="median")
    except (triton.runtime.errors.OutOfResources, triton.compiler.errors.CompilationError):
        return float("inf")
    return median


def tuned(
    key: Sequence[Any],
    candidates: Sequence[Candidate],
    run: Callable[[Candidate], Any],
    name: str,
    time: Callable[[Callable[[], Any]], float] = milliseconds,
) -> Candidate:
    """The fastest candidate for a key: known, or found now and written down. `name` is for the debug print.

    Raises `RuntimeError` where no candidate runs.
    """
    found = known_choice(key, candidates)
    if found is not None:
        return found
    if len(candidates) == 1 or environ.get("AUTOBERTC_TUNING") == "off":
        return candidates[0]
    times = [time(lambda one=one: run(one)) for one in candidates]  # type: ignore[misc]
    best = min(range(len(candidates)), key=times.__getitem__)
    if times[best] == float("inf"):
        raise RuntimeError(f"{name}: no tile sizes fit this device; use the eager backend")
    chosen = candidates[best]
    _write(_digest(key), {"name": name, "key": [str(part) for part in key], "choice": repr(chosen), "ms": times[best]})
    if "tuning" in environ.get("AUTOBERTC_DEBUG", "").split(","):
        for one, took in zip(candidates, times, strict=True):
            print(f"autobertc: {name} {took:.3f} ms {one}{' <- chosen' if one is chosen else ''}", file=sys.stderr)
    return chosen


def _write(digest: str, entry: dict[str, Any]) -> None:
    _known[digest] = entry["choice"]
    try:
        directory = _directory()
        directory.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=directory, suffix=".partial")
        with fdopen(descriptor, "w") as file:
            json.dump(entry, file)
        Path(partial).replace(directory / f"{digest}.json")
    except OSError as error:
        # A full or read-only disk costs the next process its time, not this one its result.
        print(f"autobertc: cannot keep a tuning result: {error}", file=sys.stderr)
