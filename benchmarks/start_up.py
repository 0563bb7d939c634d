"""Commands that need no torch, whole processes, beside a process that only imports it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from measure import EXAMPLES, Section, Settings, Work, compare

TARGET = 0.25
BASELINE = "import torch"
# What the installed script does.
ENTRY = "import sys; from autobertc.cli.main import main; sys.exit(main())"


def process(*arguments: str) -> Work:
    """A run of this Python."""

    def work() -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    return work


def start_up(settings: Settings) -> Section:
    """`check`, `fmt` and `ops`, on a file where they take one."""
    torch = process("-c", BASELINE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "genome.abz"
        path.write_bytes((EXAMPLES / "autobert-zero-base.abz").read_bytes())
        commands = (("check", str(path)), ("fmt", str(path)), ("ops",))
        rows = [
            compare(command[0], process("-c", ENTRY, *command), BASELINE, torch, settings.pairs, TARGET)
            for command in commands
        ]
        rows.append(compare(BASELINE, torch, "itself", torch, settings.pairs))
    return Section("Whole-process time", tuple(rows))
