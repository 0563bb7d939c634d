"""An edit of a program: values of its graph, each put in another's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from autobertc.dsl.graph import Node, Program, make_node, post_order, print_roots
from autobertc.dsl.source import shorten
from autobertc.search.positions import traverse

ProgramEditKind = Literal["replace", "rewire", "insert", "delete", "input"]
INVERSE: dict[ProgramEditKind, ProgramEditKind] = {
    "replace": "replace",
    "rewire": "rewire",
    "insert": "delete",
    "delete": "insert",
    "input": "input",
}
MAX_SHOWN = 60


def substitute(root: Node, changes: Mapping[Node, Node]) -> Node:
    """The expression with values exchanged, everywhere they are used. What comes in is not looked into."""
    values: dict[Node, Node] = {}
    for node in post_order(root):
        replacement = changes.get(node)
        if replacement is None:
            replacement = node
            for operand in node.operands:
                if values[operand] is not operand:
                    replacement = make_node(node.op, *(values[below] for below in node.operands))
                    break
        values[node] = replacement
    return values[root]


@dataclass(frozen=True)
class ProgramEdit:
    """One edit of one program.

    Attributes:
        kind: what is done.
        position: where: of the operation that is edited, or the position that the new operation takes. Positions are
            those of the program before the edit.
        op: the operation that it brings to that position; None for an edit that brings none.
        changes: values of the program, and what stands in their place, of the same type.
    """

    kind: ProgramEditKind
    position: int
    op: str | None
    changes: tuple[tuple[Node, Node], ...]

    def apply(self, program: Program) -> Program | None:
        """The edited program; None where the program does not have the values that the edit changes."""
        present = set(post_order(program.root))
        if not all(before in present for before, _ in self.changes):
            return None
        return Program(substitute(program.root, dict(self.changes)))

    def inverse(self, program: Program) -> ProgramEdit:
        """The edit that leads from the result of this one on the program back to the program.

        Where what this edit made was there already, that value is not taken back everywhere: the inverse then changes
        the values above it. Raises `ValueError` where the edit does not fit the program.
        """
        edited = self.apply(program)
        if edited is None:
            raise ValueError(f"{self} does not fit the program")
        changes = dict(self.changes)
        images = _images(program.root, changes)
        while True:
            back = {images[before]: before for before in changes}
            if substitute(edited.root, back) is program.root:
                break
            # One step up: the users of what the edit changed, and the root where that was it.
            above = {
                node: images[node]
                for node in post_order(program.root)
                if node in images and any(operand in changes for operand in node.operands)
            }
            changes = above if above else {program.root: edited.root}
        kind = INVERSE[self.kind]
        positions = _positions(edited.root, on_top=kind == "insert")
        first = min(back, key=lambda node: positions[node])
        op = back[first].op.name if self.op or self.kind == "delete" else None
        return ProgramEdit(kind, positions[first], op, tuple(back.items()))

    def describe(self) -> str:
        """One line."""
        before, after = (shorten(expression(node), MAX_SHOWN) for node in self.changes[0])
        brings = f" {self.op}" if self.op else ""
        return f"{self.kind}{brings} at {self.position}: {before} -> {after}"

    __str__ = describe


def _positions(root: Node, on_top: bool) -> dict[Node, int]:
    """The position of each value, or that an operation put on top of it would take; of inputs always the latter."""
    found = traverse(root)
    tops = {root: len(found.order)}
    for (node, place), position in found.after.items():
        operand = node.operands[place]
        tops[operand] = min(position, tops.get(operand, position))
    return tops if on_top else {**tops, **found.positions}


def _images(root: Node, changes: Mapping[Node, Node]) -> dict[Node, Node]:
    """What an edit makes of each value that it changes or that is computed from one, where it is still used."""
    images: dict[Node, Node] = {}
    for node in post_order(root):
        if node in changes:
            images[node] = changes[node]
        elif any(operand in images for operand in node.operands):
            images[node] = make_node(node.op, *(images.get(operand, operand) for operand in node.operands))
    return images


def expression(node: Node) -> str:
    """A value's text on one line, shared values as they are printed."""
    lets, (text,) = print_roots([node])
    return "".join(f"let {name} = {value}; " for name, value in lets) + text
