"""From a graph to stages: what is written to memory, and which values share a kernel.

Written to memory: sums over tokens, what a library call takes or gives, results, [D,D] values between stages, and
values of single tokens that the cost model would rather read than compute again for every tile. All else is computed
where it is used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from autobertc.compiler.fusion.cost import worth_keeping
from autobertc.compiler.fusion.plan import Plan, Stage, StageKind
from autobertc.compiler.fusion.requests import Operand, Request, contraction, operands
from autobertc.compiler.fusion.shapes import contracts, contracts_sequence, is_map_product, peeled, sequence_axes
from autobertc.dsl.graph import Node, post_order
from autobertc.dsl.ops.base import ElementwiseBinary, Factor, Input, MatMul, Transpose
from autobertc.dsl.ops.calculus import Broadcast, Keep, Leaf, PairSum, Reduction, Weights
from autobertc.dsl.types import DD, NN

# Of accumulators [tile, D] in one kernel; more would leave the registers.
MAX_ACCUMULATORS = 3
# Of score tiles in a kernel whose sums share operands only.
MAX_SEPARATE_MAPS = 2
# How many stages back a value looks for one to join.
RECENT = 16


def target_request(node: Node) -> Request:
    """The tile of a value in memory that one program of a kernel makes."""
    axes = {"N": "i", "D": "d", "1": None}
    rows, columns = axes[node.type.rows], axes[node.type.columns]
    if node.type == NN:
        columns = "j"
    elif node.type == DD:
        columns = "e"
    return Request(node, rows, columns)


def target_operands(node: Node) -> list[Operand]:
    """The tiles that a value in memory is computed from."""
    request = target_request(node)
    if is_map_product(node):
        return []
    return contraction(request, "j") if contracts_sequence(node) else operands(request)


def is_given(node: Node) -> bool:
    """Whether a node is in memory from the start. A dropout mask is not: it is drawn where it is used."""
    return isinstance(node.op, Input | Leaf) and not isinstance(node.op, Keep)


def softmax_sum(node: Node) -> Node | None:
    """The statistic whose softmax, dropped out or not, is the left factor of a product; None for other values."""
    if not isinstance(node.op, MatMul):
        return None
    weights = node.operands[0]
    if isinstance(weights.op, ElementwiseBinary) and any(isinstance(below.op, Keep) for below in weights.operands):
        weights = next(below for below in weights.operands if not isinstance(below.op, Keep))
    if not isinstance(weights.op, Weights):
        return None
    scores, wide = weights.operands
    if not isinstance(wide.op, Broadcast):
        return None
    statistic = wide.operands[0]
    return statistic if statistic.operands == (scores,) and isinstance(statistic.op, Reduction) else None


def kind_of(node: Node) -> StageKind:
    """The kind of stage that completes a value."""
    if is_map_product(node):
        return "library"
    if sequence_axes(node) == 2:
        return "map"
    if contracts_sequence(node):
        return "stream" if sequence_axes(node) else "state"
    return "rows" if sequence_axes(node) else "square"


@dataclass(eq=False)
class _Reach:
    """What a target is computed from: values in memory, and the tiles on the way."""

    reads: dict[Node, None] = field(default_factory=dict)
    loads: set[tuple[Node, str | None, str | None]] = field(default_factory=set)
    maps: set[tuple[Node, str | None, str | None]] = field(default_factory=set)
    streamed: dict[Node, None] = field(default_factory=dict)
    pairs: dict[Node, None] = field(default_factory=dict)


class _Planner:
    def __init__(self, roots: Mapping[str, Node]) -> None:
        self.roots = {name: peeled(node) for name, node in roots.items()}
        self.nodes = list(post_order(*self.roots.values()))
        self.members: set[Node] = set()
        self.reach: dict[Node, _Reach] = {}
        self.stages: list[Stage] = []
        self.stage_of: dict[Node, Stage] = {}
        self.needs: dict[Stage, set[Stage]] = {}

    # ------------------------------------------------------------ what is in memory

    def find_members(self) -> None:
        self.members = {root for root in self.roots.values() if not is_given(root)}
        for node in self.nodes:
            if contracts_sequence(node):
                self.members.add(node)
            if is_map_product(node):
                self.members.update(peeled(below) for below in node.operands if not is_given(peeled(below)))
        self._add_squares()
        while True:
            self.reach = {node: self._reach(node) for node in self.nodes if node in self.members}
            kept = [
                node
                for reach in self.reach.values()
                for node in (*reach.pairs, *(n for n in reach.streamed if worth_keeping(n, self.members)))
            ]
            kept = [node for node in kept if node not in self.members]
            if not kept:
                return
            self.members.update(kept)

    def _add_squares(self) -> None:
        """[D,D] values that a stage over tokens reads, where making them is more than a few operations an element."""
        outside: set[Node] = set()
        for node in reversed(self.nodes):
            over_tokens = sequence_axes(node) > 0 or contracts_sequence(node) or node in outside
            for below in node.operands:
                if not over_tokens or sequence_axes(below) or is_given(below) or below in self.members:
                    continue
                if contracts(below):
                    self.members.add(below)
                else:
                    outside.add(below)

    def _reach(self, target: Node) -> _Reach:
        reach = _Reach()
        streams = kind_of(target) in ("stream", "state")
        seen: set[Request] = set()
        stack = [(found.request, False) for found in reversed(target_operands(target))]
        if isinstance(target.op, PairSum) and not contracts_sequence(target):
            self._pair_operands(target, reach)
        while stack:
            request, of_rows = stack.pop()
            node = request.node
            tile = (node, request.rows, request.columns)
            if node.type == NN and not isinstance(node.op, Keep | Transpose):
                reach.maps.add(tile)
            if node in self.members or is_given(node):
                reach.reads.setdefault(node)
                reach.loads.add(tile)
                continue
            rows_at_stream = streams and "j" in request.axes and "i" not in request.axes
            costs = not isinstance(node.op, Transpose | Broadcast | Factor | Keep)
            if rows_at_stream and costs and not of_rows:
                reach.streamed.setdefault(peeled(node))
            if request in seen:
                continue
            seen.add(request)
            if isinstance(node.op, PairSum):
                self._pair_operands(node, reach)
            below = [(found.request, rows_at_stream and costs) for found in operands(request)]
            stack.extend(reversed(below))
        return reach

    def _pair_operands(self, node: Node, reach: _Reach) -> None:
        """The rows that a comparison reads from memory, a few coordinates at a time."""
        reach.pairs.update(dict.fromkeys(peeled(x) for x in node.operands if not is_given(peeled(x))))

    # ------------------------------------------------------------ which values share a stage

    def make_stages(self) -> None:
        for node in self.nodes:
            if node in self.members:
                self._place(node)

    def _place(self, node: Node) -> None:
        kind = kind_of(node)
        reach = self.reach[node]
        reads = list(reach.reads)
        if kind == "library":
            reads = list(dict.fromkeys(peeled(below) for below in node.operands))
        needed = {self.stage_of[read] for read in reads if read in self.stage_of}
        statistic = softmax_sum(node)
        for stage in self._candidates(kind, needed):
            inside = [read for read in reads if self.stage_of.get(read) is stage]
            online = kind == "stream" and inside == [statistic] and stage.kind == "stream"
            if inside and not online and kind not in ("rows", "square"):
                continue
            if any(pair in stage.targets for pair in reach.pairs):
                continue
            if any(self._depends(other, stage) for other in needed - {stage}):
                continue
            if not self._fits(node, kind, stage, reach, bool(inside)):
                continue
            if online and statistic is not None:
                stage.online.setdefault(statistic, []).append(node)
            self._join(node, stage, reads, needed - {stage})
            return
        stage = Stage(name="", kind=kind, targets=[])
        self.stages.append(stage)
        self.needs[stage] = set()
        self._join(node, stage, reads, needed)

    def _candidates(self, kind: StageKind, needed: Collection[Stage]) -> list[Stage]:
        """Stages to join: the latest that the value needs first, then other recent ones."""
        if kind in ("map", "library"):
            return []
        kinds = ("stream", "rows") if kind == "rows" else (kind,)
        close = [stage for stage in reversed(self.stages) if stage in needed and stage.kind in kinds]
        # A value of single tokens belongs behind the sum it is made of, or beside other such values.
        rest = [stage for stage in reversed(self.stages[-RECENT:]) if stage not in needed and stage.kind == kind]
        return [*close, *rest]

    def _fits(self, node: Node, kind: StageKind, stage: Stage, reach: _Reach, inside: bool) -> bool:
        """Whether a stage has room for a value, and something in common with it."""
        if inside and kind in ("rows", "square"):
            return True
        others = [self.reach[target] for target in stage.targets]
        loads = set().union(*(other.loads for other in others))
        maps = set().union(*(other.maps for other in others))
        wide = sum(self._is_wide(target) for target in [*stage.targets, node])
        if kind == "stream":
            if inside or reach.maps & maps:
                return wide <= MAX_ACCUMULATORS
            scores = {tile for tile in reach.maps | maps if contracts(tile[0])}
            return bool(reach.loads & loads) and wide <= 2 and len(scores) <= MAX_SEPARATE_MAPS
        if kind == "state":
            return bool(reach.loads & loads) and wide <= 2
        return bool(reach.loads & loads) and len(stage.targets) < 4

    @staticmethod
    def _is_wide(node: Node) -> bool:
        return contracts_sequence(node) and node.type.columns != "1"

    def _join(self, node: Node, stage: Stage, reads: Iterable[Node], needed: Iterable[Stage]) -> None:
        stage.targets.append(node)
        self.stage_of[node] = stage
        self.needs[stage].update(needed)
        stage.reads = list(dict.fromkeys([*stage.reads, *reads]))

    def _depends(self, stage: Stage, on: Stage) -> bool:
        """Whether a stage needs another, directly or not."""
        seen: set[Stage] = set()
        stack = [stage]
        while stack:
            current = stack.pop()
            if current is on:
                return True
            if current not in seen:
                seen.add(current)
                stack.extend(self.needs[current])
        return False

    def ordered(self) -> list[Stage]:
        """The stages, each behind those it needs, otherwise as found."""
        done: dict[Stage, None] = {}
        stack = list(reversed(self.stages))
        while stack:
            stage = stack[-1]
            waiting = [other for other in self.stages if other in self.needs[stage] and other not in done]
            if stage in done or not waiting:
                stack.pop()
                done.setdefault(stage)
            else:
                stack.extend(reversed(waiting))
        return list(done)


@dataclass(frozen=True, eq=False)
class Draft:
    """Stages before it is known what the backward pass reads."""

    stages: tuple[Stage, ...]
    roots: Mapping[str, Node]
    members: frozenset[Node]
    given: tuple[Node, ...]

    @cached_property
    def read(self) -> frozenset[Node]:
        """The values that a stage other than their own reads."""
        return frozenset(node for stage in self.stages for node in stage.reads if node not in stage.targets)

    def finished(
        self,
        prefix: str,
        given: Mapping[Node, str],
        kept: Mapping[Node, str],
        results: Mapping[str, str],
        taken: Collection[str] = (),
    ) -> Plan:
        """The plan, with the names that given values have, and kept values and results get; no other is in `taken`."""
        names = {**given, **kept}
        for root, name in results.items():
            names.setdefault(self.roots[root], name)
        counts: dict[str, int] = {}
        for stage in self.stages:
            for node in stage.targets:
                if node not in names:
                    stem = node.op.name
                    counts[stem] = counts.get(stem, 0) + 1
                    while f"{stem}_{counts[stem]}" in taken:
                        counts[stem] += 1
                    names[node] = f"{stem}_{counts[stem]}"
        for number, stage in enumerate(self.stages, start=1):
            stage.name = f"{prefix}_{number}_{stage.kind}"
        final = [node for node in self.roots.values() if node in self.members]
        stored = frozenset([*final, *(n for n in self.members if n in self.read or n in kept)])
        return Plan(self.stages, self.roots, names, stored)


def draft(roots: Mapping[str, Node]) -> Draft:
    """The stages that compute the roots."""
    planner = _Planner(roots)
    planner.find_members()
    planner.make_stages()
    given = tuple(node for node in planner.nodes if is_given(node))
    return Draft(tuple(planner.ordered()), planner.roots, frozenset(planner.members), given)
