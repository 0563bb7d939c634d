"""What a reproduction is: an entry, what it is run with, and the section of the page that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from autobertc.runtime.reproduction.scales import Scale


@dataclass(frozen=True)
class Context:
    """What an entry is run with.

    Attributes:
        scale: how much is trained.
        runs: the folder of models and results, which entries share.
        figures: a folder for this entry's figures.
        data: a folder with GLUE's and SQuAD's rows, `DATA/rte/train.tsv` and so on; None for the Hub's, or stand-ins.
        text: sources of text instead of the scale's; none for those.
        seed: of everything drawn.
        say: prints a line for the user.
    """

    scale: Scale
    runs: Path
    figures: Path
    data: Path | None = None
    text: tuple[str, ...] = ()
    seed: int = 0
    say: Callable[[str], None] = print

    @property
    def sources(self) -> tuple[str, ...]:
        """The text that models are pre-trained on."""
        return self.text or self.scale.text

    @property
    def task_sources(self) -> tuple[str, ...]:
        """The text that stand-ins are made of; none for what they are made of by default."""
        return self.text or self.scale.stand_in_text


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; the paper's numbers and ours stand in columns beside each other."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        done: paragraphs on what was done.
        tables, figures: figures by their PNG's name in `Context.figures`.
        findings: what the numbers say beside the paper's, a line each.
        reasons: why they differ, a line each.
    """

    done: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Section:
        """What `to_dict` was of."""
        tables = tuple(
            Table(each["title"], tuple(each["header"]), tuple(tuple(row) for row in each["rows"]))
            for each in given["tables"]
        )
        others = {name: tuple(given[name]) for name in ("done", "figures", "findings", "reasons")}
        return cls(tables=tables, **others)


@dataclass(frozen=True)
class Entry:
    """A table or figure of the paper.

    Attributes:
        name: `table2`, `figure5`.
        title: what it shows, in words.
        make: makes the section.
        exact: whether it trains nothing, and is the same at every scale.
        order: its place in the page.
    """

    name: str
    title: str
    make: Callable[[Context], Section]
    exact: bool = False
    order: int = field(default=0)
