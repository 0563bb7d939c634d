"""The shared weights of a search, round by round, as the driver sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Weights(Protocol):
    """Snapshots of a super-net and what candidates trained, in files of the run's folder."""

    def path(self, round: int) -> Path:
        """The snapshot that a round's candidates start from."""
        ...

    def digest(self, round: int) -> str | None:
        """A hash of that snapshot; None where it is missing or damaged."""
        ...

    def output(self, number: int) -> Path:
        """Where a candidate leaves what it trained."""
        ...

    def trained(self, number: int) -> bool:
        """Whether that is there, whole."""
        ...

    def begin(self) -> None:
        """Make the first snapshot; the same each time."""
        ...

    def write_back(self, round: int, children: Sequence[tuple[int, float]]) -> dict[int, int]:
        """Make the next round's snapshot of a round's and its complete children, (number, score) each.

        Returns how many tensors came from each child, by number.
        """
        ...

    def clean(self) -> None:
        """Remove what candidates trained: it is in a snapshot."""
        ...
