"""The examples: formatted, free of warnings, and what their comments say they are."""

from pathlib import Path

import pytest

from autobertc.dsl.architecture import Architecture, AttentionLayer, ConvolutionLayer, Sizes
from autobertc.dsl.checker import check, check_expression, load
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.printer import format_tree
from autobertc.dsl.source import Source

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = sorted(EXAMPLES.glob("*.abz"))

# AutoBERT-Zero-base (Gao et al., AAAI 2022, Figure 7), layers 1 to 12.
KERNELS = {1: 65, 3: 9, 5: 3, 7: 7, 9: 7, 11: 3}
PROGRAMS = {
    2: "softmax(scale(Q @ -logsigmoid(-K).T)) @ (K + Q)",
    4: "softmax(scale(Q @ -logsigmoid(logsigmoid(Q) + (Q + K)).T)) @ Q",
    6: "softmax(scale(Q @ -logsigmoid(K).T)) @ Q",
    8: "softmax(scale(Q @ -logsigmoid(K).T)) @ Q",
    10: "softmax(scale(Q @ (scale(K) + (softsign(scale(softsign(K))) + V)).T)) @ V",
    12: "softmax(scale(Q @ (scale(K) + V).T)) @ V",
}
BERT = "softmax(scale(Q @ K.T)) @ V"


def layers_of(name: str) -> list[int | str]:
    """Kernel sizes, and keys of programs."""
    architecture = load(EXAMPLES / f"{name}.abz").architecture
    return [layer.kernel if isinstance(layer, ConvolutionLayer) else layer.program.key for layer in architecture.layers]


def expected(*layers: int) -> list[int | str]:
    """The same of AutoBERT-Zero-base's layers by number."""
    return [KERNELS[layer] if layer in KERNELS else check_expression(PROGRAMS[layer]).key for layer in layers]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_formatted(path: Path) -> None:
    assert format_tree(parse_tree(Source.load(path))) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_checks_and_is_named_after_its_file(path: Path) -> None:
    checked = check(parse_tree(Source.load(path)))
    assert [found.render() for found in checked.diagnostics if found.severity != "note"] == []
    assert checked.architecture.name == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_says_what_it_is(path: Path) -> None:
    assert "# " in path.read_text(encoding="utf-8")


def test_all_are_there() -> None:
    sizes = ("small", "base", "large")
    kinds = ("attention-only", "convolution-only", "three-attentions", "three-convolutions", "not-descending")
    others = ("one-line", "linear-attention", "cosine-attention", "distance-attention", "two-softmax")
    names = [f"{model}-{size}" for model in ("bert", "autobert-zero") for size in sizes]
    names += [f"autobert-zero-{kind}" for kind in kinds]
    assert sorted([*names, *others]) == [path.stem for path in FILES]


@pytest.mark.parametrize(
    ("size", "count", "sizes"),
    [
        ("small", 12, Sizes(hidden=256, heads=4, intermediate=1024, embedding=128)),
        ("base", 12, Sizes(hidden=768, heads=12, intermediate=3072)),
        ("large", 24, Sizes(hidden=1024, heads=16, intermediate=4096)),
    ],
)
def test_sizes(size: str, count: int, sizes: Sizes) -> None:
    for model in ("bert", "autobert-zero"):
        architecture = load(EXAMPLES / f"{model}-{size}.abz").architecture
        assert architecture.sizes == sizes
        assert len(architecture.layers) == count
    assert layers_of(f"bert-{size}") == [check_expression(BERT).key] * count


def test_autobert_zero() -> None:
    layers = range(1, 13)
    assert layers_of("autobert-zero-base") == layers_of("autobert-zero-small") == expected(*layers)
    blocks = [(layer, layer + 1) * 2 for layer in layers if layer % 2]
    assert layers_of("autobert-zero-large") == expected(*(layer for block in blocks for layer in block))


def test_ablations() -> None:
    attentions, kernels = (
        layers_of("autobert-zero-attention-only"),
        layers_of("autobert-zero-convolution-only"),
    )
    assert attentions == expected(2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12)
    assert kernels == expected(1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11) == [65, 65, 9, 9, 3, 3, 7, 7, 7, 7, 3, 3]


def test_variants() -> None:
    assert layers_of("autobert-zero-three-attentions") == expected(1, 2, 3, 4, 5, 6, 7, 8, 10, 10, 11, 12)
    assert layers_of("autobert-zero-three-convolutions") == expected(1, 2, 3, 4, 5, 6, 7, 7, 9, 10, 11, 12)
    assert layers_of("autobert-zero-not-descending") == expected(11, 2, 9, 4, 7, 6, 5, 8, 3, 10, 1, 12)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("autobert-zero-*.abz")), ids=lambda path: path.stem)
def test_layers_with_a_missing_figure_say_so(path: Path) -> None:
    text = " ".join(path.read_text(encoding="utf-8").replace("#", " ").split())
    is_variant = any(word in path.stem for word in ("three", "descending"))
    assert ("is not available; this is a variant" in text) == is_variant


def test_the_one_line_program() -> None:
    path = EXAMPLES / "one-line.abz"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1
    checked = load(path)
    assert [found.severity for found in checked.diagnostics] == ["note"]
    assert checked.architecture == _one_line(checked.architecture)


def _one_line(read: Architecture) -> Architecture:
    (layer,) = read.layers
    assert isinstance(layer, AttentionLayer)
    assert layer.program.key == check_expression("softmax(Q @ logsigmoid(K).T) @ V").key
    return Architecture("one-line", Sizes(), (layer,))
