"""Measuring by ratio: alternating pairs, the median of their ratios and its interval, tables."""

from __future__ import annotations

import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from autobertc.runtime.analysis.timing import Work, alternate, interval

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Settings:
    """How much is measured; the defaults are those that the targets are for.

    Fields:
        pairs: alternating pairs of one comparison.
        batch, length: of what a model is given.
        hidden, heads, intermediate, vocabulary: of every model.
        memory_length: the length at which memory is measured, batch 1.
    """

    pairs: int = 15
    batch: int = 8
    length: int = 128
    hidden: int = 256
    heads: int = 4
    intermediate: int = 1024
    vocabulary: int = 30522
    memory_length: int = 4096


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Fields:
        what, beside: the two that are compared; `beside` is empty where an absolute value is measured.
        unit: of `ours` and `theirs`.
        ours, theirs: medians of either side.
        measured: what the target is for, the median of the pairs' ratios or an absolute value.
        low, high: the 95% interval of that median; None where there is one measurement only.
        target: `measured` is to be at most this; None where nothing is asked.
        at_least: it is to be at least that instead.
    """

    what: str
    beside: str
    unit: str
    ours: float
    theirs: float | None
    measured: float
    low: float | None = None
    high: float | None = None
    target: float | None = None
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """The answer in words, empty where nothing is asked."""
        if self.target is None:
            return ""
        met = self.measured >= self.target if self.at_least else self.measured <= self.target
        return "met" if met else "not met"


@dataclass(frozen=True)
class Section:
    """A table."""

    title: str
    rows: tuple[Row, ...]


def compare(what: str, work: Work, beside: str, other: Work, pairs: int, target: float | None = None) -> Row:
    """The ratio of the times of `work` and `other`, one call each a pair, the first of a pair in turns."""
    times = alternate(work, other, pairs)
    ratios = times.ratios
    ours, theirs = times.medians
    return Row(what, beside, "ms", 1e3 * ours, 1e3 * theirs, median(ratios), *interval(ratios), target)


def environment() -> dict[str, str]:
    """What the numbers depend on."""
    packages = {name: version(name) for name in ("autobertc", "torch", "transformers", "numpy")}
    return {
        "machine": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **packages,
        "torch kernels": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "commit": commit()[0] + (", changed" if commit()[1] else ""),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def commit() -> tuple[str, bool | None]:
    """The commit, and whether files differ from it; "unknown" and None where this is no checkout."""
    found, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return found, None if found == "unknown" else bool(changes)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0]}, {len(models)} processors" if models else platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    try:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def print_section(section: Section, console: Console) -> None:
    """Print a table, and whether each target is met."""
    table = Table(title=section.title, title_justify="left", title_style="bold")
    table.add_column("measured")
    table.add_column("beside")
    for name in ("median", "beside's", "ratio", "95% interval", "target"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in section.rows:
        table.add_row(row.what, row.beside, *_numbers(row), row.verdict)
    console.print(table)


def _numbers(row: Row) -> tuple[str, str, str, str, str]:
    """The cells between the names and the verdict."""
    relative = row.theirs is not None

    def text(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:.3f}" if relative else f"{value:.1f} {row.unit}"

    theirs = f"{row.theirs:.1f} {row.unit}" if row.theirs is not None else ""
    span = "" if row.low is None else f"{text(row.low)} to {text(row.high)}"
    sign = "≥" if row.at_least else "≤"
    target = "" if row.target is None else f"{sign} {row.target:g}{'' if relative else ' ' + row.unit}"
    return f"{row.ours:.1f} {row.unit}", theirs, text(row.measured) if relative else "", span, target


def as_json(sections: list[Section], settings: Settings) -> dict[str, object]:
    """Everything that was measured, and on what."""
    tables = [
        {"title": section.title, "rows": [{**asdict(row), "verdict": row.verdict} for row in section.rows]}
        for section in sections
    ]
    return {"environment": environment(), "settings": asdict(settings), "sections": tables}
