"""Insert an operation between a value and one of its users, or above the whole program.

The value, or its transpose, becomes an operand; other operands are any values of the types that the operation takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autobertc.dsl.graph import Node, make_node
from autobertc.dsl.ops.base import Transpose
from autobertc.search.counting import Signature
from autobertc.search.edits.program_edit import ProgramEditKind
from autobertc.search.edits.surroundings import Choice, Site, Surroundings, typed, with_operand


class Insert:
    name: ProgramEditKind = "insert"

    def sites(self, around: Surroundings) -> Sequence[Site]:
        places = [Site(position, node, place) for (node, place), position in around.after.items()]
        return [*places, Site(len(around.order), None)]

    def ops(self, around: Surroundings, site: Site) -> Sequence[str | None]:
        kind = _value(around, site).type
        return list(typed(around.space, kind))

    def choices(self, around: Surroundings, site: Site, op: str | None) -> Sequence[Choice]:
        assert op is not None
        value = _value(around, site)
        free = around.free(site.target)
        found = []
        for it in typed(around.space, value.type)[op]:
            for place in range(len(it.operands)):
                operand = _operand(around, value, it, place)
                if operand is None:
                    continue
                slots = tuple([operand] if index == place else free[kind] for index, kind in enumerate(it.operands))
                if all(slots):
                    found.append(Choice(slots, _maker(it, site)))
        return found


def _value(around: Surroundings, site: Site) -> Node:
    return around.root if site.target is None else site.target.operands[site.place]


def _operand(around: Surroundings, value: Node, it: Signature, place: int) -> Node | None:
    """The value as that operand, turned where the type asks for it."""
    if isinstance(it.op, Transpose) and it.operands[place] != value.type:
        # A transpose of a value's own transpose is a new pair, with room between for what works on columns.
        return make_node(it.op, value)
    return around.fitted(value, it.operands[place])


def _maker(it: Signature, site: Site) -> Callable[..., Node]:
    target, place = site.target, site.place
    if target is None:
        return lambda *operands: make_node(it.op, *operands)
    return lambda *operands: with_operand(target, place, make_node(it.op, *operands))


INSERT = Insert()
