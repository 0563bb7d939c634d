"""What the numbers say, in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence

from autobertc.search.report.axes import decimals, device_time, fixed, number, plural
from autobertc.search.report.data import Contender, Gate, LastStage, Ledger, ReportData
from autobertc.search.report.figures_final import tau_of
from autobertc.search.report.figures_maps import Effect
from autobertc.search.report.statistics import Estimate, mean, paired


def interval(estimate: Estimate, signed: bool = False, places: int | None = None) -> str:
    """A value with its interval: "0.81 [0.79, 0.83]"; by default with the decimals that the interval is worth."""
    sign = "+" if signed and estimate.value > 0 else ""
    if estimate.low is None or estimate.high is None:
        return sign + number(estimate.value)
    places = decimals(estimate.high - estimate.low) if places is None else places
    value, low, high = (fixed(each, places) for each in (estimate.value, estimate.low, estimate.high))
    return f"{sign}{value} [{low}, {high}]"


def common_places(estimates: Sequence[Estimate]) -> int:
    """The decimals that the widest interval is worth."""
    widths = [each.high - each.low for each in estimates if each.high is not None and each.low is not None]
    return decimals(max(widths, default=0.0))


def capital(text: str) -> str:
    """The text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def find(stage: LastStage, *roles: str) -> Contender | None:
    """The first contender with the first of the roles that any has."""
    return next((each for role in roles for each in stage.contenders if each.role == role), None)


def verdict(data: ReportData) -> tuple[str, str]:
    """The headline of the last stage, and what it rests on."""
    stage = data.last_stage
    winner = find(stage, "winner") if stage else None
    if stage is None or winner is None or not winner.known:
        return (
            "Not trained from scratch yet",
            "This run has no last stage, so nothing here says how good the winner is: scores of the search rank "
            "candidates, and they were picked for being high.",
        )
    rivals = [each for each in (find(stage, "random median", "random"), find(stage, "bert")) if each]
    found = [(each, paired(winner.scores, each.scores)) for each in rivals]
    clauses = _compare([(each, difference) for each, difference in found if difference])
    basis = f"{plural(len(stage.seeds), 'seed')}, equal {stage.equal}, {stage.metric}"
    told = f"{capital(winner.name)} reaches {interval(mean(winner.known))} ({basis}). "
    if not clauses:
        return "Trained from scratch", told + "There is nothing to compare it with."
    return _headline(found), told + clauses + _chosen(stage)


def _chosen(stage: LastStage) -> str:
    """That the winner was picked by the scores it is shown with, if there was anything to pick from."""
    count = sum(each.role in ("winner", "top") for each in stage.contenders)
    if count == 1:
        return ""
    return (
        f" The winner is the best of {count} finalists of the search by these same scores, which flatters it a little."
    )


def _headline(found: Sequence[tuple[Contender, Estimate | None]]) -> str:
    better = [
        each.name for each, difference in found if difference and difference.excludes_zero and difference.value > 0
    ]
    worse = [
        each.name for each, difference in found if difference and difference.excludes_zero and difference.value < 0
    ]
    if worse:
        return f"The winner loses to {' and '.join(worse)}"
    if len(better) == len(found):
        return f"The winner beats {' and '.join(better)}"
    if better:
        return f"The winner beats {' and '.join(better)}; the rest is within the noise"
    return "No difference that stands out from the noise"


def _compare(found: Sequence[tuple[Contender, Estimate]]) -> str:
    """The paired differences in words, clear ones first."""
    more = [(each, difference) for each, difference in found if difference.excludes_zero and difference.value > 0]
    less = [
        (each, _negative(difference)) for each, difference in found if difference.excludes_zero and difference.value < 0
    ]
    rest = [(each, difference) for each, difference in found if not difference.excludes_zero]
    clauses = []
    for word, group in (("more", more), ("less", less)):
        if group:
            parts = [f"{interval(difference)} {word} than {each.name}" for each, difference in group]
            clauses.append(f"That is {' and '.join(parts)}.")
    for each, difference in rest:
        why = "one seed, so no conclusion" if difference.low is None else "which may be none at all"
        clauses.append(f"Against {each.name} the difference is {interval(difference, signed=True)}, {why}.")
    return " ".join(clauses)


def _negative(estimate: Estimate) -> Estimate:
    low, high = estimate.low, estimate.high
    return Estimate(-estimate.value, None if high is None else -high, None if low is None else -low)


def about_gate(gate: Gate | None) -> str:
    """Whether the score can tell architectures apart."""
    if gate is None:
        return "No signal gate was run: how much of a score is luck of the seed is not known."
    ratio = gate.between_architectures / gate.between_seeds if gate.between_seeds > 0 else float("inf")
    spread = f"{number(ratio, 2)} times" if ratio < 1000 else "far more than"
    told = (
        f"Scores of {gate.architectures} architectures spread {spread} what {gate.seeds} seeds of one do "
        f"({number(gate.between_architectures)} against {number(gate.between_seeds)}, standard deviations)"
    )
    if gate.passed:
        return f"Signal gate passed. {told}."
    return f"Signal gate not passed: the score is largely a lottery. {told}; at least twice is wanted."


def about_effect(found: Effect) -> str:
    """Whether likelier draws gave better children."""
    count = len(found.points)
    if not count:
        return (
            "No child with logged probabilities and a scored parent, so there is nothing to say on whether they helped."
        )
    if found.rank is None:
        return (
            f"Only {plural(count, 'child', 'children')} with varying probabilities: too few to say whether they helped."
        )
    told = f"Spearman's rank correlation {interval(found.rank)} over {count:,} children"
    if not found.rank.excludes_zero:
        return (
            f"Whether priorities helped cannot be told: likelier draws gained neither more nor less for sure ({told})."
        )
    if found.rank.value > 0:
        return f"Priorities seem to have helped: children of likelier draws gained more over their parents ({told})."
    return f"Priorities seem to have misled: children of likelier draws gained less over their parents ({told})."


def about_cost(data: ReportData) -> str:
    """What was spent, and what sharing saved."""
    spent, without = spent_seconds(data), without_sharing(data.ledger, len(data.candidates))
    if not spent:
        return "Device time was not recorded."
    device = data.ledger.device if data.ledger else "device"
    told = f"{plural(len(data.candidates), 'candidate')} took {device_time(spent, device)}"
    if data.ledger is None or not data.ledger.sharing:
        return f"{told}, each trained from scratch: this search shared no weights."
    if without is None:
        return f"{told} with shared weights; what they would take from scratch was not measured."
    scratch = f"about {device_time(without, device)}"
    if without <= spent:
        return f"{told} with shared weights, and would take {scratch} from scratch: sharing saved nothing here."
    return f"{told} with shared weights, against {scratch} from scratch: {1 - spent / without:.0%} saved."


def spent_seconds(data: ReportData) -> float:
    """Device seconds of all candidates, failed ones too, and of parents and anchors scored again."""
    again = data.ledger.again if data.ledger else 0.0
    return sum(each.device_seconds for each in data.candidates) + again


def without_sharing(ledger: Ledger | None, candidates: int) -> float | None:
    """Device seconds that the candidates would take from scratch: an estimate."""
    if ledger is None or ledger.scratch_seconds is None:
        return None
    return ledger.scratch_seconds * candidates


def about_fidelity(data: ReportData) -> str:
    """Whether the search ranks as full training does."""
    taus = [(each.task, tau) for each in data.fidelity if (tau := tau_of(each))]
    if not taus:
        return (
            "Fewer than three architectures have both a search score and a score after full training, so it is not "
            "known whether the search ranks them as full training would."
        )
    clear = [task for task, tau in taus if tau.low is not None and tau.low > 0]
    against = [task for task, tau in taus if tau.high is not None and tau.high < 0]
    few = [task for task, tau in taus if tau.low is None]
    rest = len(taus) - len(clear) - len(against) - len(few)
    parts = []
    if clear:
        parts.append(f"The search ranks as full training does, better than chance, on {', '.join(clear)}.")
    if against:
        parts.append(f"It ranks them the wrong way round on {', '.join(against)}.")
    if rest:
        others = plural(rest, "score") if not (clear or against) else plural(rest, "other score")
        parts.append(f"On {others} the interval holds 0: agreement cannot be told from chance.")
    if few:
        parts.append("So few architectures were trained in full that their order says little: tau has no interval.")
    return " ".join(parts)
