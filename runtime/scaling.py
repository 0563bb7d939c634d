"""The three sizes of a searched backbone (Gao et al., AAAI 2022, Table 6 and Appendix D.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from autobertc.dsl.architecture import MAX_LAYERS, Architecture, AttentionLayer, Layer

Size = Literal["small", "base", "large"]


@dataclass(frozen=True)
class _Widths:
    hidden: int
    heads: int
    intermediate: int
    embedding: int | None = None


# Table 6, but for the small embeddings: with the 256 printed there BERT-small would have more than its 14M.
_WIDTHS: dict[Size, _Widths] = {
    "small": _Widths(hidden=256, heads=4, intermediate=1024, embedding=128),
    "base": _Widths(hidden=768, heads=12, intermediate=3072),
    "large": _Widths(hidden=1024, heads=16, intermediate=4096),
}


def scale(architecture: Architecture, to: Size) -> Architecture:
    """The same backbone at another size.

    Small and base have the layers of the searched backbone. Large has each block of two consecutive layers,
    such as a convolution and the attention after it, followed by the same block once more. An architecture of
    hidden size 1024 is taken for a large one, whose blocks are halved first: so large to base undoes base to
    large, and large to large changes nothing.

    Hidden size, heads, and the intermediate and embedding widths become those of the size; vocabulary,
    lengths, types and dropout are kept. The name ends in the size: a size it ended in gives way.

    Raises `ValueError` where there is no such size, where large is asked of an odd number of layers, where an
    architecture of hidden size 1024 is not made of doubled blocks, or where the result would have more layers
    than a file may.
    """
    if to not in _WIDTHS:
        raise ValueError(f"the sizes are {', '.join(get_args(Size))}, found {to!r}")
    layers = architecture.layers
    if architecture.sizes.hidden == _WIDTHS["large"].hidden:
        layers = _halve(layers)
    if to == "large":
        layers = _double(layers)
    widths = _WIDTHS[to]
    sizes = replace(
        architecture.sizes,
        hidden=widths.hidden,
        heads=widths.heads,
        intermediate=widths.intermediate,
        embedding=widths.embedding,
    )
    return Architecture(_rename(architecture.name, to), sizes, layers)


def _double(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Each two layers followed by the same two."""
    if len(layers) % 2:
        raise ValueError(f"large repeats blocks of two layers, but there are {len(layers)}, an odd number")
    if 2 * len(layers) > MAX_LAYERS:
        raise ValueError(f"large would have {2 * len(layers):,} layers, more than the {MAX_LAYERS:,} of a file")
    return tuple(layer for start in range(0, len(layers), 2) for layer in layers[start : start + 2] * 2)


def _halve(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers that `_double` made these of."""
    groups = [layers[start : start + 4] for start in range(0, len(layers), 4)]
    for index, group in enumerate(groups):
        if len(group) < 4 or not (_same(group[0], group[2]) and _same(group[1], group[3])):
            first = 4 * index + 1
            raise ValueError(
                f"hidden size {_WIDTHS['large'].hidden} is the large size, but the layers from {first} on are"
                " not a block of two followed by the same block: what they are at another size is not known"
            )
    return tuple(layer for group in groups for layer in group[:2])


def _same(a: Layer, b: Layer) -> bool:
    if isinstance(a, AttentionLayer) and isinstance(b, AttentionLayer):
        return a.program.root is b.program.root
    return a == b


def _rename(name: str, to: Size) -> str:
    """`autobert-zero-base` to `autobert-zero-large`, `mine` to `mine-large`."""
    stem, dash, ending = name.rpartition("-")
    return f"{stem if dash and ending in _WIDTHS else name}-{to}"
