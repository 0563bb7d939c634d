"""Figures in PNG and SVG, the same bytes for the same numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SUFFIXES = ("png", "svg")


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, folder: Path, name: str) -> list[str]:
    """Write `name.png` and `name.svg`, and return their names."""
    names = [f"{name}.{suffix}" for suffix in SUFFIXES]
    with rc_context({"svg.hashsalt": name}):
        for file in names:
            figure.savefig(folder / file, dpi=150, metadata={"Date": None} if file.endswith("svg") else None)
    return names


def labels(names: Sequence[str]) -> list[str]:
    """Short and distinct names of models: the last parts of their paths, as many as it takes."""
    parts = [[part for part in re.split(r"[/\\]", name) if part] or [name] for name in names]
    for count in range(1, max(map(len, parts), default=1) + 1):
        found = ["/".join(each[-count:]) for each in parts]
        if len(set(found)) == len(set(names)):
            break
    return [f"{name} ({number})" if found.index(name) < number - 1 else name for number, name in enumerate(found, 1)]


def file_name(label: str) -> str:
    """A label as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", label).strip("-") or "model"


def curves(
    panels: Sequence[tuple[str, str, Sequence[tuple[str, Iterable[float], Iterable[float]]]]], bottom: float | None = 0
) -> Any:
    """Panels side by side: a title, the name of the x axis, and lines of a label, x and y; one legend for all."""
    figure = new_figure(4.2 * len(panels), 3.4)
    for axes, (title, across, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for label, x, y in lines:
            axes.plot(list(x), list(y), marker="o", markersize=3, label=label)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(across, fontsize=8)
        axes.tick_params(labelsize=8)
        if bottom is not None:
            axes.set_ylim(bottom=min(bottom, axes.get_ylim()[0]))
    axes.legend(fontsize=7)
    return figure
