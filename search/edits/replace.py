"""Replace an operation by another that gives the same type.

Operands stay where their type, or their transpose's, is what the new operation takes; one of them must. A place that
none fits takes any value of its type.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from autobertc.dsl.graph import Node, make_node
from autobertc.dsl.types import Type
from autobertc.search.counting import Signature
from autobertc.search.edits.program_edit import ProgramEditKind
from autobertc.search.edits.surroundings import Choice, Site, Surroundings, typed


class Replace:
    name: ProgramEditKind = "replace"

    def sites(self, around: Surroundings) -> Sequence[Site]:
        return [Site(position, node) for position, node in enumerate(around.order)]

    def ops(self, around: Surroundings, site: Site) -> Sequence[str | None]:
        assert site.target is not None
        return [name for name in typed(around.space, site.target.type) if name != site.target.op.name]

    def choices(self, around: Surroundings, site: Site, op: str | None) -> Sequence[Choice]:
        target = site.target
        assert target is not None and op is not None
        found = []
        for it in typed(around.space, target.type)[op]:
            for slots in _slots(around, target, it):
                if all(slots):
                    found.append(Choice(slots, partial(make_node, it.op)))
        return found


def _slots(around: Surroundings, target: Node, it: Signature) -> Sequence[tuple[Sequence[Node], ...]]:
    """The candidates for each operand of the new operation; several ways where an operand can go to several places."""
    old = target.operands

    def fitting(kind: Type, operands: Sequence[Node]) -> tuple[Node, ...]:
        fitted = (around.fitted(operand, kind) for operand in operands)
        return tuple(dict.fromkeys(node for node in fitted if node is not None))

    def anything(kind: Type) -> tuple[Node, ...]:
        return around.free(target)[kind]

    if len(it.operands) == len(old):
        kept = [fitting(kind, [operand]) for kind, operand in zip(it.operands, old, strict=True)]
        if not any(kept):
            return []
        return [tuple(found or anything(kind) for found, kind in zip(kept, it.operands, strict=True))]
    if len(it.operands) < len(old):
        return [tuple(fitting(kind, old) for kind in it.operands)]
    # More places than operands: an old operand in a place that it fits, anything in the others.
    ways = []
    for place, kind in enumerate(it.operands):
        kept_here = fitting(kind, old)
        if kept_here:
            others = (kept_here if index == place else anything(other) for index, other in enumerate(it.operands))
            ways.append(tuple(others))
    return ways


REPLACE = Replace()
