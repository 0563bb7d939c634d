"""The figures of an analysis, models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autobertc.runtime.analysis import maps, uniformity
from autobertc.runtime.analysis.figures import curves, new_figure
from autobertc.runtime.analysis.maps import AttentionMaps
from autobertc.runtime.analysis.receptive import ReceptiveFields


def draw_uniformity(found: Mapping[str, dict[str, list[float]]]) -> Any:
    """Token uniformity by layer."""
    return curves(
        [
            (
                title,
                "layer (0: embeddings)",
                [(label, range(len(each[name])), each[name]) for label, each in found.items()],
            )
            for name, title in uniformity.MEASURES.items()
        ]
    )


def draw_receptive(found: Mapping[str, ReceptiveFields]) -> Any:
    """Spread by layer, and how the influence on the last layer's middle token falls with the offset."""

    def spreads(name: str) -> list[tuple[str, Any, Any]]:
        return [
            (label, range(1, len(getattr(each, name)) + 1), [field.spread for field in getattr(each, name)])
            for label, each in found.items()
        ]

    kernels = [
        (
            label,
            list(each.kernels),
            [float(np.mean([head.spread for head in heads])) for heads in each.kernels.values()],
        )
        for label, each in found.items()
        if each.kernels
    ]
    last = []
    for label, each in found.items():
        radius = len(each.stack[-1].profile) // 2
        last.append((label, range(-radius, radius + 1), each.stack[-1].profile))
    panels = [
        ("spread of a layer by its input, tokens", "layer", spreads("layers")),
        ("spread of the stack by the embeddings, tokens", "layer", spreads("stack")),
        ("influence on the last layer's middle token", "offset", last),
    ]
    if kernels:
        panels.insert(0, ("spread of convolution kernels, tokens", "layer", kernels))
    figure = curves(panels)
    figure.axes[-1].set_ylim(1e-5, 1.5)  # the token itself has most
    figure.axes[-1].set_yscale("log")
    return figure


def draw_map_measures(found: Mapping[str, AttentionMaps]) -> Any:
    """A dot for each head at its layer, and the mean over heads."""
    figure = new_figure(3.6 * len(maps.MEASURES), 3.2)
    for axes, (name, title) in zip(figure.subplots(1, len(maps.MEASURES)), maps.MEASURES.items(), strict=True):
        for number, (label, each) in enumerate(found.items()):
            values, colour = each.measures[name], f"C{number % 10}"
            for layer, heads in zip(each.layers, values, strict=True):
                axes.scatter([layer] * len(heads), heads, s=8, color=colour, alpha=0.4, linewidths=0)
            axes.plot(each.layers, values.mean(1), color=colour, label=label)
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("layer", fontsize=8)
        axes.tick_params(labelsize=7)
    axes.legend(fontsize=7)
    return figure


def draw_maps(layers: Sequence[int], found: NDArray[np.float64], tokens: Sequence[str] = ()) -> Any:
    """A row for each layer, a column for each head: `found` is `[layers, heads, N, N]`, rows look at columns."""
    count, heads = found.shape[:2]
    side = 1.3 if not tokens else min(4.0, max(1.6, 0.16 * len(tokens)))
    figure = new_figure(side * heads + 0.4, side * count + 0.4)
    for layer, row in enumerate(figure.subplots(count, heads, squeeze=False)):
        for head, axes in enumerate(row):
            shown = np.abs(found[layer, head])
            axes.imshow(shown, cmap="Blues", vmin=0, vmax=max(float(shown.max()), 1e-12), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            if head == 0:
                axes.set_ylabel(f"layer {layers[layer]}", fontsize=7)
                if tokens and len(tokens) <= 40:
                    axes.set_yticks(range(len(tokens)), tokens, fontsize=4)
            if layer == 0:
                axes.set_title(f"head {head + 1}", fontsize=7)
    return figure
