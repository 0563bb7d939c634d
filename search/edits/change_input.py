"""Change an input: an operation takes another of the space's inputs in the place of one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from autobertc.search.edits.program_edit import ProgramEditKind
from autobertc.search.edits.surroundings import Choice, Site, Surroundings, with_operand


class ChangeInput:
    name: ProgramEditKind = "input"

    def sites(self, around: Surroundings) -> Sequence[Site]:
        return [
            Site(position, node, place)
            for position, node in enumerate(around.order)
            for place, operand in enumerate(node.operands)
            if not operand.operands
        ]

    def ops(self, around: Surroundings, site: Site) -> Sequence[str | None]:
        return [None]

    def choices(self, around: Surroundings, site: Site, op: str | None) -> Sequence[Choice]:
        target = site.target
        assert target is not None
        others = tuple(node for node in around.inputs if node is not target.operands[site.place])
        return [Choice((others,), partial(with_operand, target, site.place))]


CHANGE_INPUT = ChangeInput()
