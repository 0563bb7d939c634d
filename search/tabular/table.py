"""A table of genomes and their scores: one file of JSON lines.

The first line is the header: format, recipe, the programs and kernel sizes that layers choose from, and the edits that
lead from program to program. Each further line is a genome: its layers as numbers (programs first, then kernels), its
scores by seed, or why it has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from autobertc.dsl import parse
from autobertc.dsl.architecture import AttentionLayer, ConvolutionLayer, Layer
from autobertc.runtime.files import write_text
from autobertc.search.genome import Genome
from autobertc.search.randomness import generator
from autobertc.search.tabular.programs import Move
from autobertc.search.tabular.recipe import Recipe, TableError

FORMAT, VERSION = "autobertc-table", 1

Choices = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """A genome.

    Attributes:
        layers: for each layer the number of its choice.
        scores: trained from scratch, by seed, higher better; empty where it could not be.
        shared: trained for a few steps from inherited weights, by seed; empty where it was not.
        flops: of a forward pass for one sequence.
        reason: why there are no scores.
    """

    layers: Choices
    scores: tuple[float, ...] = ()
    shared: tuple[float, ...] = ()
    flops: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Header:
    """All of a table but its rows.

    Attributes:
        recipe: how it was made.
        programs: attention programs, as text.
        kernels: kernel sizes.
        moves: for each program the edits that lead to others.
    """

    recipe: Recipe
    programs: tuple[str, ...]
    kernels: tuple[int, ...]
    moves: tuple[tuple[Move, ...], ...]

    @cached_property
    def choices(self) -> tuple[Layer, ...]:
        """What a layer may be, by number."""
        programs = [next(iter(parse(text).programs())) for text in self.programs]
        return (*map(AttentionLayer, programs), *map(ConvolutionLayer, self.kernels))

    def genome(self, layers: Choices) -> Genome:
        """The genome of these choices."""
        return Genome(tuple(self.choices[choice] for choice in layers))

    def to_json(self) -> str:
        """One line."""
        values = {"format": FORMAT, "version": VERSION, "recipe": self.recipe.to_dict()}
        moves = [[list(asdict(move).values()) for move in own] for own in self.moves]
        return json.dumps({**values, "programs": self.programs, "kernels": self.kernels, "moves": moves})

    @staticmethod
    def read(line: str) -> Header:
        """The header of that line. Raises `TableError`."""
        try:
            values = json.loads(line)
        except ValueError as error:
            raise TableError(f"the first line is not the header of a table: {error}") from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise TableError("the first line is not the header of a table")
        if values["version"] != VERSION:
            raise TableError(f"the table has version {values['version']}; this program reads version {VERSION}")
        moves = tuple(
            tuple(
                Move(kind, position, tuple(legal), op, target, share)
                for kind, position, legal, op, target, share in own
            )
            for own in values["moves"]
        )
        return Header(Recipe.from_dict(values["recipe"]), tuple(values["programs"]), tuple(values["kernels"]), moves)


def row_to_json(row: Row) -> str:
    """One line; scores to 6 decimals, what is empty left out."""
    values: dict[str, Any] = {"layers": row.layers}
    for name in ("scores", "shared"):
        if getattr(row, name):
            values[name] = [round(score, 6) for score in getattr(row, name)]
    values.update({name: getattr(row, name) for name in ("flops", "reason") if getattr(row, name)})
    return json.dumps(values)


def row_from_json(line: str) -> Row:
    """The row of that line. Raises `ValueError`, `KeyError` or `TypeError` where it is none."""
    values = json.loads(line)
    names = ("layers", "scores", "shared")
    return Row(**{**values, **{name: tuple(values.get(name, ())) for name in names}})


@dataclass(frozen=True)
class Table:
    """A whole table."""

    header: Header
    rows: tuple[Row, ...]

    @cached_property
    def closed(self) -> bool:
        """Whether every combination of layers is in it."""
        return len(self.rows) == int(len(self.header.choices) ** len(self.rows[0].layers))

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises `OutputError`."""
        write_text(path, "\n".join([self.header.to_json(), *map(row_to_json, self.rows)]) + "\n")


def check_row(row: Row, header: Header, layers: int) -> None:
    """Raise `ValueError` for a row that does not fit."""
    if len(row.layers) != layers or not all(0 <= choice < len(header.choices) for choice in row.layers):
        raise ValueError(f"layers {list(row.layers)} do not fit {layers} layers of {len(header.choices)} choices")
    if bool(row.scores) == bool(row.reason):
        raise ValueError("a row has scores, or a reason why it has none")
    wanted = header.recipe.seeds
    if len(row.scores) not in (0, wanted) or len(row.shared) not in (0, wanted):
        raise ValueError(f"the recipe has {wanted} seeds, the row {len(row.scores)} and {len(row.shared)} scores")
    if any(not isinstance(score, float | int) or score != score for score in (*row.scores, *row.shared)):
        raise ValueError("a score is not a number")


def read_table(path: Path) -> Table:
    """A finished table. Raises `TableError` with the line where something is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"cannot read the table {path}: {error}") from None
    header = Header.read(lines[0] if lines else "")
    layers = header.recipe.read_space().layers
    rows: dict[Choices, Row] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            row = row_from_json(line)
            check_row(row, header, layers)
            if row.layers in rows:
                raise ValueError(f"layers {list(row.layers)} stand there twice")
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"{path}, line {number}: {error}") from None
        rows[row.layers] = row
    wanted = {choices for _, choices in genomes(header)}
    if rows.keys() != wanted:
        raise TableError(f"{path} has {len(rows)} genomes, its recipe {len(wanted)}: finish it with `make`")
    return Table(header, tuple(rows.values()))


def genomes(header: Header) -> Iterator[tuple[int, Choices]]:
    """The genomes of a table by number: all combinations of layers where the recipe has room for them; else random
    ones and, for two thirds, such with one layer exchanged."""
    recipe = header.recipe
    count = len(header.choices)
    layers = recipe.read_space().layers
    if count**layers <= recipe.genomes:
        yield from enumerate(product(range(count), repeat=layers))
        return
    rng = generator(recipe.seed, "genomes")
    found: dict[Choices, None] = {}
    listed: list[Choices] = []
    while len(listed) < recipe.genomes:
        if not listed or rng.random() < 1 / 3:
            drawn = tuple(_choice(header, rng.random(), rng.random()) for _ in range(layers))
        else:
            drawn = _neighbour(header, listed[int(rng.integers(len(listed)))], rng.random(3).tolist())
        if drawn not in found:
            found[drawn] = None
            listed.append(drawn)
            yield len(listed) - 1, drawn


def _choice(header: Header, kind: float, which: float) -> int:
    """Attention or convolution with equal chance, then a program or a kernel; of numbers from 0 to 1."""
    programs, kernels = len(header.programs), len(header.kernels)
    if not kernels or kind < 0.5:
        return int(which * programs)
    return programs + int(which * kernels)


def _neighbour(header: Header, layers: Choices, numbers: Sequence[float]) -> Choices:
    """One layer exchanged: a program for one that an edit makes of it, or for another choice."""
    place = int(numbers[0] * len(layers))
    choice = layers[place]
    moves = header.moves[choice] if choice < len(header.programs) else ()
    if moves and numbers[1] < 0.5:
        new = moves[int(numbers[2] * len(moves))].target
    else:
        new = _choice(header, 2 * numbers[1] % 1, numbers[2])
    return (*layers[:place], new, *layers[place + 1 :])
