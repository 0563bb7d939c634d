"""What the kernels are to reach on a GPU, beside others: ratios of times, and memory that grows with N alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from gpu_cases import Cell

from autobertc.runtime.markdown import markdown_table

COMPILED_FROM = 2048  # the N from which the target beside torch.compile holds


def rows_of(cells: Sequence[Cell]) -> list[dict[str, Cell]]:
    """Cells of one thing at one size, by implementation."""
    rows: dict[tuple[Any, ...], dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.subject, cell.direction, cell.length, cell.width), {})[cell.implementation] = cell
    return list(rows.values())


@dataclass(frozen=True)
class Target:
    """One's time beside another's is to be at most `bound`; `ratio` is the median over rounds."""

    subject: str
    implementation: str
    direction: str
    length: int
    width: int | None
    beside: str
    ratio: float
    bound: float

    @property
    def met(self) -> bool:
        return self.ratio <= self.bound


def targets(cells: Sequence[Cell]) -> list[Target]:
    """At least FlexAttention's speed; where it has none, twice that of the compiled naive program at long N.

    And "auto", which may choose the library, takes SDPA's time.
    """
    rows = rows_of([cell for cell in cells if cell.section == "programs"])
    found = []
    for row in rows:
        ours, flex, naive = (row.get(name) for name in ("kernels", "FlexAttention", "torch.compile"))
        auto, library = row.get("auto"), row.get("SDPA")
        if auto is not None and auto.ms and library is not None and library.ms:
            found.append(_target(auto, library, 1.05))
        if ours is None or not ours.ms:
            continue
        if flex is not None and flex.ms:
            found.append(_target(ours, flex, 1.0))
        elif naive is not None and naive.ms and ours.length >= COMPILED_FROM:
            found.append(_target(ours, naive, 0.5))
    return found


def _target(ours: Cell, other: Cell, bound: float) -> Target:
    ratio = median(own / foreign for own, foreign in zip(ours.runs, other.runs, strict=False))
    return Target(
        ours.subject, ours.implementation, ours.direction, ours.length, ours.width, other.implementation, ratio, bound
    )


def target_lines(cells: Sequence[Cell]) -> Iterator[str]:
    found = targets(cells)
    if not found:
        return
    yield from ("## Targets", "", f"{sum(target.met for target in found)} of {len(found)} met; not met:", "")
    for target in found:
        if not target.met:
            yield (
                f"- {target.subject}, {target.direction}, N {target.length}, D {target.width}: {target.implementation} "
                f"takes {target.ratio:.2f} of {target.beside}'s time, at most {target.bound:g}"
            )
    yield ""


def memory_growth(cells: Sequence[Cell]) -> Iterator[str]:
    """Batch times N is the same everywhere, so memory that is linear in N is the same everywhere."""
    groups: dict[tuple[str, int | None, str], list[Cell]] = {}
    for cell in cells:
        if cell.section == "programs" and cell.implementation == "kernels" and cell.memory_mib:
            groups.setdefault((cell.subject, cell.width, cell.direction), []).append(cell)
    rows = []
    for (subject, width, direction), group in groups.items():
        group.sort(key=lambda cell: cell.length)
        short, long = group[0], group[-1]
        if short.length < long.length:
            ratio = (long.memory_mib or 0.0) / (short.memory_mib or 1.0)
            rows.append([subject, str(width), direction, str(short.length), str(long.length), f"{ratio:.2f}"])
    if rows:
        yield from ("## Memory of the kernels at the longest N beside the shortest; 1 is linear in N", "")
        yield from (markdown_table(["program", "D", "direction", "from N", "to N", "ratio"], rows, labels=3), "")
