"""Paths of edits from one program to another, each step an edit that the search can make.

The goal grows beside the start, `start + goal so far`, one operation at a time from its top; what is not there yet is
the smallest expression of its type. Then the start is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from typing import NamedTuple

from autobertc.dsl.graph import Node, Program, make_node, post_order
from autobertc.dsl.types import DD, DN, ND, NN, Type, TypeRuleError
from autobertc.search.edits import KINDS
from autobertc.search.edits.program_edit import substitute
from autobertc.search.edits.surroundings import around
from autobertc.search.space import Space


class Step(NamedTuple):
    kinds: tuple[str, ...]
    op: str | None
    result: Node


def seed(kind: Type, leaf: Node) -> Node:
    turned = make_node("transpose", leaf)
    return {
        ND: leaf,
        DN: turned,
        NN: make_node("cosine_similarity", leaf, leaf),
        DD: make_node("matmul", turned, leaf),
    }[kind]


def growth(goal: Node, leaf: Node, other: Node) -> Iterator[Step]:
    """The steps from the smallest expression of a type, made of one input, to the goal. Another input keeps apart what
    is not to be edited together."""
    start = seed(goal.type, leaf)
    if not goal.operands:
        if goal is not start:
            yield Step(("input",), None, goal)
        return
    types = [operand.type for operand in goal.operands]
    square = {goal.type, *types} <= {NN, DD} or goal.type in (ND, DN)
    kept = next((place for place, kind in enumerate(types) if kind in (goal.type, goal.type.transposed)), 0)
    leaves = [leaf if place == kept or not square else other for place in range(len(types))]
    parts = [seed(kind, own) for kind, own in zip(types, leaves, strict=True)]
    if make_node(goal.op, *parts) is not start:
        yield Step(("insert", "replace"), goal.op.name, make_node(goal.op, *parts))
    for place, operand in enumerate(goal.operands):
        if operand.operands and place and operand in post_order(*parts[:place]):
            if operand is not parts[place]:
                parts[place] = operand
                yield Step(("rewire",), None, make_node(goal.op, *parts))
            continue
        own = leaves[place]
        for step in growth(operand, own, other if own is leaf else leaf):
            parts[place] = step.result
            yield Step(step.kinds, step.op, make_node(goal.op, *parts))
        parts[place] = operand


def steps(start: Node, goal: Node, leaf: Node, other: Node) -> Iterator[Step]:
    """The whole path."""
    yield Step(("insert",), "add", make_node("add", start, leaf))
    for step in growth(goal, leaf, other):
        yield step._replace(result=make_node("add", start, step.result))
    yield Step(("delete",), None, goal)


def is_edit(space: Space, before: Node, step: Step) -> bool:
    """Whether one edit of the search does the step, legally."""
    if before is step.result:
        return True
    if space.illegal(step.result) is not None:
        return False
    at = around(space, before)
    for kind in (KINDS[name] for name in step.kinds):
        for site in kind.sites(at):
            if step.op is not None and step.op not in kind.ops(at, site):
                continue
            target = before if site.target is None else site.target
            for choice in kind.choices(at, site, step.op):
                for result in choice.results():
                    if substitute(before, {target: result}) is step.result:
                        return True
    return False


def reaches(space: Space, start: Node, goal: Node) -> bool:
    """Whether a path was found from one program to the other: straight, or by way of a third, where the start and what
    grows beside it get values in common that an edit would change in both."""
    third = make_node("matmul", make_node("cosine_similarity", *map(make_node, "QK")), make_node("V"))
    return _straight(space, start, goal) or (_straight(space, start, third) and _straight(space, third, goal))


def _straight(space: Space, start: Node, goal: Node) -> bool:
    return any(
        _follows(space, start, list(steps(start, goal, leaf, other)))
        for leaf, other in permutations(map(make_node, space.inputs), 2)
    )


def _follows(space: Space, start: Node, path: list[Step]) -> bool:
    before = start
    for step in path:
        if not is_edit(space, before, step):
            return False
        before = step.result
    return True


def all_programs(space: Space, most: int) -> list[Node]:
    """Every legal program of at most so many operations, a shared value counted once, in a fixed order."""
    found: set[Node] = set()

    def extend(values: tuple[Node, ...], left: int) -> None:
        for op in space.primitives:
            for operands in product(values, repeat=op.arity):
                try:
                    node = make_node(op, *operands)
                except TypeRuleError:
                    continue
                if node in values:
                    continue
                if left > 1:
                    extend((*values, node), left - 1)
                if node.type == ND and node.mixes and space.illegal(node) is None:
                    found.add(node)

    extend(tuple(make_node(name) for name in space.inputs), most)
    return sorted(found, key=lambda node: Program(node).key)
