"""How many floating-point operations a model takes: one sequence through the base model with its pooler.

Two ways to count. They agree on arithmetic: a product of m x k and k x n is 2 m n k, multiplications and
additions apart; a bias, a residual and every other elementwise operation count per element, those of programs
by the `flops` of their own files; LayerNorm 5 and GELU 8 per element. They differ in this:

- `electra_flops` follows ELECTRA (Clark et al., ICLR 2020, and the script published with it), as the figures
  of Gao et al. do (AAAI 2022, Tables 2, 4 and 7). Embedding look-ups count as products with one-hot rows,
  dropout as work, the dense layer of a classification head on every token; programs as written.
- `plain_flops` counts what a compiled model computes: look-ups are free, there is no dropout, the pooler sees
  the first token; programs as the eager backend plans them.

All numbers are exact integers, of the forward pass, for sequences without padding.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from autobertc.compiler.canonical import expand_definitions
from autobertc.compiler.eager import plan
from autobertc.dsl.architecture import Architecture, AttentionLayer, ConvolutionLayer, Sizes
from autobertc.dsl.graph import Node, Program, post_order
from autobertc.dsl.ops.base import Factor, MatMul, Pairwise, Rowwise, Transpose
from autobertc.dsl.types import NN

# Per element, for the parts of a model that are not programs. The numbers are ELECTRA's, TANH apart.
LAYER_NORM = 5
GELU = 8
SOFTMAX = 5
TANH = 1
GLU = 4  # the gate's sigmoid, 3, and its product with the value
DROPOUT = 4  # draw, compare, mask, rescale
SQUARED_DIFFERENCE = 3  # per coordinate: subtract, square, accumulate


@dataclass(frozen=True)
class Flops:
    """Floating-point operations by part of the model.

    Attributes:
        embeddings: look-ups where they count, sum, LayerNorm, and the map to the hidden width, if any.
        attention: attention layers up to their residual and LayerNorm: input maps, programs, output maps.
        convolution: convolution layers, likewise.
        feed_forward: the feed-forward blocks of all layers.
        head: the pooler; ELECTRA's classification head in its convention.
    """

    embeddings: int
    attention: int
    convolution: int
    feed_forward: int
    head: int

    @property
    def total(self) -> int:
        return sum(self._parts().values())

    def _parts(self) -> dict[str, int]:
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def to_dict(self) -> dict[str, int]:
        """The total and the parts, by name."""
        return {"total": self.total, **self._parts()}


@dataclass(frozen=True)
class _Convention:
    """What the two ways of counting differ in.

    Attributes:
        dense_lookups: look-ups are products with one-hot rows.
        dropout: what it counts per element.
        head_on_every_token: a classification head on all tokens in place of the pooler on the first.
        narrow_layer_norm: the slip of ELECTRA's script that `_mixing_end` describes.
    """

    dense_lookups: bool = False
    dropout: int = 0
    head_on_every_token: bool = False
    narrow_layer_norm: bool = False


_PLAIN = _Convention()
_ELECTRA = _Convention(dense_lookups=True, dropout=DROPOUT, head_on_every_token=True, narrow_layer_norm=True)


def flops(architecture: Architecture, length: int) -> dict[str, int | dict[str, int]]:
    """The counts of one sequence of `length` tokens, as data for a report.

    Returns `{"length", "plain", "as_written", "electra"}`, each count its total and its parts (`Flops`);
    "as_written" is the plain count of the programs before the compiler reorders them.

    Raises as `plain_flops` does.
    """
    return {
        "length": length,
        "plain": plain_flops(architecture, length).to_dict(),
        "as_written": plain_flops(architecture, length, planned=False).to_dict(),
        "electra": electra_flops(architecture, length).to_dict(),
    }


def plain_flops(architecture: Architecture, length: int, planned: bool = True) -> Flops:
    """What a compiled model computes for one sequence of `length` tokens.

    Programs are counted as planned, the order of their products chosen for the architecture's `max_length`
    whatever `length` is, as the compiler does; or else as written.

    Raises `ValueError` where `length` is not from 1 to the architecture's `max_length`.
    """
    return _count(architecture, length, _PLAIN, planned)


def electra_flops(architecture: Architecture, length: int) -> Flops:
    """The count of one sequence of `length` tokens in ELECTRA's convention; for BERT, its script's number.

    Raises as `plain_flops` does.
    """
    return _count(architecture, length, _ELECTRA, planned=False)


def _count(architecture: Architecture, length: int, convention: _Convention, planned: bool) -> Flops:
    sizes = architecture.sizes
    if not 1 <= length <= sizes.max_length:
        raise ValueError(f"the length must be from 1 to the model's max_length, {sizes.max_length}, found {length}")
    programs = {
        program.root: _program(
            plan(program, sizes.max_length, sizes.head_dim) if planned else program, sizes, length, convention
        )
        for program in architecture.programs()
    }
    attention = convolution = 0
    for layer in architecture.layers:
        if isinstance(layer, AttentionLayer):
            attention += programs[layer.program.root] + _attention_maps(layer, sizes, length)
            attention += _mixing_end(sizes, length, convention)
        else:
            convolution += _convolution(layer, sizes, length, convention)
            convolution += _mixing_end(sizes, length, convention)
    return Flops(
        embeddings=_embeddings(sizes, length, convention),
        attention=attention,
        convolution=convolution,
        feed_forward=len(architecture.layers) * _feed_forward(sizes, length, convention),
        head=_head(sizes, length, convention),
    )


# ---------------------------------------------------------------- programs


def _program(program: Program, sizes: Sizes, length: int, convention: _Convention) -> int:
    """One program on all heads."""
    dimensions = {"N": length, "D": sizes.head_dim}
    root = expand_definitions(program.root)
    counted = _outermost_factors(root)
    return sizes.heads * sum(
        _node(node, dimensions, convention.dropout)
        for node in post_order(root)
        if not isinstance(node.op, Factor) or node in counted
    )


def _outermost_factors(root: Node) -> set[Node]:
    """The constant factors that are not part of another: a run such as neg(scale(x)) is one product."""
    # The factor that a value is, seen through transposes.
    factors: dict[Node, Node] = {}
    outermost: set[Node] = set()
    for node in post_order(root):
        if isinstance(node.op, Factor):
            factors[node] = node
        elif isinstance(node.op, Transpose):
            if node.operands[0] in factors:
                factors[node] = factors[node.operands[0]]
        else:
            outermost.update(factors[operand] for operand in node.operands if operand in factors)
    if root in factors:
        outermost.add(factors[root])
    return outermost


def _node(node: Node, dimensions: dict[str, int], dropout: int) -> int:
    """One operation on one head, its operands not counted."""
    rows, columns = (dimensions[symbol] for symbol in node.type)
    each = node.op.flops
    if isinstance(node.op, MatMul):
        # A chain of more than two operands, which only the compiler makes, goes from left to right.
        products = zip(node.operands, node.operands[1:], strict=False)
        inner = sum(dimensions[x.type.columns] * dimensions[y.type.columns] for x, y in products)
        return rows * (2 * inner + columns * each)
    if isinstance(node.op, Pairwise):
        each += SQUARED_DIFFERENCE * dimensions[node.operands[0].type.columns]
    if isinstance(node.op, Rowwise) and node.op.is_map and node.type == NN:
        each += dropout
    return rows * columns * each


# ---------------------------------------------------------------- the rest of a model


def _linear(width: int, result: int) -> int:
    """A linear map with its bias, for one token."""
    return 2 * width * result + result


def _attention_maps(layer: AttentionLayer, sizes: Sizes, length: int) -> int:
    """The maps from the layer's input to those of Q, K, V, P that its program uses."""
    return length * len(layer.program.inputs) * _linear(sizes.hidden, sizes.hidden)


def _convolution(layer: ConvolutionLayer, sizes: Sizes, length: int, convention: _Convention) -> int:
    """Lightweight convolution (Wu et al., ICLR 2019): map to twice the width, GLU, one kernel a head.

    Kernels are normalised once, whatever the length. Positions beyond a sequence's ends count like others.
    """
    kernels = (SOFTMAX + convention.dropout) * sizes.heads * layer.kernel
    token = _linear(sizes.hidden, 2 * sizes.hidden) + (GLU + 2 * layer.kernel) * sizes.hidden
    return kernels + length * token


def _mixing_end(sizes: Sizes, length: int, convention: _Convention) -> int:
    """The map back to the residual stream, dropout, residual and LayerNorm."""
    # ELECTRA's script counts this LayerNorm, and no other, once a token where it means once an element:
    # 0.02% of BERT-base. Kept, so that its figures come out to the last digit.
    normalised = 1 if convention.narrow_layer_norm else sizes.hidden
    token = _linear(sizes.hidden, sizes.hidden) + (convention.dropout + 1) * sizes.hidden + LAYER_NORM * normalised
    return length * token


def _feed_forward(sizes: Sizes, length: int, convention: _Convention) -> int:
    """The feed-forward block of one layer."""
    inner = _linear(sizes.hidden, sizes.intermediate) + GELU * sizes.intermediate
    outer = _linear(sizes.intermediate, sizes.hidden) + (convention.dropout + 1 + LAYER_NORM) * sizes.hidden
    return length * (inner + outer)


def _embeddings(sizes: Sizes, length: int, convention: _Convention) -> int:
    """Word, position and type embeddings, and the map to the hidden width where theirs differs."""
    width = sizes.embedding or sizes.hidden
    # Two sums of the three embeddings, LayerNorm and dropout.
    token = (2 + LAYER_NORM + convention.dropout) * width
    if convention.dense_lookups:
        token += 2 * width * (sizes.vocab + length + sizes.types)
    if width != sizes.hidden:
        token += _linear(width, sizes.hidden)
    return length * token


def _head(sizes: Sizes, length: int, convention: _Convention) -> int:
    """The pooler on the first token; or ELECTRA's head, dense, GELU and one logit, on each."""
    if convention.head_on_every_token:
        return length * (_linear(sizes.hidden, sizes.hidden) + GELU * sizes.hidden + 2 * sizes.hidden)
    return _linear(sizes.hidden, sizes.hidden) + TANH * sizes.hidden
