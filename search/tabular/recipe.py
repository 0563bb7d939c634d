"""What a table is made of, in full: with the recipe and the seeds that it names, the table can be made again."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from autobertc.dsl.architecture import Sizes
from autobertc.dsl.errors import UserError
from autobertc.search.space import Space

STANDARD = Path(__file__).with_name("standard.toml")
"""The recipe of the table that strategies are compared on."""
STANDARD_TABLE = STANDARD.with_suffix(".jsonl")
"""The table itself."""
# BERT's attention, the root of the programs where the space holds it.
BERT = "matmul(softmax(scale(matmul(Q, transpose(K)))), V)"


class TableError(UserError):
    """A table that cannot be made or read, in words for a user."""


@dataclass(frozen=True)
class Recipe:
    """How a table was made.

    Attributes:
        space: the space that its genomes are from, as `Space.to_table` gives it; it says how many layers.
        programs: how many programs a layer may have.
        roots: how many of them the others are edited from: BERT's attention where the space has it, and random ones.
        genomes: at most how many genomes. Where all combinations of layers are no more, the table has all, and is
            closed: every child of a genome in it is in it.
        sizes: of the models.
        evaluation: how they are trained and scored.
        seeds: trainings of each genome.
        shared: what is different about the evaluation with inherited weights; None leaves that out.
        seed: of what is drawn.
    """

    space: dict[str, Any]
    programs: int = 36
    roots: int = 2
    genomes: int = 2000
    sizes: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    seeds: int = 2
    shared: dict[str, Any] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("programs", "roots", "genomes", "seeds"):
            if getattr(self, name) < 1:
                raise TableError(f"a table needs {name} of at least 1, not {getattr(self, name)}")

    def read_space(self) -> Space:
        """The space. Raises `UserError` for one that cannot be."""
        return Space.from_table(self.space)

    def read_sizes(self) -> Sizes:
        """The sizes. Raises `TableError` for an unknown one."""
        known = {known.name for known in fields(Sizes)}
        for name in self.sizes:
            if name not in known:
                raise TableError(f"sizes.{name}: there is no such size; known: {', '.join(sorted(known))}")
        return Sizes(**self.sizes)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def same_as(self, other: Recipe) -> bool:
        """Whether they are one as JSON has them, which knows no tuples."""
        return bool(json.loads(json.dumps(self.to_dict())) == json.loads(json.dumps(other.to_dict())))

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Recipe:
        """A recipe from a table. Raises `TableError` for an unknown key or a missing space."""
        known = [known.name for known in fields(Recipe)]
        for name in values:
            if name not in known:
                raise TableError(f"the recipe of a table has no {name!r}; known: {', '.join(known)}")
        if "space" not in values:
            raise TableError("the recipe of a table needs a space")
        return Recipe(**values)


def read_recipe(path: Path) -> Recipe:
    """The recipe of a TOML file. Raises `TableError`."""
    try:
        return Recipe.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise TableError(f"cannot read the recipe {path}: {error}") from None
