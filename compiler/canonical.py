"""The canonical form: one graph for every way of writing the same thing, as far as rewriting can tell.

- neg and scale are one constant factor; factors move through linear operations and merge.
- Every value has one orientation; transposes move to the operand that needs them, and double ones vanish. A softmax
  over columns is written as the transpose of a softmax over rows.
- Sums and products are flat: `add` and `matmul` take any number of operands. Flattening stops at a value with more
  than one use, so that sharing is never expanded. Operands of `add` and of other commutative operations are sorted.
- An operation with a definition (a cosine) is replaced by it.

No rewrite changes more than the order of floating-point operations, and each keeps the padding rule: a value and its
transpose, and a factor in and out of a contraction, see the same tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from autobertc.compiler.passes import verified
from autobertc.compiler.terms import Term, pull_factors
from autobertc.dsl.graph import Node, Program, fold, make_node, post_order
from autobertc.dsl.ops.base import (
    Add,
    Elementwise,
    ElementwiseBinary,
    Factor,
    Input,
    MatMul,
    Pairwise,
    Primitive,
    Rowwise,
    Transpose,
)
from autobertc.dsl.ops.calculus import Broadcast, Leaf, PairGradient, PairSum, Reduction
from autobertc.dsl.types import DN

MAX_ROUNDS = 100


@dataclass(eq=False, slots=True)
class _Pending:
    """A sum or product that its only consumer may still absorb; operands may be pending themselves."""

    op: Primitive
    operands: list[_Value]


@dataclass(eq=False, slots=True)
class _Value:
    """A term, or a pending sum or product with a factor and an orientation around it."""

    of: Term | _Pending
    transposed: bool = False
    sign: int = 1
    power: int = 0

    def copy(self) -> _Value:
        """Another of the same: a value's factor and orientation are changed in place where a consumer absorbs it."""
        return _Value(self.of, self.transposed, self.sign, self.power)


def _sort_key(term: Term) -> tuple[bytes, bool, int, int]:
    return term.core.digest, term.transposed, term.power, -term.sign


def _by_parity(op: Elementwise | Rowwise, operand: Term) -> tuple[int, Term]:
    """The sign that f(-x) = -f(x) or f(x) takes out of an operand, and the operand without its minus."""
    if op.parity is None or operand.sign > 0:
        return 1, operand
    return (-1 if op.parity == "odd" else 1), operand.scaled(sign=-1)


def _orientation_key(terms: Sequence[Term]) -> tuple[tuple[bytes, bool, int, int], ...]:
    return tuple(_sort_key(term) for term in terms)


@dataclass(eq=False)
class _Rewriter:
    """One pass over a graph, operands first."""

    symmetric: set[Node] = field(default_factory=set)

    def term(self, core: Node, transposed: bool = False, sign: int = 1, power: int = 0) -> Term:
        """A term; a symmetric matrix has no orientation."""
        return Term(core, transposed and core not in self.symmetric, sign, power)

    def force(self, value: _Value) -> Term:
        """The value as a term, a pending sum or product built."""
        if isinstance(value.of, _Pending):
            leaves = self._leaves(value.of)
            term = self.add(leaves) if isinstance(value.of.op, Add) else self.product(leaves)
        else:
            term = value.of
        turned = term.turned(value.transposed) if term.core not in self.symmetric else term
        return turned.scaled(value.sign, value.power)

    def _leaves(self, pending: _Pending) -> list[Term]:
        """The operands of a nest of sums, or of products, in order, factors and transposes carried inwards."""
        leaves: list[Term] = []
        stack = [_Value(pending)]
        while stack:
            value = stack.pop()
            inner = value.of
            if isinstance(inner, _Pending) and inner.op is pending.op:
                operands = inner.operands
                if isinstance(inner.op, MatMul) and value.transposed:
                    operands = operands[::-1]
                carried = [operand.copy() for operand in operands]
                for operand in carried:
                    operand.transposed = operand.transposed != value.transposed
                # The factor of a product goes with any one of its operands, that of a sum with all.
                scaled = carried[:1] if isinstance(inner.op, MatMul) else carried
                for operand in scaled:
                    operand.sign *= value.sign
                    operand.power += value.power
                stack.extend(reversed(carried))
            else:
                leaves.append(self.force(value))
        return leaves

    def add(self, terms: list[Term]) -> Term:
        """The sum: common orientation, sign and power of D outside, operands sorted."""
        turned = [self.term(*term.turned()) for term in terms]
        if terms[0].type == DN or (
            terms[0].type.rows == terms[0].type.columns
            and _orientation_key(sorted(turned, key=_sort_key)) < _orientation_key(sorted(terms, key=_sort_key))
        ):
            outer_turn, terms = True, turned
        else:
            outer_turn = False
        power = min(term.power for term in terms)
        ordered = sorted((term.scaled(power=-power) for term in terms), key=_sort_key)
        sign = ordered[0].sign
        node = make_node("add", *(term.scaled(sign=sign).node() for term in ordered))
        if all(term.core in self.symmetric for term in ordered):
            self.symmetric.add(node)
        return self.term(node, outer_turn, sign, power)

    def product(self, terms: list[Term]) -> Term:
        """The chain, in the orientation [N,D] or, where both have one type, in the lesser one."""
        terms, (sign, power) = pull_factors(terms)
        turned = [self.term(*term.turned()) for term in reversed(terms)]
        forward, backward = _orientation_key(terms), _orientation_key(turned)
        square = terms[0].type.rows == terms[-1].type.columns
        turn = backward < forward if square else terms[0].type.rows == "D"
        node = make_node("matmul", *(term.node() for term in (turned if turn else terms)))
        if forward == backward:
            self.symmetric.add(node)
        return self.term(node, turn, sign, power)

    def elementwise(self, op: Elementwise, operand: Term) -> Term:
        sign, inner = _by_parity(op, operand)
        turn = inner.type == DN or (inner.type.rows == inner.type.columns and inner.transposed)
        inner = self.term(*inner.turned(turn))
        node = make_node(op, inner.node())
        if inner.core in self.symmetric:
            self.symmetric.add(node)
        return self.term(node, turn, sign)

    def binary(self, op: ElementwiseBinary, operands: list[Term]) -> Term:
        sign, power = 1, 0
        if op.multilinear:
            operands, (sign, power) = pull_factors(operands)
        turned = [self.term(*term.turned()) for term in operands]
        if op.commutative:
            operands, turned = sorted(operands, key=_sort_key), sorted(turned, key=_sort_key)
        square = operands[0].type.rows == operands[0].type.columns
        turn = _orientation_key(turned) < _orientation_key(operands) if square else operands[0].type == DN
        node = make_node(op, *(term.node() for term in (turned if turn else operands)))
        if all(term.core in self.symmetric for term in operands):
            self.symmetric.add(node)
        return self.term(node, turn, sign, power)

    def rowwise(self, op: Rowwise, operand: Term) -> Term:
        sign, operand = _by_parity(op, operand)
        return self.term(make_node(op, operand.node()), sign=sign)

    def statistic(self, op: Broadcast | Reduction, operand: Term) -> Term:
        """Sums over rows, and their broadcast: factors move out."""
        if isinstance(op, Reduction) and op.kind != "sum":
            return Term(make_node(op, operand.node()))
        inner = Term(operand.core, operand.transposed)
        return Term(make_node(op, inner.node()), sign=operand.sign, power=operand.power)

    def pairwise(self, op: Pairwise, operands: list[Term]) -> Term:
        left, right = operands
        swapped = _sort_key(right) < _sort_key(left)
        turn = swapped if left.type.rows == right.type.rows else left.type.rows == "D"
        if turn:
            left, right = right, left
        node = make_node(op, left.node(), right.node())
        if left == right:
            self.symmetric.add(node)
        return self.term(node, turn)

    def rewrite(self, node: Node, operands: list[_Value]) -> _Value:
        """The value of a node from the values of its operands."""
        op = node.op
        if isinstance(op, Input | Leaf):
            return _Value(Term(node))
        if isinstance(op, Factor):
            (value,) = operands
            return _Value(value.of, value.transposed, value.sign * op.sign, value.power + op.power)
        if isinstance(op, Transpose):
            (value,) = operands
            return _Value(value.of, not value.transposed, value.sign, value.power)
        if isinstance(op, Add | MatMul):
            return _Value(_Pending(op, operands))
        terms = [self.force(value) for value in operands]
        if isinstance(op, Elementwise):
            return _Value(self.elementwise(op, terms[0]))
        if isinstance(op, ElementwiseBinary):
            return _Value(self.binary(op, terms))
        if isinstance(op, Rowwise):
            return _Value(self.rowwise(op, terms[0]))
        if isinstance(op, Pairwise) and op.definition is None:
            return _Value(self.pairwise(op, terms))
        if isinstance(op, Broadcast | Reduction):
            return _Value(self.statistic(op, terms[0]))
        if isinstance(op, PairSum | PairGradient):
            return _Value(Term(make_node(op, *(term.node() for term in terms))))
        raise TypeError(f"{op.name}: the canonical form has no rule for a {type(op).__name__}")


def expand_definitions(root: Node) -> Node:
    """The expression with every operation that has a definition (a cosine) replaced by it."""

    def rebuild(node: Node, operands: list[Node]) -> Node:
        definition = node.op.definition if isinstance(node.op, Pairwise) else None
        return definition(make_node, *operands) if definition else make_node(node.op, *operands)

    defined = any(isinstance(node.op, Pairwise) and node.op.definition for node in post_order(root))
    return fold([root], rebuild)[root] if defined else root


def _rewrite_once(roots: Sequence[Node]) -> list[Node]:
    rewriter = _Rewriter()
    nodes = list(post_order(*roots))
    uses = Counter(operand for node in nodes for operand in node.operands)
    uses.update(roots)
    values: dict[Node, _Value] = {}
    for node in nodes:
        value = rewriter.rewrite(node, [values[operand].copy() for operand in node.operands])
        if uses[node] > 1 and isinstance(value.of, _Pending):
            value = _Value(rewriter.force(value))
        values[node] = value
    return [rewriter.force(values[root]).node() for root in roots]


def canonical_roots(roots: Iterable[Node]) -> list[Node]:
    """The canonical form of several expressions that share values."""
    nodes = list(roots)
    for _ in range(MAX_ROUNDS):
        again = _rewrite_once(nodes)
        if again == nodes:
            break
        nodes = again
    return nodes


def canonical_root(root: Node) -> Node:
    """The canonical form of an expression. Idempotent, deterministic, linear in the size of the graph."""
    return canonical_roots([expand_definitions(root)])[0]


@verified
def canonicalise(program: Program) -> Program:
    """The canonical form of a program; spans are kept where nodes are."""
    root = canonical_root(program.root)
    kept = {node: program.spans[node] for node in post_order(root) if node in program.spans}
    return Program(root, kept)
