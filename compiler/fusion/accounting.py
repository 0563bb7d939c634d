"""What a plan costs: bytes, matrix-product FLOPs and transcendentals by stage, beside the least possible, and growth.

Bytes count each buffer that a stage reads or writes once, as if what it streams again came from a cache. FLOPs are
those of the products and comparisons that stages compute, recomputation included; the least possible computes every
value of the graph once and moves the inputs and results alone. Numbers are for one head of N tokens of D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autobertc.compiler.fusion.joint import Joint
from autobertc.compiler.fusion.lowering import lower_stage
from autobertc.compiler.fusion.plan import Plan, Stage
from autobertc.compiler.fusion.shapes import contracts, is_statistic
from autobertc.compiler.fusion.tiles import Compare, Dot, Instruction, Map, OnlineSoftmax, Triple
from autobertc.dsl.graph import Node, post_order
from autobertc.dsl.ops.base import MatMul
from autobertc.dsl.ops.calculus import PairGradient, PairSum
from autobertc.dsl.ops.expressions import ARITHMETIC, TRANSCENDENTAL

GROWTHS = ("constant", "linear", "quadratic", "cubic")


@dataclass(frozen=True)
class Sizes:
    """Tokens, features, and bytes of an input's element."""

    length: int
    head_dim: int
    itemsize: int = 2

    def of(self, axes: str) -> int:
        """The number of elements over some axes: i and j of tokens, others of features."""
        count = 1
        for axis in axes:
            count *= self.length if axis in "ij" else self.head_dim
        return count


def _buffer_bytes(node: Node, sizes: Sizes) -> int:
    count = 1
    for symbol in node.type:
        count *= {"N": sizes.length, "D": sizes.head_dim, "1": 1}[symbol]
    if "1" in node.type or sizes.itemsize == 4 or set(node.type) != {"N", "D"}:
        return count * 4 * (2 if is_statistic(node) else 1)
    return count * sizes.itemsize


def _work(it: Instruction, sizes: Sizes) -> tuple[int, int]:
    """FLOPs of products, and transcendentals, of an instruction over all tiles."""
    if isinstance(it, Dot):
        # The contracted axis is the one of the left tile that the result lacks, or a features axis of both.
        inner = next((axis for axis in it.left.axes if axis not in it.out.axes), "d")
        return 2 * sizes.of("".join(it.out.axes)) * sizes.of(inner), 0
    if isinstance(it, Compare):
        terms = len(ARITHMETIC.findall(it.of.term or "")) + 1
        return terms * sizes.of("".join(it.out.axes)) * sizes.head_dim, 0
    if isinstance(it, Triple):
        terms = len(ARITHMETIC.findall(it.expression)) + 1
        return terms * sizes.of("".join(it.labels)), len(TRANSCENDENTAL.findall(it.expression)) * sizes.of(
            "".join(it.labels)
        )
    if isinstance(it, OnlineSoftmax):
        scores = sizes.of("".join(it.scores.axes))
        return 2 * scores * sizes.head_dim * len(it.sums), scores
    if isinstance(it, Map):
        return 0, len(TRANSCENDENTAL.findall(it.expression)) * sizes.of("".join(it.out.axes))
    return 0, 0


def _stage(plan: Plan, stage: Stage, sizes: Sizes) -> dict[str, Any]:
    reads = [node for node in stage.reads if node not in stage.targets]
    writes = [node for node in stage.targets if node in plan.stored]
    if stage.kind == "library":
        flops, special = 2 * sizes.length**3, 0
    else:
        work = [_work(it, sizes) for it in lower_stage(plan, stage).instructions]
        flops, special = sum(part for part, _ in work), sum(part for _, part in work)
    return {
        "name": stage.name,
        "kind": stage.kind,
        "reads": [plan.names[node] for node in reads],
        "writes": [plan.names[node] for node in writes],
        "bytes": sum(_buffer_bytes(node, sizes) for node in (*reads, *writes)),
        "flops": flops,
        "transcendentals": special,
    }


def _once(roots: list[Node], sizes: Sizes) -> dict[str, int]:
    """FLOPs and bytes where everything is computed once and only inputs and results move."""
    flops = 0
    length = {"N": sizes.length, "D": sizes.head_dim, "1": 1}
    for node in post_order(*roots):
        if not contracts(node) or not isinstance(node.op, MatMul | PairSum | PairGradient):
            continue
        dimensions = [node.type.rows, node.type.columns, node.op.contracts(*(x.type for x in node.operands)) or "1"]
        count = 1
        for symbol in dimensions:
            count *= length[symbol]
        flops += 2 * count
    given = [node for node in post_order(*roots) if not node.operands and set(node.type) == {"N", "D"}]
    return {"flops": flops, "bytes": sum(_buffer_bytes(node, sizes) for node in (*given, *roots))}


def _direction(plan: Plan, sizes: Sizes) -> dict[str, Any]:
    stages = [{"number": n, **_stage(plan, stage, sizes)} for n, stage in enumerate(plan.stages, start=1)]
    totals = {name: sum(stage[name] for stage in stages) for name in ("bytes", "flops", "transcendentals")}
    return {"stages": stages, **totals, "least": _once(list(plan.roots.values()), sizes)}


def growth(*plans: Plan) -> str:
    """How the work of plans grows with the number of tokens: constant, linear, quadratic or cubic."""
    power = 0
    for plan in plans:
        for stage in plan.stages:
            power = max(power, {"library": 3, "stream": 2, "map": 2, "square": 0}.get(stage.kind, 1))
    return GROWTHS[power]


def account(joint: Joint, sizes: Sizes) -> dict[str, Any]:
    """The stages of both directions with what each reads, writes and costs; ready for JSON."""
    return {
        "length": sizes.length,
        "head_dim": sizes.head_dim,
        "itemsize": sizes.itemsize,
        "growth": growth(joint.forward, joint.backward),
        "library_calls": sum(stage.kind == "library" for stage in (*joint.forward.stages, *joint.backward.stages)),
        "forward": _direction(joint.forward, sizes),
        "backward": _direction(joint.backward, sizes),
    }
