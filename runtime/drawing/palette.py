"""The colours of the pictures, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass

from autobertc.dsl.ops import (
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

INK, SOFT_INK, FAINT = "#2F3437", "#6B7278", "#9AA1A6"
WIRE = "#8B9297"
CARD, CARD_EDGE = "#FBFAF8", "#E3E0D9"
GROUP, GROUP_EDGE = "#F1EFEA", "#D5D1C7"
EMBEDDING, EMBEDDING_EDGE = "#E9E7E2", "#C9C5BB"
KERNELS = {
    3: "#E2F0ED",
    5: "#CBE5E0",
    7: "#B0D7D0",
    9: "#90C6BD",
    15: "#69AFA5",
    31: "#45938B",
    65: "#2A746E",
}
PROGRAMS = (
    "#EDBE7C",
    "#E3A096",
    "#A3B9E2",
    "#C4ABD4",
    "#BFD08F",
    "#E2B7CB",
    "#93C6D8",
    "#D6BBA0",
    "#B4B6DA",
    "#D2CA82",
)
INPUTS = {"Q": "#4A78A9", "K": "#B9703F", "V": "#578B5B", "P": "#8A689E"}


@dataclass(frozen=True)
class Kind:
    """How operations of one kind look, and what the legend calls them."""

    label: str
    fill: str


_KINDS: tuple[tuple[type[Primitive] | tuple[type[Primitive], ...], Kind], ...] = (
    (MatMul, Kind("matrix product", "#D9E4F5")),
    (Pairwise, Kind("compares rows with rows", "#DCD9F2")),
    (Rowwise, Kind("over each row", "#F9DBD0")),
    (ElementwiseBinary, Kind("two values, by element", "#FAEDC4")),
    (Elementwise, Kind("one value, by element", "#E0EFD6")),
    ((Factor, Transpose), Kind("factor or transpose", "#ECEAE6")),
)
_OTHER = Kind("other", "#FFFFFF")
KINDS = (*(found for _, found in _KINDS), _OTHER)


def kind(op: Primitive) -> Kind:
    """The kind of an operation."""
    return next((found for classes, found in _KINDS if isinstance(op, classes)), _OTHER)


def is_input(op: Primitive) -> bool:
    return isinstance(op, Input)


def on(fill: str) -> str:
    """A text colour that can be read on `fill`."""
    return "#FFFFFF" if _light(fill) < 0.58 else INK


def darker(fill: str, share: float = 0.72) -> str:
    """The colour for an edge around `fill`."""
    return "#" + "".join(f"{round(part * share):02X}" for part in _parts(fill))


def program_colour(index: int) -> str:
    """The colour of the program with that letter."""
    return PROGRAMS[index % len(PROGRAMS)]


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _light(colour: str) -> float:
    red, green, blue = _parts(colour)
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255
