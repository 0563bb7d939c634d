"""The curves of a replay as a picture: Figure 6 of the AutoBERT-Zero paper, with intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autobertc.search.tabular.replay import Curves, band


def plot_curves(results: dict[str, Curves], path: Path, title: str = "", ylabel: str = "worth of the best") -> None:
    """Write an .svg or .png file: mean and 95% interval of each curve after each candidate.

    The axis of scores begins at the lowest curve after a tenth of the candidates, so that the rest can be seen.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    bands = {label: band(curves) for label, curves in results.items()}
    for index, (label, found) in enumerate(bands.items()):
        at = np.arange(1, len(found.mean) + 1)
        color = f"C{index}"
        axes.plot(at, found.mean, color=color, label=label, linestyle="--" if label.endswith("sharing") else "-")
        axes.fill_between(at, found.low, found.high, color=color, alpha=0.2, linewidth=0)
    length = max(len(found.mean) for found in bands.values())
    lowest = min(float(found.low[length // 10]) for found in bands.values())
    highest = max(float(found.high.max()) for found in bands.values())
    margin = 0.03 * (highest - lowest) or 1e-3
    axes.set(
        xlabel="candidates evaluated",
        ylabel=ylabel,
        title=title,
        ylim=(lowest - margin, highest + margin),
        xlim=(0, length),
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": "autobertc"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
