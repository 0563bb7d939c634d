"""An architecture as a picture, after the paper's Figure 7: its layers in a row, each program as a graph."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from autobertc.dsl.architecture import Architecture, Sizes
from autobertc.dsl.graph import post_order
from autobertc.runtime.drawing.backbone import ROW_WIDTH, Backbone
from autobertc.runtime.drawing.canvas import SUFFIXES, Canvas, fit, text_width
from autobertc.runtime.drawing.card import Card
from autobertc.runtime.drawing.palette import FAINT, INK, KERNELS, KINDS, SOFT_INK, darker, kind, program_colour
from autobertc.runtime.drawing.runs import Symbol, describe_numbers, kernels, layers_by_symbol, letter
from autobertc.runtime.drawing.shapes import Point

MAX_PROGRAMS, MAX_OPERATIONS_IN_ALL = 24, 400
_MARGIN, _GUTTER = 36.0, 14.0


def draw(architecture: Architecture, path: Path) -> None:
    """Write a picture of an architecture, SVG or PNG by the suffix of `path`.

    The file appears whole or not at all; one architecture gives the same bytes each time. Long backbones are
    summarised and very large programs only named, so that the picture of any legal file is of bounded size.

    Raises `ValueError` where the suffix is another, `OutputError` where the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"a picture is one of {', '.join(SUFFIXES)}, not {path.suffix or path.name!r}")
    canvas = Canvas()
    canvas.save(path, *compose(canvas, architecture))


def compose(canvas: Canvas, architecture: Architecture) -> Point:
    """Draw an architecture on a canvas; returns the width and height it takes, in points."""
    numbers = layers_by_symbol(architecture)
    cards = _cards(architecture, numbers)
    backbone = Backbone(canvas, architecture, numbers)
    sizes = _describe_sizes(architecture.sizes, len(architecture.layers))
    width = max(
        backbone.width,
        560.0,
        text_width(sizes, 9.5),
        *(card.width for card in cards),
        min(ROW_WIDTH, _in_one_row(cards)),
    )
    bottom = _draw_title(canvas, architecture, (_MARGIN, _MARGIN), width)
    bottom = backbone.draw((_MARGIN, bottom + 12))
    bottom = _draw_cards(canvas, cards, (_MARGIN, bottom + 14), width)
    hidden = sum(not isinstance(each, int) for each in numbers) - len(cards)
    if hidden:
        plural = "" if hidden == 1 else "s"
        canvas.text((_MARGIN, bottom + 12), f"and {hidden:,} further program{plural}", 9, SOFT_INK, "left")
        bottom += 24
    bottom = _draw_legend(canvas, architecture, cards, (_MARGIN, bottom + 18), width)
    return width + 2 * _MARGIN, bottom + _MARGIN - 10


def _cards(architecture: Architecture, numbers: dict[Symbol, list[int]]) -> list[Card]:
    cards: list[Card] = []
    budget = MAX_OPERATIONS_IN_ALL
    for index, program in enumerate(islice(architecture.programs(), MAX_PROGRAMS)):
        layers = describe_numbers(numbers[program.root])
        cards.append(Card(program, letter(index), layers, program_colour(index), budget))
        budget -= cards[-1].operations if cards[-1].layout else 0
    return cards


def _draw_title(canvas: Canvas, architecture: Architecture, corner: Point, width: float) -> float:
    """Draw the name and the sizes; returns where they end."""
    left, top = corner
    name = "".join(part if part.isprintable() else "?" for part in architecture.name)
    canvas.text((left, top + 9), fit(name, width, 19, bold=True), 19, INK, "left", bold=True)
    sizes = _describe_sizes(architecture.sizes, len(architecture.layers))
    canvas.text((left, top + 31), fit(sizes, width, 9.5), 9.5, SOFT_INK, "left")
    return top + 38


def _describe_sizes(sizes: Sizes, layers: int) -> str:
    plural = "" if layers == 1 else "s"
    parts = [
        f"{layers:,} layer{plural}",
        f"hidden {sizes.hidden:,}",
        f"{sizes.heads:,} heads of {sizes.head_dim:,}",
        f"intermediate {sizes.intermediate:,}",
        f"vocabulary {sizes.vocab:,}",
        f"length {sizes.max_length:,}",
    ]
    if sizes.embedding is not None:
        parts.append(f"embeddings {sizes.embedding:,}")
    return "  ·  ".join(parts)


def _in_one_row(cards: list[Card]) -> float:
    return sum(card.width for card in cards) + _GUTTER * (len(cards) - 1)


def _shelves(cards: list[Card], width: float) -> list[list[Card]]:
    """Cards in rows no wider than `width`, in order."""
    shelves: list[list[Card]] = []
    for card in cards:
        if shelves and _in_one_row([*shelves[-1], card]) <= width:
            shelves[-1].append(card)
        else:
            shelves.append([card])
    return shelves


def _balanced(cards: list[Card], width: float) -> list[list[Card]]:
    """As few rows as fit, filled evenly: the narrowest that needs no more rows."""
    best = _shelves(cards, width)
    limit = width
    while limit > 0 and len(shelves := _shelves(cards, limit)) == len(best):
        best, limit = shelves, limit - 20
    return best


def _draw_cards(canvas: Canvas, cards: list[Card], corner: Point, width: float) -> float:
    """Draw the cards in rows that fill the width; returns where they end."""
    left, top = corner
    for shelf in _balanced(cards, width):
        spare = (width - _in_one_row(shelf)) / len(shelf)
        parts = [card.heights(card.width + spare) for card in shelf]
        heights = max(upper for upper, _ in parts), max(lower for _, lower in parts)
        x = left
        for card in shelf:
            card.draw(canvas, (x, top), card.width + spare, heights)
            x += card.width + spare + _GUTTER
        top += sum(heights) + _GUTTER
    return top - (_GUTTER if cards else 0)


def _legend(architecture: Architecture, cards: list[Card]) -> Iterator[tuple[str, str]]:
    """Colour and meaning, for what the picture shows."""
    for kernel in kernels(architecture):
        yield KERNELS[kernel], f"convolution {kernel}"
    shown = {kind(node.op) for card in cards if card.layout for node in post_order(card.program.root) if node.operands}
    for each in KINDS:
        if each in shown:
            yield each.fill, each.label


def _draw_legend(canvas: Canvas, architecture: Architecture, cards: list[Card], corner: Point, width: float) -> float:
    """Draw the legend in as many lines as it needs; returns where it ends."""
    left, middle = corner
    x = left
    for colour, meaning in _legend(architecture, cards):
        wide = 17 + text_width(meaning, 7.8) + 16
        if x + wide - 16 > left + width:
            x, middle = left, middle + 18
        canvas.box((x, middle - 5.5), (11, 11), colour, darker(colour), radius=3)
        canvas.text((x + 17, middle), meaning, 7.8, SOFT_INK, "left")
        x += wide
    if any(card.layout for card in cards):
        note = "[N,D]: the type of a value.   1, 2: the order of operands, where it matters."
        if x + text_width(note, 7.8) > left + width:
            x, middle = left, middle + 18
        canvas.text((x, middle), note, 7.8, FAINT, "left")
    return middle + 10
