"""The shared weights of a search, round by round, as the driver sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from autobertc.dsl.architecture import Sizes
from autobertc.runtime.files import remove_partial

if TYPE_CHECKING:
    from autobertc.search.biws.supernet import Sharing
    from autobertc.search.biws.write_back import Rule


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
        """Remove what candidates trained: it is in a snapshot; and what a killed driver was writing."""
        ...


class SupernetWeights:
    """A super-net of a run's folder.

    Args:
        run: the run's folder.
        sizes, layers, head: of the super-net.
        sharing: what belongs to its layers and what to its branches.
        rule: how it is written back, "best" or "mean".
        seed: of its first weights.
    """

    def __init__(
        self, run: Path, sizes: Sizes, layers: int, head: str, sharing: Sharing, rule: Rule = "best", seed: int = 0
    ) -> None:
        from autobertc.search.biws.snapshots import FOLDER

        self.folder = run / FOLDER
        self.sizes, self.layers, self.head, self.sharing = sizes, layers, head, sharing
        self.rule: Rule = rule
        self.seed = seed

    def path(self, round: int) -> Path:
        from autobertc.search.biws.snapshots import snapshot_path

        return snapshot_path(self.folder, round)

    def digest(self, round: int) -> str | None:
        return _digest(self.path(round))

    def output(self, number: int) -> Path:
        return self.folder / "trained" / f"{number:06d}.safetensors"

    def trained(self, number: int) -> bool:
        return _digest(self.output(number)) is not None

    def begin(self) -> None:
        from autobertc.search.biws.rounds import start_supernet

        start_supernet(self.folder, self.sizes, self.layers, self.head, self.sharing, self.seed)

    def write_back(self, round: int, children: Sequence[tuple[int, float]]) -> dict[int, int]:
        from autobertc.search.biws.rounds import Trained, finish_round

        trained = [Trained(number, score, self.output(number)) for number, score in children]
        _, contributions = finish_round(self.folder, self.path(round), trained, self.rule)
        return contributions

    def clean(self) -> None:
        for path in self.output(0).parent.glob("*"):
            path.unlink(missing_ok=True)
        remove_partial(self.folder)


def _digest(path: Path) -> str | None:
    """The hash that a file of tensors was written with; None where its tensors are not those."""
    from autobertc.search.biws.snapshots import SnapshotError, read_tensors

    try:
        return read_tensors(path)[1].get("digest")
    except SnapshotError:
        return None
