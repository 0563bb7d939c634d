"""How many candidates a search needs on a planted problem (`autobertc/search/planted.py`), by strategy.

    python benchmarks/search_planted.py [--seeds 50] [--limit 2000] [--plot docs/search-planted.svg]

A plant per problem: the right operation at each of 6 positions in 4 layers, of 10 operations; the score is how many
are right, plus noise of half an operation; a search is done at 80% right. Strategies meet the same problems with the
same seeds, so that they are compared in pairs. A search that needs more than the limit counts as the limit.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import bootstrap

from autobertc.search.planted import Planted, candidates_needed
from autobertc.search.strategies.registry import strategy

POSITIONS = 24


@dataclass(frozen=True)
class Variant:
    """A row: a strategy, and the largest score, which matters to `paper` alone."""

    label: str
    name: str
    largest: float = 1.0


PLAIN = Variant("evolution", "evolution")
VARIANTS = (
    PLAIN,
    Variant("OP-NAS, calibrated", "op-nas"),
    Variant("OP-NAS, paper, scores 0 to 1", "op-nas-paper"),
    Variant("OP-NAS, paper, scores 0 to 100", "op-nas-paper", 100.0),
    Variant("aging evolution", "aging"),
)
PLANTS = {"same": "the same plant in each layer", "each": "a plant per layer"}


def needed(variant: Variant, plants: str, seeds: int, limit: int) -> np.ndarray:
    """Candidates needed by seed, the limit where that is too few."""
    found = []
    for seed in range(seeds):
        problem = Planted(seed, same=plants == "same", unit=variant.largest / POSITIONS)
        found.append(candidates_needed(problem, strategy(variant.name, problem, seed=seed), limit) or limit)
    return np.array(found)


def paired(values: np.ndarray, beside: np.ndarray) -> tuple[float, float, float]:
    """The median of the differences and its 95% interval, by bootstrap over the seeds."""
    differences = values - beside
    if (differences == differences[0]).all():
        return (float(differences[0]),) * 3
    interval = bootstrap(
        (differences,), np.median, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(np.median(differences)), float(interval.low), float(interval.high)


def table(results: dict[tuple[str, str], np.ndarray], seeds: int, limit: int) -> Table:
    drawn = Table(title=f"candidates needed on the planted problem, {seeds} seeds")
    for title in ("plants", "strategy", "median", "quartiles", f"over {limit}", "less evolution, paired median (95%)"):
        drawn.add_column(title, justify="left" if title in ("plants", "strategy") else "right")
    for (plants, label), values in results.items():
        low, middle, high = np.percentile(values, [25, 50, 75])
        difference, least, most = paired(values, results[plants, PLAIN.label])
        beside = "" if label == PLAIN.label else f"{difference:+.0f} ({least:+.0f} to {most:+.0f})"
        over = f"{(values >= limit).sum()}"
        drawn.add_row(PLANTS[plants], label, f"{middle:.0f}", f"{low:.0f} to {high:.0f}", over, beside)
    return drawn


def plot(results: dict[tuple[str, str], np.ndarray], limit: int, path: Path) -> None:
    """Which part of the searches is done after so many candidates."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "autobertc"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(PLANTS), figsize=(10, 3.8), sharey=True, layout="constrained")
    for panel, (plants, title) in zip(panels, PLANTS.items(), strict=True):
        for variant in VARIANTS:
            values = np.sort(results[plants, variant.label])
            values = values[values < limit]
            share = np.arange(len(values) + 1) / len(results[plants, variant.label])
            panel.step([0, *values, limit], [*share, share[-1]], where="post", label=variant.label)
        panel.set(title=title, xlabel="candidates evaluated", xlim=(0, limit), ylim=(0, 1))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("searches that are done")
    panels[0].legend(fontsize="small", loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--plot", type=Path, help="an .svg or .png file")
    arguments = parser.parse_args()
    results = {
        (plants, variant.label): needed(variant, plants, arguments.seeds, arguments.limit)
        for plants in PLANTS
        for variant in VARIANTS
    }
    Console(width=140).print(table(results, arguments.seeds, arguments.limit))
    if arguments.plot:
        plot(results, arguments.limit, arguments.plot)


if __name__ == "__main__":
    main()
