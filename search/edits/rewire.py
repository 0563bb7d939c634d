"""Rewire an operand: an operation takes another value of the program, or an input, in its place. An input in the place
of an input is `change_input`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from autobertc.search.edits.program_edit import ProgramEditKind
from autobertc.search.edits.surroundings import Choice, Site, Surroundings, with_operand


class Rewire:
    name: ProgramEditKind = "rewire"

    def sites(self, around: Surroundings) -> Sequence[Site]:
        return [
            Site(position, node, place)
            for position, node in enumerate(around.order)
            for place in range(len(node.operands))
        ]

    def ops(self, around: Surroundings, site: Site) -> Sequence[str | None]:
        return [None]

    def choices(self, around: Surroundings, site: Site, op: str | None) -> Sequence[Choice]:
        target = site.target
        assert target is not None
        operand = target.operands[site.place]
        others = tuple(
            node
            for node in around.free(target)[operand.type]
            # A value of the program, or an input in an operation's place.
            if node is not operand and (node in around.index or (operand.operands and not node.operands))
        )
        return [Choice((others,), partial(with_operand, target, site.place))] if others else []


REWIRE = Rewire()
