"""FLOPs: ELECTRA's numbers to the last digit, and every kind of operation beside arithmetic by hand."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from autobertc.dsl.architecture import Architecture, AttentionLayer, ConvolutionLayer, Sizes
from autobertc.dsl.checker import check_expression, load
from autobertc.dsl.graph import Program, make_node
from autobertc.dsl.ops.base import Elementwise, registered
from autobertc.runtime.flops import electra_flops, flops, plain_flops

EXAMPLES = Path(__file__).parents[2] / "examples"
N, D, HEADS = 10, 4, 3
SIZES = Sizes(hidden=D * HEADS, heads=HEADS, intermediate=40, vocab=100, max_length=4096)


def example(name: str) -> Architecture:
    return load(EXAMPLES / f"{name}.abz").architecture


def one_layer(expression: str, sizes: Sizes = SIZES) -> Architecture:
    return Architecture("one", sizes, (AttentionLayer(check_expression(expression)),))


def program_flops(expression: str, planned: bool = False, length: int = N) -> int:
    """The plain count of a program on one head: its layer less the maps around it."""
    architecture = one_layer(expression)
    layer = architecture.layers[0]
    assert isinstance(layer, AttentionLayer)
    hidden = SIZES.hidden
    linear = 2 * hidden * hidden + hidden
    around = length * (len(layer.program.inputs) * linear + linear + hidden + 5 * hidden)
    whole = plain_flops(architecture, length, planned).attention - around
    assert whole % HEADS == 0
    return whole // HEADS


# What `get_infer_flops` of google-research/electra's flops_computation.py gives.
@pytest.mark.parametrize(
    ("name", "length", "expected"),
    [
        ("bert-small", 128, 3_677_281_792),
        ("bert-base", 128, 28_616_498_688),
        ("bert-large", 128, 87_465_671_680),
        ("bert-small", 512, 17_269_749_760),
        ("bert-base", 512, 122_298_857_472),
        ("bert-large", 512, 370_347_667_456),
    ],
)
def test_bert_in_electras_convention(name: str, length: int, expected: int) -> None:
    assert electra_flops(example(name), length).total == expected


def test_the_papers_figure_for_bert_base() -> None:
    assert f"{electra_flops(example('bert-base'), 128).total:.1e}" == "2.9e+10"


def test_autobert_zero_takes_less_than_bert() -> None:
    """The paper says 2.3e10 for the base size; counting gives 2.7e10, without the look-up 2.1e10."""
    assert electra_flops(example("autobert-zero-base"), 128).total == 26_816_562_600
    for size in ("small", "base", "large"):
        for count in (electra_flops, plain_flops):
            assert count(example(f"autobert-zero-{size}"), 128).total < count(example(f"bert-{size}"), 128).total


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("matmul(matmul(Q, transpose(K)), V)", 2 * (2 * N * N * D)),
        ("matmul(softmax(scale(matmul(Q, transpose(K)))), V)", 2 * (2 * N * N * D) + N * N + 5 * N * N),
        ("softmax(matmul(Q, transpose(K)))", 2 * (2 * N * N * D) + 5 * N * N),  # applied to V
        ("matmul(Q, matmul(transpose(K), V))", 2 * (2 * N * D * D)),
        ("matmul(Q, softmax(matmul(transpose(K), V)))", 2 * (2 * N * D * D) + 5 * D * D),
        ("logsigmoid(Q)", 4 * N * D),
        ("add(softsign(Q), K)", 3 * N * D + N * D),
        # Used twice, computed once.
        ("add(tanh(Q), tanh(Q))", N * D + N * D),
        ("transpose(transpose(Q))", 0),
        # Per pair a difference, a square and a sum for each of D coordinates, and a root.
        ("matmul(euclidean_distance(Q, K), V)", N * N * (3 * D + 1) + 2 * N * N * D),
        # A comparison over the sequence: D x D results, N coordinates.
        ("matmul(Q, euclidean_distance(transpose(K), transpose(V)))", D * D * (3 * N + 1) + 2 * N * D * D),
        # Both operands divided by their norms, then a product.
        ("matmul(cosine_similarity(Q, K), V)", 2 * (3 * N * D) + 2 * (2 * N * N * D)),
        # A run of constant factors is one multiplication; each use of a shared one likewise.
        ("neg(scale(Q))", N * D),
        ("neg(transpose(scale(transpose(neg(Q)))))", N * D),
        ("add(scale(Q), neg(scale(Q)))", 3 * N * D),
    ],
)
def test_programs_as_written(expression: str, expected: int) -> None:
    assert program_flops(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Q (K^T V), not (Q K^T) V.
        ("matmul(matmul(Q, transpose(K)), V)", 2 * (2 * N * D * D)),
        # The right map meets V first.
        (
            "matmul(matmul(softmax(matmul(Q, transpose(K))), softmax(matmul(V, transpose(P)))), V)",
            4 * (2 * N * N * D) + 2 * (5 * N * N),
        ),
        # neg(neg(x)) is x.
        ("logsigmoid(neg(neg(Q)))", 4 * N * D),
        # The cosine is a score product, which is re-associated as any other.
        ("matmul(cosine_similarity(Q, K), V)", 2 * (3 * N * D) + 2 * (2 * N * D * D)),
    ],
)
def test_programs_as_planned(expression: str, expected: int) -> None:
    assert program_flops(expression, planned=True) == expected


def test_linear_attention_grows_with_the_length() -> None:
    once, twice = (
        program_flops("matmul(matmul(softmax(Q), softmax(transpose(K))), V)", True, length) for length in (512, 1024)
    )
    assert twice == 2 * once


def test_products_keep_the_order_that_max_length_chose() -> None:
    """At 2 tokens the map would be cheaper first, but one model serves all lengths."""
    expression = "matmul(matmul(Q, transpose(K)), V)"
    long, short = (one_layer(expression, replace(SIZES, max_length=longest)) for longest in (512, 2))
    difference = 2 * (2 * 2 * D * D) - 2 * (2 * 2 * 2 * D)
    assert plain_flops(long, 2).total - plain_flops(short, 2).total == HEADS * difference


def test_dropout_counts_in_electras_convention_only() -> None:
    """On maps; a softmax over the head is none."""
    sizes = replace(SIZES, max_length=N)
    mapped = one_layer("matmul(softmax(matmul(Q, transpose(K))), V)", sizes)
    narrow = one_layer("matmul(matmul(softmax(Q), transpose(K)), V)", sizes)
    difference = 5 * N * N - 5 * N * D
    assert (
        plain_flops(mapped, N, planned=False).attention - plain_flops(narrow, N, planned=False).attention
        == HEADS * difference
    )
    difference += 4 * N * N
    assert electra_flops(mapped, N).attention - electra_flops(narrow, N).attention == HEADS * difference


def test_convolution_layer() -> None:
    architecture = Architecture("conv", SIZES, (ConvolutionLayer(7),))
    hidden = SIZES.hidden
    mapped = 2 * hidden * (2 * hidden) + 2 * hidden
    gated, convolved = 4 * hidden, 2 * 7 * hidden
    back = 2 * hidden * hidden + hidden + hidden + 5 * hidden
    counted = plain_flops(architecture, N)
    assert counted.convolution == N * (mapped + gated + convolved + back) + HEADS * 5 * 7
    assert counted.attention == 0


def test_the_rest_of_a_model() -> None:
    architecture = Architecture("conv", SIZES, (ConvolutionLayer(3),) * 2)
    hidden, inner = SIZES.hidden, SIZES.intermediate
    counted = plain_flops(architecture, N)
    block = 2 * hidden * inner + inner + 8 * inner + 2 * inner * hidden + hidden + hidden + 5 * hidden
    assert counted.feed_forward == 2 * N * block
    assert counted.embeddings == N * (2 * hidden + 5 * hidden)
    assert counted.head == 2 * hidden * hidden + hidden + hidden
    parts = counted.embeddings + counted.convolution + counted.feed_forward + counted.head
    assert counted.total == parts


def test_embeddings_of_another_width() -> None:
    narrow = Architecture("conv", replace(SIZES, embedding=8), (ConvolutionLayer(3),))
    to_hidden = 2 * 8 * SIZES.hidden + SIZES.hidden
    assert plain_flops(narrow, N).embeddings == N * (7 * 8 + to_hidden)
    looked_up = 2 * 8 * (SIZES.vocab + N + SIZES.types)
    assert electra_flops(narrow, N).embeddings == N * (looked_up + 11 * 8 + to_hidden)


def test_a_primitive_from_outside_counts_by_its_own_file() -> None:
    cube = Elementwise(name="cube", formula="x^3", flops=7, numpy=lambda np, x: x**3, torch="{0} ** 3")
    with registered(cube):
        assert program_flops("cube(Q)") == 7 * N * D


def test_sharing_is_counted_once_however_deep() -> None:
    node = make_node("Q")
    for _ in range(64):
        node = make_node("add", node, node)
    doubled = Architecture("doubled", SIZES, (AttentionLayer(Program(node)),))
    extra = plain_flops(doubled, N, planned=False).attention - plain_flops(one_layer("Q"), N, planned=False).attention
    assert extra == HEADS * 64 * N * D


def test_as_data() -> None:
    architecture = example("linear-attention")
    data = json.loads(json.dumps(flops(architecture, 128)))
    assert data["length"] == 128
    assert data["plain"] == plain_flops(architecture, 128).to_dict()
    assert data["electra"] == electra_flops(architecture, 128).to_dict()
    assert data["plain"]["total"] < data["as_written"]["total"] < data["electra"]["total"]
    assert data["plain"]["total"] == sum(value for part, value in data["plain"].items() if part != "total")


@pytest.mark.parametrize("length", [0, -1, 513])
@pytest.mark.parametrize("count", [flops, plain_flops, electra_flops])
def test_lengths_that_a_model_does_not_take(count, length: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to the model's max_length, 512, found {length}"):
        count(example("one-line"), length)


def test_counting_imports_no_torch() -> None:
    program = "import sys; import autobertc.runtime.flops, autobertc.runtime.scaling; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
