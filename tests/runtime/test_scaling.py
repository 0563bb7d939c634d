"""The paper's sizes of a backbone."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from autobertc.dsl.architecture import (
    Architecture,
    AttentionLayer,
    ConvolutionLayer,
    Layer,
    Sizes,
    print_architecture,
)
from autobertc.dsl.checker import check, check_expression, load
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.source import Source
from autobertc.runtime.scaling import scale

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZES = ("small", "base", "large")


def example(name: str) -> Architecture:
    return load(EXAMPLES / f"{name}.abz").architecture


def convolutions(*kernels: int) -> tuple[Layer, ...]:
    return tuple(ConvolutionLayer(kernel) for kernel in kernels)


@pytest.mark.parametrize(("start", "to"), list(product(SIZES, SIZES)))
@pytest.mark.parametrize("model", ["bert", "autobert-zero"])
def test_the_published_sizes(model: str, start: str, to: str) -> None:
    """From any size to any other, name, sizes and layers are those of the example."""
    scaled, published = scale(example(f"{model}-{start}"), to), example(f"{model}-{to}")
    assert scaled.name == published.name
    assert scaled.sizes == published.sizes
    assert print_architecture(scaled) == print_architecture(published)
    assert scaled.digest() == published.digest()


def test_each_block_is_followed_by_itself() -> None:
    attention = AttentionLayer(check_expression("softmax(matmul(Q, transpose(K)))"))
    layers = (*convolutions(65), attention, *convolutions(3, 5))
    scaled = scale(Architecture("mixed", Sizes(), layers), "large")
    assert scaled.layers == (*layers[:2], *layers[:2], *layers[2:], *layers[2:])


def test_what_is_kept_and_what_is_not() -> None:
    sizes = Sizes(
        hidden=512,
        heads=4,
        intermediate=100,
        vocab=1000,
        max_length=64,
        embedding=32,
        types=3,
        hidden_dropout=0.2,
        attention_dropout=0.3,
        kernel_dropout=0.4,
    )
    scaled = scale(Architecture("mine", sizes, convolutions(3)), "base")
    assert scaled.sizes == replace(sizes, hidden=768, heads=12, intermediate=3072, embedding=None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("autobert-zero-base", "autobert-zero-large"),
        ("mine", "mine-large"),
        ("my-small-net", "my-small-net-large"),
        ("base", "base-large"),
        ("v1.5-small", "v1.5-large"),
        ("database", "database-large"),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert scale(Architecture(name, Sizes(), convolutions(3, 5)), "large").name == expected


def test_the_result_is_a_file_again() -> None:
    scaled = scale(example("autobert-zero-base"), "large")
    read = check(parse_tree(Source("scaled.abz", print_architecture(scaled)))).architecture
    assert read.name == scaled.name
    assert read.digest() == scaled.digest()


def test_an_odd_number_of_layers_has_no_large_size() -> None:
    architecture = Architecture("odd", Sizes(), convolutions(3, 5, 7))
    with pytest.raises(ValueError, match="blocks of two layers, but there are 3, an odd number"):
        scale(architecture, "large")
    assert scale(architecture, "small").layers == architecture.layers


@pytest.mark.parametrize("to", SIZES)
@pytest.mark.parametrize(
    ("kernels", "first"),
    [
        ((3, 5), 1),
        ((3, 5, 3, 7), 1),
        ((3, 5, 7, 5), 1),
        ((3, 5, 3, 5, 7, 9, 7), 5),
        ((3, 5, 3, 5, 7, 9, 9, 7), 5),
    ],
)
def test_hidden_1024_without_doubled_blocks(to: str, kernels: tuple[int, ...], first: int) -> None:
    """Doubling such layers silently, or for a second time, would be a guess."""
    architecture = Architecture("wide", Sizes(hidden=1024, heads=16), convolutions(*kernels))
    with pytest.raises(ValueError, match=f"layers from {first} on are not a block of two followed by the same"):
        scale(architecture, to)


def test_equal_programs_of_two_texts_are_one_layer() -> None:
    """What counts is the graph, not where it was read."""
    layers = tuple(AttentionLayer(check_expression("softmax(matmul(Q, transpose(K)))")) for _ in range(4))
    assert scale(Architecture("wide", Sizes(hidden=1024, heads=16), layers), "base").layers == layers[:2]


def test_more_layers_than_a_file_may_hold() -> None:
    with pytest.raises(ValueError, match="10,004 layers, more than the 10,000 of a file"):
        scale(Architecture("deep", Sizes(), convolutions(3) * 5002), "large")


def test_a_size_there_is_not() -> None:
    with pytest.raises(ValueError, match="the sizes are small, base, large, found 'huge'"):
        scale(example("one-line"), "huge")
