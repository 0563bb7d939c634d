"""What `search_fidelity.py` says of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from autobertc.runtime.markdown import markdown_table
from autobertc.search.evaluation.hurdles import thresholds
from autobertc.search.evaluation.job import CandidateResult
from autobertc.search.randomness import generator

BOOTSTRAPS = 2000
ELITE = 5


def scores_of(result: CandidateResult) -> dict[str, float] | None:
    """All its numbers, higher better; None where it was not evaluated to the end."""
    if result.state != "complete":
        return None
    return {"score": result.values[0]} | {
        name: -value if name.endswith("_loss") else value for name, value in result.scores.items()
    }


def tau(cheap: Sequence[Any], full: Sequence[Any], task: str, seed: int) -> dict[str, Any] | None:
    """Kendall's tau-b of a task, with its interval by bootstrap over architectures; None of few or equal ones."""
    data = _scored_in_both(cheap, full, task)
    if len(data) < 4:
        return None
    if not np.ptp(data, axis=0).all():  # all the same on one side: there is no order to compare
        return None
    rng = generator(seed, task, "bootstrap")
    drawn = [kendalltau(*data[rng.integers(len(data), size=len(data))].T).statistic for _ in range(BOOTSTRAPS)]
    low, high = np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else (np.nan, np.nan)
    return {"tau": float(kendalltau(*data.T).statistic), "low": float(low), "high": float(high), "count": len(data)}


def _scored_in_both(cheap: Sequence[Any], full: Sequence[Any], task: str) -> Any:
    """Both scores of each architecture that has both, [architectures, 2]."""
    pairs = [(a[task], b[task]) for a, b in zip(cheap, full, strict=True) if a and b and task in a and task in b]
    return np.array(pairs)


def tau_within(
    cheap: Sequence[Any], full: Sequence[Any], sizes: Sequence[int], task: str, seed: int
) -> dict[str, Any] | None:
    """The same among architectures of one round alone, all rounds together: pairs in the same order less pairs in the
    other, of all pairs that are not ties. `sizes` are the rounds'; the bootstrap draws within each."""
    rounds, place = [], 0
    for size in sizes:
        rounds.append(_scored_in_both(cheap[place : place + size], full[place : place + size], task))
        place += size
    rounds = [each for each in rounds if len(each) > 1]

    def order(drawn: Sequence[Any]) -> float:
        signs = np.concatenate([np.sign(_pairs(each[:, 0]) * _pairs(each[:, 1])) for each in drawn])
        counted = np.abs(signs).sum()
        return float(signs.sum() / counted) if counted else np.nan

    count = sum(map(len, rounds))
    if count < 4 or not np.isfinite(order(rounds)):
        return None
    rng = generator(seed, task, "bootstrap within")
    drawn = [order([each[rng.integers(len(each), size=len(each))] for each in rounds]) for _ in range(BOOTSTRAPS)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return {"tau": order(rounds), "low": float(low), "high": float(high), "count": count}


def _pairs(values: Any) -> Any:
    """The differences of all pairs, each once."""
    first, second = np.triu_indices(len(values), 1)
    return values[first] - values[second]


def hurdles_report(rungs: Sequence[float], sizes: Sequence[int], results: Sequence[Any], full: Sequence[Any]) -> Any:
    """What hurdles would have saved and whom they would have stopped, by the rungs that were recorded.

    `sizes` are the rounds'. By replay: with the thresholds of finished rounds, which of these trainings would have
    ended at a rung. What the super-net would have missed of them is not in it.
    """
    reached: list[tuple[float, ...]] = []
    stopped: list[bool] = []
    spent, place = 0.0, 0
    for size in sizes:
        limits = thresholds(reached, len(rungs))
        ended = []
        for result in results[place : place + size]:
            at = next((n for n, (s, t) in enumerate(zip(result.rungs, limits, strict=False)) if s < t), len(rungs) - 1)
            spent += rungs[at]
            ended.append(result.rungs[: at + 1])
            stopped.append(at < len(rungs) - 1)
        reached += ended
        place += size
    known = [number for number, scores in enumerate(full) if scores]
    best = sorted(known, key=lambda number: -full[number]["score"])[:ELITE]
    return {
        "steps_saved": 1 - spent / max(1, len(results)),
        "stopped": sum(stopped),
        "of": len(stopped),
        "stopped_of_the_best": sum(stopped[number] for number in best),
        "best": len(best),
    }


def _cells(found: dict[str, Any] | None) -> tuple[str, str]:
    return (f"{found['tau']:.2f}", f"{found['low']:.2f} to {found['high']:.2f}") if found else ("", "")


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        f"{report['architectures']} architectures; {report['steps']:,} steps beside {report['full_steps']:,} from "
        f"scratch: {report['steps_saved']:.0%} of the steps saved (the paper: 80%).",
        "",
        "Kendall's tau between the two, with its 95% interval (bootstrap over architectures). Rows with a slash "
        "inherit weights: what feed-forward / norms belong to. Their scores are less the round's anchor's; within "
        "rounds, pairs of architectures of different rounds are left out.",
        "",
    ]
    taus = [
        [name, task, *_cells(each), *_cells(report["taus_within"][name][task])]
        for name, found in report["taus"].items()
        for task, each in found.items()
        if each
    ]
    lines += [markdown_table(["start", "task", "tau", "interval", "within rounds", "interval"], taus, labels=2)]
    hurdles = [
        [
            name,
            f"{each['steps_saved']:.0%}",
            f"{each['stopped']} of {each['of']}",
            f"{each['stopped_of_the_best']} of {each['best']}",
        ]
        for name, each in report["hurdles"].items()
    ]
    lines += ["", "Hurdles, by replay:", ""]
    lines += [markdown_table(["sharing", "steps saved", "stopped", "of the best"], hurdles, labels=1)]
    return "\n".join(lines) + "\n"
