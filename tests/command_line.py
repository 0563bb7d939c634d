"""The command line, run in this process, which is quick, or in one of its own, as a user has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from autobertc.cli.main import main

HEADER = "model tiny {\n  hidden: 32  heads: 2  intermediate: 64  vocab: 200  max_length: 64\n}\n"
MIXED = HEADER + "conv: 3\natt: softmax(scale(Q @ K.T)) @ V\natt: Q @ (K.T @ V)\n"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}


class Done(NamedTuple):
    code: int
    stdout: str
    stderr: str


def _judged(done: Done, expect: int | None) -> Done:
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, done.stderr[-3000:]
    assert expect is None or done.code == expect, f"exit code {done.code}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    if expect == 1:
        assert done.stderr.strip() or done.stdout.startswith("would reformat"), "an error without a word"
    return done


def autobertc(*arguments: str | Path, expect: int | None = 0, stdin: str | bytes = b"", cwd: Path | str = ".") -> Done:
    """Run a command in this process; it must end with that exit code (None: any), and raise nothing."""
    streams = [TextIOWrapper(BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    given = TextIOWrapper(BytesIO(stdin.encode() if isinstance(stdin, str) else stdin), encoding="utf-8")
    code, handler = 0, signal.getsignal(signal.SIGTERM)
    try:
        with (
            chdir(cwd),
            patch.object(sys, "argv", ["autobertc", *map(str, arguments)]),
            patch.object(sys, "stdin", given),
            patch.dict(os.environ, ENVIRONMENT),
            redirect_stdout(streams[0]),
            redirect_stderr(streams[1]),
        ):
            main()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    finally:
        signal.signal(signal.SIGTERM, handler)
    output, errors = (stream.buffer.getvalue().decode() for stream in streams)  # type: ignore[attr-defined]
    return _judged(Done(code, output, errors), expect)


def autobertc_process(
    *arguments: str | Path, expect: int = 0, timeout: float = 60, env: dict[str, str] | None = None, **options: Any
) -> Done:
    """Run a command in a process of its own; it must also end in time."""
    command = [sys.executable, "-m", "autobertc", *map(str, arguments)]
    environment = {**os.environ, **ENVIRONMENT, **(env or {})}
    done = subprocess.run(command, capture_output=True, timeout=timeout, env=environment, **options)
    return _judged(Done(done.returncode, done.stdout.decode(), done.stderr.decode()), expect)


def tree(folder: Path) -> list[str]:
    """Every path below a folder: to see that a command left nothing."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


_TOGETHER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from command_line import autobertc
for command in json.loads(sys.argv[2]):
    print(json.dumps(autobertc(*command, expect=None)))
"""


def autobertc_together(*commands: list[str], timeout: float = 60, cwd: Path | str = ".") -> list[Done]:
    """Run commands one after the other in one process of their own, which must end in time."""
    script = [sys.executable, "-c", _TOGETHER, str(Path(__file__).parent), json.dumps(commands)]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(script, capture_output=True, timeout=timeout, cwd=cwd, env=environment)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr.decode()[-2000:]}"
    return [Done(*json.loads(line)) for line in done.stdout.splitlines()]


def heed_interrupts() -> None:
    """For `preexec_fn`: what a shell starts in the background ignores SIGINT, and so would the command under test."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
