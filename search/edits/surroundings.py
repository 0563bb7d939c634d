"""What an edit finds around it: the places of a program, and the values it can bring there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from typing import NamedTuple, Protocol

from autobertc.dsl.graph import Node, make_node
from autobertc.dsl.ops.base import Primitive, Transpose
from autobertc.dsl.types import Type
from autobertc.search.counting import Signature, signatures
from autobertc.search.edits.program_edit import ProgramEditKind
from autobertc.search.positions import traverse
from autobertc.search.space import Space


class Site(NamedTuple):
    """Where an edit can be made: at an operation, or at one of its operands. The root's own place has target None.

    `position` is that of the operation, or the one that an operation put on the operand would take.
    """

    position: int
    target: Node | None
    place: int = 0


@dataclass(frozen=True, eq=False)
class Choice:
    """Values that can stand in a site's place: for each slot a value of its candidates, handed to `make`."""

    slots: tuple[Sequence[Node], ...]
    make: Callable[..., Node]

    @property
    def count(self) -> int:
        return prod(len(slot) for slot in self.slots)

    def result(self, number: int) -> Node:
        """The value of that number, from 0 to `count - 1`."""
        chosen = []
        for slot in self.slots:
            number, index = divmod(number, len(slot))
            chosen.append(slot[index])
        return self.make(*chosen)

    def results(self) -> Iterator[Node]:
        """All of them."""
        for chosen in product(*self.slots):
            yield self.make(*chosen)


class Kind(Protocol):
    """A kind of edit of programs. A new kind is one more of these."""

    @property
    def name(self) -> ProgramEditKind: ...

    def sites(self, around: Surroundings) -> Sequence[Site]:
        """Where it can be done."""
        ...

    def ops(self, around: Surroundings, site: Site) -> Sequence[str | None]:
        """The operations that it can bring there; (None,) where it brings none."""
        ...

    def choices(self, around: Surroundings, site: Site, op: str | None) -> Sequence[Choice]:
        """What can stand in the site's place, with that operation."""
        ...


class Surroundings:
    """A program of a space as edits see it.

    Attributes:
        order: its operations by position.
    """

    def __init__(self, space: Space, root: Node) -> None:
        self.space = space
        self.root = root
        found = traverse(root)
        self.order, self.index, self.after = found.order, found.index, found.after
        self._free: dict[Node | None, dict[Type, tuple[Node, ...]]] = {}

    @cached_property
    def inputs(self) -> tuple[Node, ...]:
        """The inputs of the space."""
        return tuple(make_node(name) for name in self.space.inputs)

    def free(self, target: Node | None) -> dict[Type, tuple[Node, ...]]:
        """Values that can become operands at an operation without it being computed from itself, by type.

        They are the program's values but those computed from the operation, and the smallest expressions of each type
        that the space has, inputs among them. None for an operation above the root.
        """
        found = self._free.get(target)
        if found is None:
            above = set() if target is None else {target}
            values: dict[Type, dict[Node, None]] = {kind: {} for kind in self.space.tables.smallest}
            for node in self.order:
                if not above.isdisjoint(node.operands):
                    above.add(node)
                if node not in above:
                    values[node.type][node] = None
            for kind, smallest in self.space.tables.smallest.items():
                values[kind].update(dict.fromkeys(smallest))
            found = self._free[target] = {kind: tuple(nodes) for kind, nodes in values.items()}
        return found

    @cached_property
    def transpose(self) -> Primitive | None:
        """The transpose, where the space has one."""
        return next((op for op in self.space.primitives if isinstance(op, Transpose)), None)

    def turned(self, node: Node) -> Node | None:
        """The transpose of a value: what is below its transpose, or a new one."""
        if isinstance(node.op, Transpose):
            return node.operands[0]
        return make_node(self.transpose, node) if self.transpose else None

    def fitted(self, node: Node, kind: Type) -> Node | None:
        """A value, or its transpose, of that type; None where neither is."""
        if node.type == kind:
            return node
        return self.turned(node) if node.type.transposed == kind else None


@lru_cache(maxsize=4096)
def around(space: Space, root: Node) -> Surroundings:
    """The surroundings of a program, kept for the next edit of the same parent."""
    return Surroundings(space, root)


@lru_cache(maxsize=256)
def _typed(ops: tuple[Primitive, ...]) -> dict[Type, dict[str, tuple[Signature, ...]]]:
    found: dict[Type, dict[str, list[Signature]]] = {}
    for op in ops:
        for it in signatures(op):
            found.setdefault(it.result, {}).setdefault(op.name, []).append(it)
    return {kind: {name: tuple(its) for name, its in by_op.items()} for kind, by_op in found.items()}


def typed(space: Space, result: Type) -> dict[str, tuple[Signature, ...]]:
    """The operations that can give that type, each with the operand types at which it does."""
    return _typed(space.primitives).get(result, {})


def with_operand(node: Node, place: int, operand: Node) -> Node:
    """The operation with one operand exchanged."""
    return make_node(node.op, *(operand if index == place else below for index, below in enumerate(node.operands)))
