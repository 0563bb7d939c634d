"""What a search may produce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, NamedTuple

from autobertc.compiler.fusion.growth import Growth, growth_of, is_cubic
from autobertc.dsl.architecture import KERNEL_SIZES, AttentionLayer, ConvolutionLayer, Layer
from autobertc.dsl.graph import Node, Program, post_order
from autobertc.dsl.ops import INPUTS, lookup, primitives
from autobertc.dsl.ops.base import Primitive
from autobertc.dsl.types import ND, NN
from autobertc.search.counting import State, Tables, tables
from autobertc.search.genome import Genome
from autobertc.search.space_check import check, read, written
from autobertc.search.space_size import SpaceSize, measure

Kind = Literal["attention", "convolution"]
KINDS: dict[str, Kind] = {"attention": "attention", "convolution": "convolution"}
PAPER_OPS = tuple(op.name for op in primitives("paper"))
# The state of a whole program: what it computes for a token depends on other tokens.
PROGRAM = State(ND, True)
# Of programs whose legality is remembered.
MAX_KNOWN = 50_000


class Fixed(NamedTuple):
    """What is settled about a layer: its kind, or, where `layer` is given, all of it."""

    kind: Kind
    layer: Layer | None = None


@dataclass(frozen=True)
class Space:
    """What a search may produce. Make one from a table with `from_table`, which explains what is wrong with it.

    Attributes:
        ops: the operations that programs are made of, by name.
        inputs: the inputs that programs may use.
        least_inputs: how many of them each program uses at least.
        length: the fewest and the most operations of a program, a shared value counted once. The product that applies
            an attention map to V is one of them.
        layers: the number of layers.
        kernels: the kernel sizes of convolutions; none for attention layers only.
        growth: the fastest that a program's work may grow with the number of tokens, as planned.
        fixed: layers that are settled, by number from 0, in order: "attention" or "convolution" where the kind is, a
            line of an `.abz` file ("conv: 7", "att: softmax(Q @ K.T)") where all of it is.

    Programs always mix tokens.
    """

    ops: tuple[str, ...] = PAPER_OPS
    inputs: tuple[str, ...] = tuple(INPUTS)
    least_inputs: int = 2
    length: tuple[int, int] = (2, 12)
    layers: int = 12
    kernels: tuple[int, ...] = KERNEL_SIZES
    growth: Growth = "quadratic"
    fixed: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        check(self)

    def __reduce__(self) -> tuple[object, ...]:
        # Without what is cached: nodes are not pickled.
        return Space, tuple(getattr(self, field.name) for field in fields(self))

    @staticmethod
    def from_table(table: Mapping[str, Any]) -> Space:
        """The space of a TOML table. Raises `UserError` for an unknown key or an impossible space."""
        return read(table)

    def to_table(self) -> dict[str, Any]:
        """The table that reads back to this space, ready for JSON or TOML."""
        return written(self)

    # ------------------------------------------------------------ what it holds

    @cached_property
    def primitives(self) -> tuple[Primitive, ...]:
        """The operations themselves, in the order of `ops`."""
        found = [lookup(name) for name in self.ops]
        return tuple(op for op in found if op is not None)

    @cached_property
    def tables(self) -> Tables:
        """Counts of the typed expressions over these operations and inputs."""
        # Below the limit only products of maps that the compiler takes apart are legal: few, and well worth having.
        return tables(self.primitives, self.inputs)

    @cached_property
    def settled(self) -> dict[int, Fixed]:
        """`fixed`, read."""
        return {index: read_fixed(text) for index, text in self.fixed}

    @cached_property
    def _allowed(self) -> frozenset[Primitive]:
        return frozenset([*self.primitives, *(INPUTS[name] for name in self.inputs)])

    def kinds(self, index: int) -> tuple[Kind, ...]:
        """The kinds that a layer may have."""
        fixed = self.settled.get(index)
        if fixed:
            return (fixed.kind,)
        return ("attention", "convolution") if self.kernels else ("attention",)

    def is_settled(self, index: int) -> bool:
        """Whether nothing of the layer may change."""
        fixed = self.settled.get(index)
        return fixed is not None and fixed.layer is not None

    # ------------------------------------------------------------ legality

    def legal(self, program: Program) -> str | None:
        """Why the program is outside the space, a few words the same for all such programs; None where it is inside."""
        return self.illegal(program.root)

    def illegal(self, root: Node) -> str | None:
        """`legal` of the program with this root. What was asked before is remembered."""
        known = self._known
        if root in known:
            return known[root]
        if len(known) >= MAX_KNOWN:
            known.clear()
        reason = known[root] = self._judge(root)
        return reason

    @cached_property
    def _known(self) -> dict[Node, str | None]:
        return {}

    def _judge(self, root: Node) -> str | None:
        if root.type != ND:
            return "the result is not [N,D]"
        if not root.mixes:
            return "does not mix tokens"
        if len(root.inputs) < self.least_inputs:
            return "uses too few inputs"
        count = 0
        maps = False
        for node in post_order(root):
            if node.op not in self._allowed:
                return "uses an input outside the space" if node.op.name in INPUTS else "uses an op outside the space"
            if node.operands:
                count += 1
                maps = maps or node.type == NN
        if count < self.length[0]:
            return "too short"
        if count > self.length[1]:
            return "too long"
        if maps and self.growth != "cubic":
            program = Program(root)
            if is_cubic(program) or (self.growth == "linear" and growth_of(program) != "linear"):
                return f"grows faster than {self.growth} in N"
        return None

    def legal_layer(self, index: int, layer: Layer) -> str | None:
        """Why the layer is outside the space at this place, or None."""
        fixed = self.settled.get(index)
        if fixed and fixed.layer is not None:
            return None if Genome((layer,)) == Genome((fixed.layer,)) else "changes a fixed layer"
        kind: Kind = "attention" if isinstance(layer, AttentionLayer) else "convolution"
        if fixed and kind != fixed.kind:
            return "changes the kind of a fixed layer"
        if isinstance(layer, AttentionLayer):
            return self.legal(layer.program)
        return None if layer.kernel in self.kernels else "uses a kernel size outside the space"

    def legal_genome(self, genome: Genome) -> str | None:
        """Why the genome is outside the space, or None."""
        if len(genome) != self.layers:
            return "has another number of layers"
        for index, layer in enumerate(genome.layers):
            reason = self.legal_layer(index, layer)
            if reason:
                return reason
        return None

    # ------------------------------------------------------------ size

    def size(self) -> SpaceSize:
        """How large the space is."""
        return measure(self)


def kind_of(layer: Layer) -> Kind:
    """The kind of a layer."""
    return "convolution" if isinstance(layer, ConvolutionLayer) else "attention"


def read_fixed(text: str) -> Fixed:
    """What a line of `fixed` settles. Raises `AbzError` where it is no layer, `ValueError` where it is several."""
    if text in KINDS:
        return Fixed(KINDS[text])
    genome = Genome.read(text)
    if len(genome) != 1:
        raise ValueError("more than one layer")
    return Fixed(kind_of(genome.layers[0]), genome.layers[0])
