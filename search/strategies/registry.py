"""The strategies by name. Weight sharing is a matter of how candidates are evaluated, so it is a flag beside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches

from autobertc.dsl.errors import UserError
from autobertc.search.strategies.aging import AgingEvolution
from autobertc.search.strategies.base import Strategy
from autobertc.search.strategies.domain import Domain
from autobertc.search.strategies.evolution import Evolution
from autobertc.search.strategies.op_nas import OpNas
from autobertc.search.strategies.priorities import CALIBRATED, PAPER, Preset
from autobertc.search.strategies.random_search import RandomSearch, Settings


@dataclass(frozen=True)
class Combination:
    """A way to search.

    Attributes:
        kind: what proposes.
        sharing: whether candidates start from the super-net's weights.
        preset: of the priorities; None has none.
        both: an inter-layer edit in every child.
    """

    kind: type[RandomSearch]
    sharing: bool
    preset: Preset | None = None
    both: bool = False


COMBINATIONS = {
    "random": Combination(RandomSearch, sharing=False),
    "random-sharing": Combination(RandomSearch, sharing=True),
    "evolution": Combination(Evolution, sharing=False),
    "evolution-sharing": Combination(Evolution, sharing=True),
    "aging": Combination(AgingEvolution, sharing=True),
    "op-nas": Combination(OpNas, sharing=True, preset=CALIBRATED),
    "op-nas-paper": Combination(OpNas, sharing=True, preset=PAPER, both=True),
}


def combination(name: str) -> Combination:
    """The combination of that name. Raises `UserError` where there is none."""
    if name not in COMBINATIONS:
        near = get_close_matches(name, COMBINATIONS, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"no strategy is called {name!r}: {hint}the strategies are {', '.join(COMBINATIONS)}")
    return COMBINATIONS[name]


def strategy(
    name: str, domain: Domain, settings: Settings | None = None, seed: int = 0, preset: Preset | None = None
) -> Strategy:
    """The strategy of that name. `preset` stands in for the priorities' own. Raises `UserError`."""
    chosen = combination(name)
    settings = settings or Settings()
    if chosen.both:
        settings = replace(settings, both=True)
    if chosen.preset:
        return OpNas(domain, settings, seed, preset or chosen.preset)
    return chosen.kind(domain, settings, seed)
