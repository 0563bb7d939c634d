"""How many children a search proposes in a second, on one core, training aside: the table of where the time goes.

    python benchmarks/search_rate.py [--children 5000] [--seed 0] [--json FILE]

Five parents of 12 layers at a time have five children each by one edit, as in a round; the next parents are drawn from
the newest children, so programs drift as they do in a search. Each child is drawn on the IR, checked against the space,
given both keys (programs' keys are kept) and looked for among all before it. Nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from rich.console import Console
from rich.table import Table

from autobertc.search.edits import draw_between, draw_within
from autobertc.search.genome import Genome
from autobertc.search.identity import Identities
from autobertc.search.randomness import generator
from autobertc.search.sampling import sample_genome
from autobertc.search.space import Space

TARGET = 1000.0
PARENTS = 5
CHILDREN = 5


@dataclass
class Measured:
    """Seconds of this process by part, and what was counted."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    children: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    wall: float = 0.0
    hits: int = 0
    misses: int = 0
    unconfirmed: int = 0

    @property
    def rate(self) -> float:
        """Children a second of processor time."""
        return self.children / sum(self.seconds.values())


def measure(space: Space, children: int, seed: int) -> Measured:
    """Rounds of children until there are so many."""
    found = Measured()
    identities = Identities()
    rng = generator(seed, "search rate")
    newest: list[Genome] = [sample_genome(space, rng) for _ in range(100)]
    for number, genome in enumerate(newest):
        identities.add(genome, number)
    clock = time.process_time
    first = (identities.cache.hits, identities.cache.misses)
    started = time.perf_counter()
    while found.children < children:
        parents = [newest[int(rng.integers(len(newest)))] for _ in range(PARENTS)]
        for parent in parents:
            for _ in range(CHILDREN):
                start = clock()
                between = bool(rng.random() < 0.5)
                draw = draw_between if between else draw_within
                child = draw(space, parent, rng, rejected=found.rejected)
                drawn = clock()
                found.seconds["draw an edit between layers" if between else "draw an edit of a program"] += (
                    drawn - start
                )
                if child is None:
                    continue
                assert space.legal_genome(child.genome) is None
                checked = clock()
                found.seconds["check all layers"] += checked - drawn
                for _, program in child.genome.programs():
                    identities.cache.keys(program)
                keyed = clock()
                found.seconds["both keys"] += keyed - checked
                repeated = identities.add(child.genome, len(identities)) is not None
                found.seconds["look for duplicates, confirm"] += clock() - keyed
                found.children += 1
                found.duplicates += repeated
                if not repeated:
                    newest = [*newest[-99:], child.genome]
    found.wall = time.perf_counter() - started
    found.hits, found.misses = identities.cache.hits - first[0], identities.cache.misses - first[1]
    found.unconfirmed = identities.unconfirmed
    return found


def table(found: Measured) -> Table:
    """The parts, their time for one child, and their share."""
    whole = sum(found.seconds.values())
    shown = Table(title="One-edit children of 12-layer parents, no training")
    for name, justify in (("part", "left"), ("µs a child", "right"), ("share", "right")):
        shown.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, seconds in sorted(found.seconds.items(), key=lambda item: -item[1]):
        shown.add_row(name, f"{1e6 * seconds / found.children:.0f}", f"{seconds / whole:.0%}")
    shown.add_row("all", f"{1e6 * whole / found.children:.0f}", "100%")
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--children", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(Space(), arguments.children, arguments.seed)
    console = Console()
    console.print(table(found))
    verdict = "met" if found.rate >= TARGET else "not met"
    console.print(
        f"{found.rate:.0f} children a second of processor time (target {TARGET:.0f}: {verdict}), "
        f"{found.children / found.wall:.0f} a second on the clock"
    )
    console.print(
        f"{found.duplicates / found.children:.1%} duplicates of {found.children} children; "
        f"keys computed {found.misses}, found {found.hits}; equal keys not confirmed {found.unconfirmed}"
    )
    console.print("draws rejected: " + ", ".join(f"{name} {count}" for name, count in found.rejected.most_common()))
    if arguments.json:
        values = {**found.__dict__, "rate": found.rate, "rejected": dict(found.rejected)}
        arguments.json.write_text(json.dumps({**values, "seconds": dict(found.seconds)}, indent=1))


if __name__ == "__main__":
    main()
