"""The typed graph: frozen, hash-consed nodes. Equal sub-expressions are one node, so sharing is never lost.

Nothing here recurses over a graph: expressions may be nested tens of thousands deep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeVar
from weakref import WeakValueDictionary

from autobertc.dsl.ops import INPUTS, lookup
from autobertc.dsl.ops.base import Primitive
from autobertc.dsl.source import Span
from autobertc.dsl.types import NN, Type

Value = TypeVar("Value")

# The most operations that a shared value may have and still be printed in each place instead of as a let.
MAX_REPEATED = 3


class Node:
    """One value of a program. Build nodes with `make_node`, which types and shares them.

    Attributes:
        op: the primitive, or the input, that yields the value.
        operands: its operands.
        type: the value's shape, by symbol.
        digest: a hash of the structure below, the same in every process.
        inputs: the names of the inputs it is computed from.
        mixes: whether its value at a token depends on other tokens: something contracts, or normalises, over N.
    """

    __slots__ = ("__weakref__", "digest", "inputs", "mixes", "op", "operands", "type")

    op: Primitive
    operands: tuple[Node, ...]
    type: Type
    digest: bytes
    inputs: frozenset[str]
    mixes: bool

    def __init__(self, op: Primitive, operands: tuple[Node, ...], value_type: Type) -> None:
        mixes = False
        if op.name in INPUTS:
            # Inputs sort first and in the order Q K V P, so that canonical forms read naturally.
            digest = list(INPUTS).index(op.name).to_bytes(16)
            inputs = frozenset([op.name])
        else:
            parts = [f"{op.name}/{len(operands)}".encode(), *(operand.digest for operand in operands)]
            digest = blake2b(b"".join(parts), digest_size=16).digest()
            inputs = frozenset().union(*(operand.inputs for operand in operands))
            if operands:
                mixes = any(operand.mixes for operand in operands)
                mixes = mixes or op.contracts(*(operand.type for operand in operands)) == "N"
        assign = object.__setattr__
        assign(self, "op", op)
        assign(self, "operands", operands)
        assign(self, "type", value_type)
        assign(self, "digest", digest)
        assign(self, "inputs", inputs)
        assign(self, "mixes", mixes)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a node is frozen")

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.type} {self.digest.hex()[:8]}>"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("pickle the text of a program (graph.print_program), not its nodes")


_NODES: WeakValueDictionary[tuple[object, ...], Node] = WeakValueDictionary()


def make_node(op: Primitive | str, *operands: Node) -> Node:
    """The node of that operation and operands; the same object each time.

    Raises `TypeRuleError` where the operand types break the operation's rule, `KeyError` where no operation has the
    name, `ValueError` where the number of operands is wrong.
    """
    if isinstance(op, str):
        found = INPUTS.get(op) or lookup(op)
        if found is None:
            raise KeyError(op)
        op = found
    key = (op, *operands)
    node = _NODES.get(key)
    if node is None:
        if len(operands) != op.arity and not (op.associative and len(operands) >= op.arity):
            raise ValueError(f"{op.name} takes {op.arity} operands, found {len(operands)}")
        node = Node(op, operands, op.result_type(*(operand.type for operand in operands)))
        _NODES[key] = node
    return node


def post_order(*roots: Node) -> Iterator[Node]:
    """Every node below the roots once, operands first: the left operand before the right, a shared node at its
    first visit."""
    done: set[Node] = set()
    stack = list(reversed(roots))
    while stack:
        node = stack[-1]
        if node not in done:
            top = len(stack)
            for operand in node.operands[::-1]:
                if operand not in done:
                    stack.append(operand)
            if len(stack) > top:
                continue
            done.add(node)
            yield node
        stack.pop()


def count_uses(*roots: Node) -> dict[Node, int]:
    """How many operand places, and roots, hold each node."""
    uses: dict[Node, int] = {}
    for node in post_order(*roots):
        uses.setdefault(node, 0)
        for operand in node.operands:
            uses[operand] += 1
    for root in roots:
        uses[root] += 1
    return uses


def fold(roots: Iterable[Node], visit: Callable[[Node, list[Value]], Value]) -> dict[Node, Value]:
    """`visit(node, values of its operands)` for every node, operands first."""
    values: dict[Node, Value] = {}
    for node in post_order(*roots):
        values[node] = visit(node, [values[operand] for operand in node.operands])
    return values


@dataclass(frozen=True, eq=False)
class Program:
    """The program of one attention layer: a root of type `[N,D]` over the inputs it uses.

    `spans` says where in the source a node was first written; nodes that a pass made have none.
    """

    root: Node
    spans: Mapping[Node, Span] = field(default_factory=dict, repr=False)

    def nodes(self) -> Iterator[Node]:
        return post_order(self.root)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs in use, in the order Q K V P."""
        return tuple(name for name in INPUTS if name in self.root.inputs)

    @property
    def key(self) -> str:
        """The structural key: equal for equal graphs, in every process."""
        return self.root.digest.hex()

    def __str__(self) -> str:
        return print_program(self)


class InvalidGraph(Exception):
    """A graph that breaks an invariant of the IR: a defect of a pass, never of a user's program."""


def verify(program: Program) -> None:
    """Check a program's invariants. Raises `InvalidGraph`.

    Types are what the rules give, operand counts fit, every node is the shared one, and the root has type [N,D] and
    uses an input. Acyclic by construction.
    """
    for node in program.nodes():
        try:
            again = make_node(node.op, *node.operands)
        except Exception as error:
            raise InvalidGraph(f"{node!r}: {error}") from error
        if again is not node:
            raise InvalidGraph(f"{node!r} is not the shared node of its structure")
    if str(program.root.type) != "[N,D]":
        raise InvalidGraph(f"the root has type {program.root.type}, not [N,D]")
    if not program.inputs:
        raise InvalidGraph("the program uses no input")


def apply_to_value(root: Node) -> Node:
    """An attention map, `[N,N]`, applied to V; anything else as it is."""
    return make_node("matmul", root, make_node("V")) if root.type == NN else root


def _expression(root: Node, names: Mapping[Node, str]) -> str:
    """The text of one expression, with the nodes in `names` (other than the root) by name."""
    parts: list[str] = []
    stack: list[Node | str] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
        elif item is not root and item in names:
            parts.append(names[item])
        elif not item.operands:
            parts.append(item.op.name)
        else:
            parts.append(item.op.name + "(")
            stack.append(")")
            for index, operand in enumerate(reversed(item.operands)):
                if index:
                    stack.append(", ")
                stack.append(operand)
    return "".join(parts)


def print_roots(
    roots: Iterable[Node], known: Mapping[Node, str] | None = None
) -> tuple[list[tuple[str, str]], list[str]]:
    """The lets (name, expression) of every larger value used more than once, and the expression of each root.

    A shared value of few operations is written out each time: reading it back shares it again. Values in `known` stand
    under their names, the roots themselves apart.
    """
    distinct = tuple(dict.fromkeys(roots))
    names: dict[Node, str] = dict(known or {})
    lets: list[tuple[str, str]] = []
    sizes: dict[Node, int] = {}
    uses = count_uses(*distinct)
    first = len(names)
    for node in post_order(*distinct):
        if known and node in known:
            sizes[node] = 0
            continue
        sizes[node] = bool(node.operands) + sum(sizes[operand] for operand in node.operands)
        if uses[node] > 1 and sizes[node] > MAX_REPEATED:
            name = f"v{len(names) - first + 1}"
            lets.append((name, _expression(node, names)))
            names[node] = name
            sizes[node] = 0
    printed = [] if known else [root for root in distinct if root in names]
    return lets, [names[root] if root in printed else _expression(root, names) for root in roots]


def print_program(program: Program) -> str:
    """The graph as text with sharing as lets; `read_program` gives the same graph back."""
    lets, (root,) = print_roots([program.root])
    return "".join(f"let {name} = {text}\n" for name, text in lets) + f"att: {root}\n"
