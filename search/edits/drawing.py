"""Edits of a program: all of them, or one by chance without making the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from autobertc.dsl.graph import Node, Program
from autobertc.search.edits.change_input import CHANGE_INPUT
from autobertc.search.edits.delete import DELETE
from autobertc.search.edits.insert import INSERT
from autobertc.search.edits.program_edit import ProgramEdit, ProgramEditKind, substitute
from autobertc.search.edits.replace import REPLACE
from autobertc.search.edits.rewire import REWIRE
from autobertc.search.edits.surroundings import Choice, Kind, Site, Surroundings, around
from autobertc.search.space import Space

KINDS: dict[ProgramEditKind, Kind] = {kind.name: kind for kind in (REPLACE, REWIRE, INSERT, DELETE, CHANGE_INPUT)}
Value = TypeVar("Value")
# Of sites looked at for one edit: enough for any program that has an edit at all, in practice.
MAX_SITES = 200
# Of fillings tried for one operation at a site before another is drawn.
MAX_FILLINGS = 3

Weights = Callable[[int, Sequence[str]], Sequence[float]]
"""Of a position and the operations that can come there: a weight above 0 for each."""


@dataclass(frozen=True)
class Drawn:
    """An edit that was drawn.

    Attributes:
        edit: the edit.
        program: what it makes.
        probability: with which its operation was drawn from those that can come to its position; None where the edit
            brings none.
    """

    edit: ProgramEdit
    program: Program
    probability: float | None


def _edit(kind: Kind, around: Surroundings, site: Site, op: str | None, result: Node) -> ProgramEdit:
    target = around.root if site.target is None else site.target
    return ProgramEdit(kind.name, site.position, op, ((target, result),))


def program_edits(
    space: Space, program: Program, kinds: Sequence[ProgramEditKind] = tuple(KINDS)
) -> Iterator[ProgramEdit]:
    """Every edit of these kinds that keeps the program in the space, grouped by kind, then by position.

    Edits with equal results are all given.
    """
    surroundings = around(space, program.root)
    for name in kinds:
        kind = KINDS[name]
        for site in sorted(kind.sites(surroundings), key=lambda site: site.position):
            target = surroundings.root if site.target is None else site.target
            for op in kind.ops(surroundings, site):
                for choice in kind.choices(surroundings, site, op):
                    for result in choice.results():
                        if result is target:
                            continue
                        if space.illegal(substitute(program.root, {target: result})) is None:
                            yield _edit(kind, surroundings, site, op, result)


def draw_edit(
    space: Space,
    program: Program,
    rng: np.random.Generator,
    weights: Weights | None = None,
    kinds: Sequence[ProgramEditKind] = tuple(KINDS),
    rejected: Counter[str] | None = None,
) -> Drawn | None:
    """A legal edit by chance: its kind, the place in the program, the operation that it brings, and the rest.

    Kinds and places are equally likely; the operation is drawn by `weights` from those that can come there by type,
    or each as likely; the operands that it needs besides are equally likely. Where what comes out is outside the
    space, that is counted by reason in `rejected` and the operands, then the operation, then the place are drawn
    again. None where nothing legal is found.
    """
    surroundings = around(space, program.root)
    rejected = Counter() if rejected is None else rejected
    for _ in range(MAX_SITES):
        kind = KINDS[kinds[int(rng.integers(len(kinds)))]]
        sites = kind.sites(surroundings)
        if not sites:
            continue
        site = sites[int(rng.integers(len(sites)))]
        drawn = _at(surroundings, kind, site, rng, weights, rejected)
        if drawn is not None:
            return drawn
    return None


def _at(
    surroundings: Surroundings,
    kind: Kind,
    site: Site,
    rng: np.random.Generator,
    weights: Weights | None,
    rejected: Counter[str],
) -> Drawn | None:
    """An edit of that kind at that site."""
    root = surroundings.root
    target = root if site.target is None else site.target
    ops = list(kind.ops(surroundings, site))
    while ops:
        op, probability = _operation(ops, site.position, rng, weights)
        choices = kind.choices(surroundings, site, op)
        total = sum(choice.size for choice in choices)
        for _ in range(min(total, MAX_FILLINGS)):
            result = _numbered(choices, int(rng.integers(total)))
            edited = substitute(root, {target: result})
            reason = "changes nothing" if edited is root else surroundings.space.illegal(edited)
            if reason is None:
                edit = _edit(kind, surroundings, site, op, result)
                return Drawn(edit, Program(edited), None if op is None else probability)
            rejected[reason] += 1
        ops.remove(op)
    return None


def _operation(
    ops: Sequence[str | None], position: int, rng: np.random.Generator, weights: Weights | None
) -> tuple[str | None, float]:
    """One of the operations, and with which probability it was drawn."""
    named = [op for op in ops if op is not None]
    return choose(named, rng, weights and partial(weights, position)) if named else (None, 1.0)


def choose(
    values: Sequence[Value], rng: np.random.Generator, weights: Callable[[Sequence[Value]], Sequence[float]] | None
) -> tuple[Value, float]:
    """One of some values by weight, each as likely without weights, and with which probability it was drawn."""
    if weights is None:
        return values[int(rng.integers(len(values)))], 1 / len(values)
    given = np.asarray(weights(values), dtype=np.float64)
    sums = np.cumsum(given)
    chosen = min(int(np.searchsorted(sums, rng.random() * sums[-1], side="right")), len(values) - 1)
    return values[chosen], float(given[chosen] / sums[-1])


def _numbered(choices: Sequence[Choice], number: int) -> Node:
    for choice in choices:
        if number < choice.size:
            return choice.result(number)
        number -= choice.size
    raise IndexError(number)
