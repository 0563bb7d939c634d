"""From the tree to a checked architecture: names, types, ranges. All errors are collected and shown together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from autobertc.dsl.architecture import (
    KERNEL_SIZES,
    MAX_LAYERS,
    MAX_REPEAT,
    Architecture,
    AttentionLayer,
    ConvolutionLayer,
    Layer,
    safe_name,
)
from autobertc.dsl.graph import Node, Program, apply_to_value, make_node
from autobertc.dsl.header import read_integer, read_sizes
from autobertc.dsl.ops import INPUTS, lookup, primitives
from autobertc.dsl.ops.base import Primitive
from autobertc.dsl.parser import parse_expression, parse_tree
from autobertc.dsl.source import AbzError, Diagnostic, Source, Span, did_you_mean
from autobertc.dsl.tree import (
    Attention,
    Call,
    Convolution,
    Expression,
    File,
    Let,
    Name,
    Repeat,
    Statement,
    walk,
)
from autobertc.dsl.types import ND, NN, TypeRuleError


@dataclass(frozen=True, eq=False)
class Checked:
    """A checked file: what it means, and the warnings and notes it earned."""

    architecture: Architecture
    diagnostics: tuple[Diagnostic, ...]


@dataclass(eq=False)
class _Let:
    node: Node | None
    span: Span
    used: bool = False


@dataclass(eq=False)
class _Checker:
    source: Source
    internal: bool
    diagnostics: list[Diagnostic] = field(default_factory=list)
    lets: dict[str, _Let] = field(default_factory=dict)
    spans: dict[Node, Span] = field(default_factory=dict)
    defined_later: dict[str, Span] = field(default_factory=dict)

    def error(self, message: str, span: Span | None, *notes: str, hint: str | None = None) -> None:
        self.diagnostics.append(Diagnostic("error", message, span, self.source, notes, hint))

    def raise_errors(self) -> None:
        """Raise `AbzError` with the errors found, if any, in the order of their places."""
        errors = [found for found in self.diagnostics if found.severity == "error"]
        if errors:
            raise AbzError(sorted(errors, key=lambda found: found.span.start if found.span else 0))

    def _name(self, name: Name) -> Node | None:
        if name.text in INPUTS:
            return make_node(name.text)
        if name.text in self.lets:
            let = self.lets[name.text]
            let.used = True
            return let.node
        message = f"nothing is named `{_short(name.text)}`"
        if lookup(name.text):
            self.error(
                f"`{name.text}` is an operation and needs operands",
                name.span,
                hint=f"write `{name.text}(...)`",
            )
        elif name.text in self.defined_later:
            line, _ = self.source.position(self.defined_later[name.text].start)
            self.error(message + " yet", name.span, hint=f"`let {name.text}` stands on line {line}; move it up")
        else:
            guess = did_you_mean(name.text, [*INPUTS, *self.lets])
            known = "the inputs are Q, K, V and P"
            self.error(message, name.span, hint=f"did you mean `{guess}`?" if guess else known)
        return None

    def _operation(self, call: Call) -> Primitive | None:
        op = lookup(call.function)
        if op is not None and (self.internal or op.op_set != "internal"):
            return op
        callable_names = [primitive.name for primitive in primitives()]
        guess = did_you_mean(call.function, callable_names)
        hint = f"did you mean `{guess}`?" if guess else f"the operations are {', '.join(callable_names)}"
        if call.function in INPUTS or call.function in self.lets:
            message, hint = (
                f"`{_short(call.function)}` is a value, not an operation",
                "write it without operands",
            )
        else:
            message = f"there is no operation `{_short(call.function)}`"
        self.error(message, call.function_span, hint=hint)
        return None

    def _call(self, call: Call, operands: list[Node | None]) -> Node | None:
        op = self._operation(call)
        if op is None:
            return None
        found = len(operands)
        if found != op.arity and not (self.internal and op.associative and found >= op.arity):
            plural = "" if op.arity == 1 else "s"
            self.error(f"`{op.name}` takes {op.arity} operand{plural}, found {found}", call.span)
            return None
        if any(operand is None for operand in operands):
            return None
        known = [operand for operand in operands if operand is not None]
        try:
            return make_node(op, *known)
        except TypeRuleError as error:
            names = ("left", "right") if found == 2 else tuple(f"{index + 1}." for index in range(found))
            notes = [f"{name} operand: {node.type}" for name, node in zip(names, known, strict=True)]
            self.error(str(error), call.span, *notes, hint=_type_hint(op, known))
            return None

    def expression(self, root: Expression) -> Node | None:
        """The node of an expression, or None where an error was reported."""
        values: list[Node | None] = []
        for part in walk(root):
            if isinstance(part, Name):
                node = self._name(part)
            else:
                count = len(part.arguments)
                operands = values[len(values) - count :]
                del values[len(values) - count :]
                node = self._call(part, operands)
            if node is not None:
                self.spans.setdefault(node, part.span)
            values.append(node)
        return values.pop()

    def attention(self, statement: Attention) -> Program | None:
        root = self.expression(statement.value)
        if root is None:
            return None
        if root.type not in (ND, NN):
            hint = "its transpose has type [N,D]" if root.type.transposed == ND else None
            message = f"an attention layer has type [N,D] (or [N,N], which is applied to V), found {root.type}"
            self.error(message, statement.value.span, hint=hint)
            return None
        span = statement.value.span
        if root.type == NN:
            message = "an expression of type [N,N] is an attention map: it is applied to V, matmul(EXPR, V)"
            self.diagnostics.append(Diagnostic("note", message, span, self.source))
        program = Program(apply_to_value(root), self.spans)
        if not program.root.mixes:
            message = "this layer does not mix tokens: nothing contracts, or takes a softmax, over N"
            self.diagnostics.append(Diagnostic("warning", message, span, self.source))
        return program

    def let(self, statement: Let) -> None:
        name, span = statement.name, statement.name_span
        if name in INPUTS:
            self.error(f"`{name}` is an input; a let may not shadow it", span)
        elif lookup(name):
            self.error(f"`{name}` is an operation; a let may not shadow it", span)
        elif name in self.lets:
            line, _ = self.source.position(self.lets[name].span.start)
            self.error(f"`{_short(name)}` is defined already, on line {line}", span)
        node = self.expression(statement.value)
        if name not in self.lets and name not in INPUTS and not lookup(name):
            self.lets[name] = _Let(node, span)
            self.defined_later.pop(name, None)

    def convolution(self, statement: Convolution) -> ConvolutionLayer | None:
        kernel = read_integer(statement.kernel, max(KERNEL_SIZES))
        if kernel not in KERNEL_SIZES:
            sizes = " ".join(map(str, KERNEL_SIZES))
            message = f"a kernel size is one of {sizes}, found {_short(statement.kernel)}"
            self.error(message, statement.kernel_span)
            return None
        return ConvolutionLayer(kernel)

    def layers(self, statements: tuple[Statement, ...]) -> list[Layer]:
        """The layers of statements, repeats expanded; recursion is bounded by the parser's limit on nesting."""
        result: list[Layer] = []
        for statement in statements:
            if isinstance(statement, Let):
                self.let(statement)
            elif isinstance(statement, Attention):
                program = self.attention(statement)
                result.extend([AttentionLayer(program)] if program else [])
            elif isinstance(statement, Convolution):
                layer = self.convolution(statement)
                result.extend([layer] if layer else [])
            else:
                result.extend(self.repeat(statement))
            if len(result) > MAX_LAYERS:
                # Kept to one error: the layers past the bound are checked, not collected.
                if not any(found.message.startswith("more than") for found in self.diagnostics):
                    message = f"more than {MAX_LAYERS:,} layers after expansion"
                    self.error(message, statement.span)
                del result[MAX_LAYERS:]
        return result

    def repeat(self, statement: Repeat) -> list[Layer]:
        count = read_integer(statement.count, MAX_REPEAT)
        if count is None:
            message = f"`repeat` takes a number from 1 to {MAX_REPEAT}, found {_short(statement.count)}"
            self.error(message, statement.count_span)
        body = self.layers(statement.body)
        if not statement.body:
            self.error("this `repeat` holds no layer", statement.span)
        # One layer more than the bound is enough for the caller to see it broken.
        return (body * (count or 1))[: MAX_LAYERS + 1]

    def unused(self) -> Iterator[Diagnostic]:
        for name, let in self.lets.items():
            if not let.used:
                message = f"`{_short(name)}` is never used"
                yield Diagnostic("warning", message, let.span, self.source)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}… ({len(text)} characters)"


def _type_hint(op: Primitive, operands: list[Node]) -> str | None:
    """Which operand to transpose, where that alone mends the types."""
    if len(operands) != 2:
        return None
    left, right = (operand.type for operand in operands)
    for types, words in (
        ((left, right.transposed), "right"),
        ((left.transposed, right), "left"),
    ):
        try:
            op.result_type(*types)
        except TypeRuleError:
            continue
        return f"transpose the {words} operand?"
    return None


def check(file: File, internal: bool = False) -> Checked:
    """Check a parsed file.

    `internal` admits what the compiler's own printer writes and a source file may not hold: internal operations,
    and `add` and `matmul` of more than two operands.

    Raises `AbzError` with every error found.
    """
    checker = _Checker(file.source, internal)
    sizes = read_sizes(file.header, file.source, checker.diagnostics.append)
    for statement in file.statements:
        if isinstance(statement, Let):
            checker.defined_later.setdefault(statement.name, statement.name_span)
    layers = checker.layers(file.statements)
    if not any(not isinstance(statement, Let) for statement in file.statements):
        end = Span(len(file.source.text), len(file.source.text))
        checker.error("an architecture needs at least one layer", end, hint="add a line `att: ...` or `conv: ...`")
    checker.diagnostics.extend(checker.unused())
    checker.raise_errors()
    name = file.header.name if file.header else safe_name(Path(file.source.name).stem)
    return Checked(Architecture(name, sizes, tuple(layers)), tuple(checker.diagnostics))


def check_expression(text: str, internal: bool = False) -> Program:
    """The program of one bare expression, of type `[N,D]` or `[N,N]`. Raises `AbzError`."""
    source, expression = parse_expression(text)
    checker = _Checker(source, internal)
    program = checker.attention(Attention(expression, expression.span))
    checker.raise_errors()
    assert program is not None
    return program


def read_program(text: str) -> Program:
    """The program that `graph.print_program` wrote. Raises `AbzError`."""
    checked = check(parse_tree(Source("<graph>", text)), internal=True)
    layer = checked.architecture.layers[0]
    if len(checked.architecture.layers) != 1 or not isinstance(layer, AttentionLayer):
        raise ValueError("the text of a program holds one attention layer")
    return layer.program


def load(path: str | Path) -> Checked:
    """Read, parse and check a file. Raises `AbzError`."""
    return check(parse_tree(Source.load(path)))
