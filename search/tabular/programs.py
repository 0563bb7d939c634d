"""The programs of a table, and the edits that lead from one to another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autobertc.dsl import parse
from autobertc.dsl.architecture import AttentionLayer
from autobertc.dsl.graph import Node, Program
from autobertc.search.edits import KINDS, draw_edit
from autobertc.search.edits.program_edit import substitute
from autobertc.search.edits.surroundings import Kind, Site, Surroundings
from autobertc.search.genome import Genome
from autobertc.search.identity import Identities
from autobertc.search.randomness import generator
from autobertc.search.sampling import sample_program
from autobertc.search.space import Space
from autobertc.search.tabular.recipe import BERT, Recipe, TableError

# Rounds in which nothing may come of the draws before a space is taken to have no further program.
MAX_DRAWS = 1000
# Edits drawn before the next program is taken.
DRAWS_EACH = 40


@dataclass(frozen=True)
class Move:
    """An edit that leads from a program of the table to another one.

    Attributes:
        kind: of the edit.
        position: where, among the operations.
        legal: the operations that can come there, by name; none for an edit that brings none.
        op: the one that it brings.
        target: the number of the program that it makes.
        share: of the draws that are at this kind, place and operation, how many make that program, times how many of
            all draws are at this kind and place.
    """

    kind: str
    position: int
    legal: tuple[str, ...]
    op: str | None
    target: int
    share: float


def layer_of(program: Program) -> Genome:
    """A program as a genome of one layer, which identities are for."""
    return Genome((AttentionLayer(program),))


def grow_programs(recipe: Recipe, space: Space, accept: Callable[[Program], bool] | None = None) -> list[Program]:
    """The programs of the recipe, no two of one function: roots (BERT's attention where the space has it, then random
    ones), then, one at a time, what edits of the programs that are there led to most often.

    So programs have many edits to each other, as they have in the whole space; a search among programs that were drawn
    at random would run out of children at once. `accept` can refuse a program, such as one that cannot be trained.
    Raises `TableError` where there are too few.
    """
    rng = generator(recipe.seed, "programs")
    reached = _Reached(accept)
    bert = next(iter(parse(f"att: {BERT}").programs()))
    if space.legal(bert) is None:
        reached.take(reached.number(bert))
    for _ in range(MAX_DRAWS):
        if len(reached.taken) >= recipe.roots:
            break
        reached.take(reached.number(sample_program(space, rng)))
    for _ in range(MAX_DRAWS):
        if len(reached.taken) >= recipe.programs:
            return [reached.programs[number] for number in reached.taken[: recipe.programs]]
        for _ in range(DRAWS_EACH):
            parent = reached.taken[int(rng.integers(len(reached.taken)))]
            drawn = draw_edit(space, reached.programs[parent], rng)
            if drawn is not None:
                reached.counts[reached.number(drawn.program)] += 1
        out = {*reached.taken, *reached.refused}
        likely = [number for number, _ in reached.counts.most_common() if number not in out]
        if likely:
            reached.take(likely[0])
    raise TableError(f"the space gave {len(reached.taken)} programs, not {recipe.programs}: ask for fewer")


class _Reached:
    """Programs by function, how often edits led to each, and which of them are the table's."""

    def __init__(self, accept: Callable[[Program], bool] | None) -> None:
        self.accept = accept
        self.identities = Identities()
        self.programs: list[Program] = []
        self.counts: Counter[int] = Counter()
        self.refused: set[int] = set()
        self.taken: list[int] = []

    def number(self, program: Program) -> int:
        """The number of the program's function."""
        known = self.identities.add(layer_of(program), len(self.programs))
        if known is not None:
            return known
        self.programs.append(program)
        return len(self.programs) - 1

    def take(self, number: int) -> None:
        """Make a function the table's, unless it is refused or there already."""
        if number in self.taken or number in self.refused:
            return
        if self.accept is None or self.accept(self.programs[number]):
            self.taken.append(number)
        else:
            self.refused.add(number)
            self.counts[number] = 0


def find_moves(space: Space, programs: list[Program]) -> list[list[Move]]:
    """For each program every edit that makes another one of them, functions being what counts."""
    known = Identities()
    for number, program in enumerate(programs):
        known.add(layer_of(program), number)
    return [_moves(space, program, known, number) for number, program in enumerate(programs)]


def _moves(space: Space, program: Program, known: Identities, own: int) -> list[Move]:
    shares: dict[tuple[str, int, tuple[str, ...], str | None, int], float] = defaultdict(float)
    targets: dict[Node, int | None] = {}
    surroundings = Surroundings(space, program.root)
    for kind in KINDS.values():
        sites = kind.sites(surroundings)
        for site in sites:
            ops = list(kind.ops(surroundings, site))
            legal = tuple(op for op in ops if op is not None)
            for op in ops:
                results = list(_results(surroundings, kind, site, op))
                for result in results:
                    if result not in targets:
                        fits = space.illegal(result) is None
                        targets[result] = known.find(layer_of(Program(result))) if fits else None
                    target = targets[result]
                    if target is not None and target != own:
                        share = 1 / (len(KINDS) * len(sites) * len(results))
                        shares[kind.name, site.position, legal, op, target] += share
    return [Move(*where, share) for where, share in shares.items()]


def _results(surroundings: Surroundings, kind: Kind, site: Site, op: str | None) -> Iterator[Node]:
    """The roots that come of an edit at a site with that operation, one per way to fill it."""
    target = surroundings.root if site.target is None else site.target
    for choice in kind.choices(surroundings, site, op):
        for result in choice.results():
            yield substitute(surroundings.root, {target: result})


def components(moves: list[list[Move]]) -> int:
    """Into how many parts the programs fall that no edits connect, whichever way."""
    group = list(range(len(moves)))

    def top(number: int) -> int:
        while group[number] != number:
            number = group[number]
        return number

    for number, own in enumerate(moves):
        for move in own:
            group[top(number)] = top(move.target)
    return len({top(number) for number in group})
