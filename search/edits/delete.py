"""Delete an operation: one of its operands, or that operand's transpose, stands in its place. Values that nothing else
uses go with it."""

from __future__ import annotations

from collections.abc import Sequence

from autobertc.dsl.graph import Node
from autobertc.search.edits.program_edit import ProgramEditKind
from autobertc.search.edits.surroundings import Choice, Site, Surroundings


class Delete:
    name: ProgramEditKind = "delete"

    def sites(self, around: Surroundings) -> Sequence[Site]:
        return [Site(position, node) for position, node in enumerate(around.order)]

    def ops(self, around: Surroundings, site: Site) -> Sequence[str | None]:
        return [None]

    def choices(self, around: Surroundings, site: Site, op: str | None) -> Sequence[Choice]:
        target = site.target
        assert target is not None
        fitted = (around.fitted(operand, target.type) for operand in target.operands)
        left = tuple(dict.fromkeys(node for node in fitted if node is not None and node is not target))
        return [Choice((left,), _itself)] if left else []


def _itself(node: Node) -> Node:
    return node


DELETE = Delete()
