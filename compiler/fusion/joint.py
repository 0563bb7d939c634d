"""Both directions of a program: its forward plan, the derivative of its graph, and the backward plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autobertc.compiler.associate import associate_roots
from autobertc.compiler.canonical import canonical_root, canonical_roots
from autobertc.compiler.fusion.derivative import Differentiator
from autobertc.compiler.fusion.distribution import distribute
from autobertc.compiler.fusion.plan import Plan
from autobertc.compiler.fusion.planner import draft
from autobertc.compiler.fusion.shapes import is_statistic
from autobertc.dsl.graph import Node, Program, fold, make_node, post_order
from autobertc.dsl.ops.base import Input, Pairwise, Rowwise
from autobertc.dsl.ops.calculus import Leaf, MissingKernel, keep_mask, pair_sum
from autobertc.dsl.types import ND, NN

# Products are ordered for long sequences, so that what can be linear in N is; D counts only beside N.
LENGTH = 1 << 16
WIDTH = 64

GRADIENT = Leaf(name="gradient", formula="the gradient of the result", type=ND)


@dataclass(frozen=True, eq=False)
class Joint:
    """Both plans of a program.

    Attributes:
        inputs: the inputs in use, in order.
        forward: with the root "result".
        backward: with a root for each input, by its name; reads the inputs, "gradient" and what is kept.
        kept: names of what the forward pass keeps for the backward pass, with the nodes of both.
        sites: how many dropout masks there are.
    """

    inputs: tuple[str, ...]
    forward: Plan
    backward: Plan
    kept: Mapping[str, tuple[Node, Node]]
    sites: int


def arranged(program: Program) -> tuple[Node, int]:
    """The program as it is differentiated: canonical, products ordered, a dropout mask on each attention map.

    Also the number of masks.
    """
    root = canonical_root(distribute(canonical_root(program.root)))
    (root,) = associate_roots([root], LENGTH, WIDTH)
    sites = 0

    def drop_out(node: Node, operands: list[Node]) -> Node:
        nonlocal sites
        again = make_node(node.op, *operands)
        if isinstance(node.op, Rowwise) and node.op.is_map and node.type == NN:
            sites += 1
            return make_node("mul", again, make_node(keep_mask(sites)))
        return again

    return fold([root], drop_out)[root], sites


def _defined(node: Node, operands: list[Node]) -> Node:
    """A node with operations over rows replaced by what they are made of. Raises `MissingKernel`."""
    op = node.op
    if isinstance(op, Rowwise):
        if op.definition is None:
            raise MissingKernel(op, "definition")
        defined: Node = op.definition(make_node, *operands)
        return defined
    if isinstance(op, Pairwise):
        compared = make_node(pair_sum(op), *operands)
        return make_node(op.finish, compared) if op.finish else compared
    return make_node(op, *operands)


def plan_program(program: Program) -> Joint:
    """Plan a program, forward and backward. Raises `MissingKernel`."""
    root, sites = arranged(program)
    defined = fold([root], _defined)
    forward = draft({"result": defined[root]})
    members = set(forward.members)

    # The backward pass takes what is in memory as given, and computes the rest again.
    leaves: dict[Node, Node] = {}

    def seen_again(node: Node, operands: list[Node]) -> Node:
        if node in members:
            name = f"kept_{len(leaves) + 1}"
            kept = "kept by the forward pass"
            leaves[node] = make_node(Leaf(name=name, formula=kept, type=node.type, is_statistic=is_statistic(node)))
            return leaves[node]
        return make_node(node.op, *operands)

    again = fold([defined[root]], seen_again)
    values = {node: again[defined[node]] for node in post_order(root)}
    gradient = make_node(GRADIENT)
    gradients = Differentiator(values).run(root, gradient)
    roots = canonical_roots(gradients[name] for name in program.inputs)
    roots = associate_roots(roots, LENGTH, WIDTH)
    back = draft(dict(zip(program.inputs, roots, strict=True)))

    inputs = {node: node.op.name for node in post_order(root) if isinstance(node.op, Input)}
    used = {node: leaf for node, leaf in leaves.items() if leaf in back.given}
    labels = _labels(used, forward.roots["result"])
    given = {**inputs, gradient: "gradient", **{leaf: labels[node] for node, leaf in used.items()}}
    first = forward.finished("forward", inputs, labels, {"result": "result"})
    gradient_names = {name: f"{name}_gradient" for name in program.inputs}
    second = back.finished("backward", given, {}, gradient_names, taken=set(first.names.values()))
    return Joint(
        inputs=program.inputs,
        forward=first,
        backward=second,
        kept={labels[node]: (node, leaf) for node, leaf in used.items()},
        sites=sites,
    )


def _labels(nodes: Mapping[Node, Node], result: Node) -> dict[Node, str]:
    """Names of kept values after what they are: result, kept_softmax_statistic_1, kept_matmul_1, ..."""
    counts: dict[str, int] = {}
    labels = {}
    for node in nodes:
        stem = node.op.name
        counts[stem] = counts.get(stem, 0) + 1
        labels[node] = "result" if node is result else f"kept_{stem}_{counts[stem]}"
    return labels
