"""Numbers and conclusions out of the runs of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from autobertc.runtime.comparison.runs import Record
from autobertc.runtime.comparison.statistics import axes, interval, leaving_step, loss_at

HELD_OUT, EQUAL_FLOPS = "held_out_loss", "equal_flops_loss"
_CURVE = ("step", "seconds", "flops", "loss")


def summarise(chosen: Mapping[str, float], records: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    """Contestants and pairs, each of the others with the first.

    Args:
        chosen: each contestant's learning rate, the first contestant first.
        records: its runs.
    """
    finished = {
        name: [r for r in records[name] if r["learning_rate"] == rate and r["state"] == "complete"]
        for name, rate in chosen.items()
    }
    curves = {
        name: {record["seed"]: axes(record["curves"], record["metrics"]["training_flops"]) for record in runs}
        for name, runs in finished.items()
    }
    budget = min(float(curve["flops"][-1]) for of_seeds in curves.values() for curve in of_seeds.values())
    values: dict[str, dict[str, dict[int, float]]] = {}
    found = {}
    for name, rate in chosen.items():
        values[name] = _values(finished[name], curves[name], budget)
        found[name] = {
            "learning_rate": rate,
            "grid": _grid(records[name]),
            "edge": _at_edge(rate, records[name]),
            "seeds": [record["seed"] for record in finished[name]],
            "diverged": [r["seed"] for r in records[name] if r["learning_rate"] == rate and r["state"] == "diverged"],
            "left_plateau": [
                {"seed": r["seed"], "step": leaving_step(r["curves"], r["metrics"]["unigram_entropy"])}
                for r in finished[name]
            ],
            "measures": {measure: interval(list(of_seeds.values())) for measure, of_seeds in values[name].items()},
            "training_flops": finished[name][0]["metrics"]["training_flops"],
            "seconds": float(np.mean([curve["seconds"][-1] for curve in curves[name].values()])),
            "tokens_per_second": median(w["tokens_per_second"] for r in finished[name] for w in r["curves"]),
            "curve": _mean_curve(list(curves[name].values())),
            "tasks": {task: result["metric"] for r in finished[name] for task, result in r["tasks"].items()},
        }
    first = next(iter(chosen))
    pairs = [_pair(first, name, found, values) for name in chosen if name != first]
    metrics = finished[first][0]["metrics"]
    return {
        "first": first,
        "unigram_entropy": metrics["unigram_entropy"],
        "held_out_unigram_loss": metrics["held_out_unigram_loss"],
        "steps": metrics["steps"],
        "flops_budget": budget,
        "contestants": found,
        "pairs": pairs,
    }


def _values(runs: Sequence[Record], curves: Mapping[int, Any], budget: float) -> dict[str, dict[int, float]]:
    """What contestants are compared by, by seed."""
    values: dict[str, dict[int, float]] = {
        HELD_OUT: {record["seed"]: record["metrics"]["held_out_mlm_loss"] for record in runs},
        "held_out_accuracy": {record["seed"]: record["metrics"]["held_out_mlm_accuracy"] for record in runs},
        EQUAL_FLOPS: {seed: loss_at(curve, "flops", budget) for seed, curve in curves.items()},
    }
    for record in runs:
        for task, result in record["tasks"].items():
            values.setdefault(f"task {task}", {})[record["seed"]] = result["score"]
    return values


def _grid(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The loss on what was held out by learning rate, None where a run diverged."""
    losses: dict[float, dict[int, float | None]] = {}
    for record in records:
        loss = record["metrics"].get("held_out_mlm_loss")
        losses.setdefault(record["learning_rate"], {})[record["seed"]] = loss
    return [{"learning_rate": rate, "held_out_loss": of_seeds} for rate, of_seeds in sorted(losses.items())]


def _at_edge(rate: float, records: Sequence[Record]) -> bool:
    """Whether a better learning rate may lie beyond those that were tried."""
    tried = sorted({record["learning_rate"] for record in records})
    return len(tried) > 1 and rate in (tried[0], tried[-1])


def _mean_curve(curves: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Means over seeds at equal steps, and the lowest and the highest loss."""
    mean = {axis: np.mean([curve[axis] for curve in curves], axis=0).tolist() for axis in _CURVE}
    losses = np.array([curve["loss"] for curve in curves])
    return {**mean, "lowest": losses.min(0).tolist(), "highest": losses.max(0).tolist()}


def _pair(first: str, other: str, found: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Differences from the first at equal seeds, and what they say."""
    differences = {}
    for measure, of_seeds in values[other].items():
        common = [seed for seed in of_seeds if seed in values[first].get(measure, {})]
        if common:
            differences[measure] = interval([of_seeds[seed] - values[first][measure][seed] for seed in common])
    return {
        "first": first,
        "other": other,
        "differences": differences,
        "conclusion": _conclude(first, other, found, differences),
    }


def _conclude(first: str, other: str, found: Mapping[str, Any], differences: Mapping[str, Any]) -> str:
    """A ranking on what was held out, or why there is none."""
    reasons = []
    for name in (first, other):
        runs, diverged = found[name]["left_plateau"], found[name]["diverged"]
        staying = [run["seed"] for run in runs if run["step"] is None]
        if staying:
            reasons.append(f"{name} is on the unigram plateau at the end of {len(staying)} of {len(runs)} runs")
        if diverged:
            reasons.append(f"{name} diverged in {len(diverged)} of {len(diverged) + len(runs)} runs")
    if reasons:
        return f"not ranked: {'; '.join(reasons)}; more steps, or other learning rates, may tell"
    if HELD_OUT not in differences:
        return "not ranked: they have no seed in common"
    told = differences[HELD_OUT]
    mean, low, high = told["mean"], told["low"], told["high"]
    if low is None:
        return f"not ranked: one seed has no interval ({other} {mean:+.4f} nats)"
    span = f"{mean:+.4f} nats, 95% interval {low:+.4f} to {high:+.4f}, {len(told['values'])} seeds"
    if low <= 0 <= high:
        return f"not told apart: {other} {span}"
    return f"{other if high < 0 else first} is better: {other} {span}"
