"""Lowering to eager PyTorch: one function of torch calls per program, one library call per stage where one fits.

`softmax(c * (A B^T + C D^T)) E`, with its softmax used in no other way, is one scaled_dot_product_attention over
`[A C]` and `[B D]`; so no N x N tensor is kept. Everything else is a statement per node. Padding is kept at zero
(functional.py says how), and a select is written only where an operation does not keep zeros by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from autobertc.compiler.associate import associate
from autobertc.compiler.canonical import canonicalise
from autobertc.compiler.library_calls import AttentionCall, attention_calls, attention_maps, needed_values
from autobertc.compiler.terms import Term, peel
from autobertc.dsl.graph import Node, Program, post_order
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
from autobertc.dsl.types import DN, ND, NN

# Sequences are assumed this long where a cost depends on N and nothing says more.
DEFAULT_LENGTH = 512
# The most terms of a sum in one statement: Python's parser nests as deep as an expression is long.
MAX_TERMS = 50
# A call of functional.py in a torch form.
HELPER = re.compile(r"\bops\.(\w+)")
# A torch form whose operand stands alone between parentheses, where it needs none of its own.
SIMPLE_CALL = re.compile(r"[\w.]+\(\{0\}\)")


@dataclass(frozen=True)
class Stage:
    """One statement of a lowered program: the value it makes, the library call it became, its type."""

    name: str
    call: str
    type: str


@dataclass(frozen=True)
class Lowered:
    """A program as Python source.

    Attributes:
        name: the function's name, called as `name(*inputs, mask, dropout_p)`.
        inputs: the inputs it takes, in order.
        source: its text; it uses the names `torch`, `F` (torch.nn.functional) and `helpers`.
        map_name: the function that returns `(result, attention map)`, or None where there is no map.
        helpers: the functions of modeling/functional.py that the text calls.
        stages: what each value became.
    """

    name: str
    inputs: tuple[str, ...]
    source: str
    map_name: str | None
    helpers: tuple[str, ...]
    stages: tuple[Stage, ...]


@cache
def keeps_zeros(op: Primitive) -> bool:
    """Whether the result is 0 where all operands are, so that padding stays 0 by itself."""
    function: Any = getattr(op, "numpy", None)
    if function is None or isinstance(op, Pairwise):
        return not isinstance(op, Pairwise)
    with np.errstate(all="ignore"):
        return bool(np.all(function(np, *[np.zeros((1, 2))] * op.arity) == 0.0))


def _constant(sign: int, power: int) -> str:
    if power == 0:
        return "-1.0" if sign < 0 else "1.0"
    text = f"head_dim**-{power / 2:g}"
    return f"-({text})" if sign < 0 else text


@dataclass(eq=False)
class _Writer:
    """Writes one function, a statement per value."""

    root: Node
    attentions: Mapping[Node, AttentionCall]
    fused: bool
    names: dict[Node, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)

    def define(self, node: Node, call: str, text: str) -> None:
        stem = node.op.name
        self.counts[stem] = self.counts.get(stem, 0) + 1
        name = f"{stem}_{self.counts[stem]}"
        self.names[node] = name
        self.lines.append(f"{name} = {text}")
        self.stages.append(Stage(name, call, str(node.type)))

    def term(self, term: Term, atom: bool = False) -> str:
        """The text of a term; `atom` where it must bind as tightly as a name."""
        text = self.names[term.core]
        if term.transposed:
            text += ".mT"
        if term.power:
            text = f"{text} * {_constant(term.sign, term.power)}"
        elif term.sign < 0:
            text = f"-{text}"
        return f"({text})" if atom and (term.power or term.sign < 0) else text

    def operand(self, node: Node, atom: bool = False) -> str:
        return self.names[node] if node in self.names else self.term(peel(node), atom)

    def write(self, node: Node) -> None:
        op = node.op
        if isinstance(op, Factor | Transpose):
            # Only the naive form has statements for these.
            term = Term(node.operands[0], isinstance(op, Transpose))
            factor = (op.sign, op.power) if isinstance(op, Factor) else (1, 0)
            self.define(node, "elementwise", self.term(term.scaled(*factor)))
        elif isinstance(op, Add):
            self._add(node)
        elif isinstance(op, MatMul):
            if not self._attention_product(node):
                self._matmul(node)
        elif isinstance(op, Rowwise):
            self._rowwise(node, op)
        elif isinstance(op, Pairwise):
            self._pairwise(node, op)
        elif isinstance(op, Elementwise | ElementwiseBinary):
            atom = not SIMPLE_CALL.fullmatch(op.torch)
            text = op.torch.format(*(self.operand(operand, atom) for operand in node.operands))
            self.define(node, _call_name(op.torch), text)
        self._select(node)

    def _select(self, node: Node) -> None:
        """Padding back to 0 after an operation that does not keep it; the result itself is left as it is."""
        if node is self.root or node not in self.names or keeps_zeros(node.op):
            return
        form = {ND: "rows", DN: "columns", NN: "map"}.get(node.type)
        if isinstance(node.op, Rowwise) and node.op.torch_masked and node.operands[0].type.columns == "N":
            # The masked form leaves zeros in padded columns.
            form = "rows" if node.type == NN else None
        if form and not isinstance(node.op, Input):
            name = self.names[node]
            self.lines.append(f"{name} = ops.select_{form}({name}, mask)")

    def _add(self, node: Node) -> None:
        parts = [self.operand(operand) for operand in node.operands]
        self.define(node, "add", _sum(parts[:MAX_TERMS]))
        name = self.names[node]
        for start in range(MAX_TERMS, len(parts), MAX_TERMS):
            self.lines.append(f"{name} = {_sum([name, *parts[start : start + MAX_TERMS]])}")

    def _matmul(self, node: Node) -> None:
        left, right = (self.operand(operand, atom=True) for operand in node.operands)
        call = "ops.wide_matmul" if self.fused else "torch.matmul"
        self.define(node, "torch.matmul", f"{call}({left}, {right})")

    def _pairwise(self, node: Node, op: Pairwise) -> None:
        texts = [self.operand(operand, atom=True) for operand in node.operands]
        self.define(node, _call_name(op.torch), op.torch.format(*texts))

    def _rowwise(self, node: Node, op: Rowwise) -> None:
        if node in self.attentions:
            return
        operand = self.operand(node.operands[0], atom=True)
        if node.operands[0].type.columns == "N" and op.torch_masked:
            text = op.torch_masked.format(operand, mask="mask")
        else:
            text = op.torch.format(operand)
        self.define(node, _call_name(op.torch), text)
        if op.is_map and node.type == NN:
            name = self.names[node]
            self.lines.append(f"{name} = ops.dropout({name}, dropout_p)")

    def _attention_product(self, node: Node) -> bool:
        """A product with the weights of a library attention call; the call itself at the first of them."""
        attention = self.attentions.get(node.operands[0])
        if attention is None:
            return False
        values = attention.values
        weights = node.operands[0]
        if weights in self.names:
            index = values.index(node.operands[1])
            self.define(node, "slice", f"{self.names[weights]}[..., {index} * head_dim : {index + 1} * head_dim]")
            self._select_rows(node)
            return True
        text = (
            f"ops.attention({_joined([self.term(term) for term in attention.queries])}, "
            f"{_joined([self.term(term) for term in attention.keys])}, "
            f"{_joined([self.operand(value) for value in values])}, "
            f"mask, dropout_p, {_constant(*attention.factor)}, dtype)"
        )
        call = "scaled_dot_product_attention"
        if len(values) > 1:
            self.define(weights, call, text)
            return self._attention_product(node)
        self.define(node, call, text)
        self._select_rows(node)
        return True

    def _select_rows(self, node: Node) -> None:
        """Padded queries see real tokens too: their rows back to 0, unless this is the result."""
        if node is not self.root:
            name = self.names[node]
            self.lines.append(f"{name} = ops.select_rows({name}, mask)")

    def order(self) -> list[Node]:
        """The nodes to write, operands first; the values of a library attention call before its first product."""
        done: dict[Node, None] = {}
        for node in post_order(self.root):
            attention = self.attentions.get(node.operands[0]) if node.operands else None
            if attention:
                done.update(dict.fromkeys(part for value in attention.values for part in post_order(value)))
            done[node] = None
        return [node for node in done if not (self.fused and isinstance(node.op, Factor | Transpose))]


def _sum(parts: list[str]) -> str:
    return parts[0] + "".join(f" - {part[1:]}" if part.startswith("-") else f" + {part}" for part in parts[1:])


def _joined(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"torch.cat(({', '.join(texts)}), dim=-1)"


def _call_name(torch_form: str) -> str:
    """The library call in a torch form, for reports."""
    head = torch_form.split("(")[0].strip()
    names = {"F": "torch.nn.functional", "ops": "functional"}
    module, _, name = head.partition(".")
    return f"{names.get(module, module)}.{name}" if name else "elementwise"


def _write_function(
    name: str, program: Program, title: str, kept_map: Node | None, fused: bool
) -> tuple[str, tuple[Stage, ...]]:
    attentions = attention_calls(program.root, kept_map) if fused else {}
    needed = needed_values(program.root, attentions)
    writer = _Writer(program.root, attentions, fused=fused)
    inputs = program.inputs
    for node in post_order(program.root):
        if isinstance(node.op, Input):
            writer.names[node] = node.op.name
    for node in writer.order():
        if node in needed and not isinstance(node.op, Input):
            writer.write(node)
    results = [writer.operand(program.root, atom=fused)]
    if kept_map is not None:
        results.append(writer.names[kept_map])
    result = ", ".join(f"{value}.to(dtype)" for value in results) if fused else results[0]
    body = [f'"""{title}"""']
    if fused:
        body.append(f"dtype = {inputs[0]}.dtype")
    widened = "ops.widen({})" if fused else "{}"
    body += [f"{value} = ops.select_rows({widened.format(value)}, mask)" for value in inputs]
    if any("head_dim" in line for line in [*writer.lines, result]):
        body.append(f"head_dim = {inputs[0]}.shape[-1]")
    body += [*writer.lines, f"return {result}"]
    text = f"def {name}({', '.join(inputs)}, mask, dropout_p):\n" + "".join(f"    {line}\n" for line in body)
    return text, tuple(writer.stages)


def plan(program: Program, length: int = DEFAULT_LENGTH, head_dim: int = 64) -> Program:
    """The program as the eager backend runs it: canonical, every product binary and in its order."""
    return associate(canonicalise(program), length, head_dim)


def _lowered(program: Program, name: str, source: str, map_name: str | None, stages: tuple[Stage, ...]) -> Lowered:
    helpers = tuple(sorted(set(HELPER.findall(source))))
    return Lowered(name, program.inputs, HELPER.sub(r"\1", source), map_name, helpers, stages)


def lower(program: Program, name: str, title: str, length: int = DEFAULT_LENGTH, head_dim: int = 64) -> Lowered:
    """Lower a checked program to eager PyTorch source, for sequences of about `length` tokens.

    `title` is the docstring of the function.
    """
    planned = plan(program, length, head_dim)
    source, stages = _write_function(name, planned, title, None, fused=True)
    maps = attention_maps(planned.root)
    map_name = None
    if maps:
        map_name = f"{name}_with_map"
        with_map, _ = _write_function(map_name, planned, f"`{name}` and its last attention map.", maps[-1], fused=True)
        source += "\n\n" + with_map
    return _lowered(program, name, source, map_name, stages)


def lower_naively(program: Program, name: str, title: str) -> Lowered:
    """One torch call per node, as written: the plain program that results are measured against."""
    source, stages = _write_function(name, program, title, None, fused=False)
    return _lowered(program, name, source, None, stages)
