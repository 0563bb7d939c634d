"""The super-net that a table's scores with inherited weights start from: trained on random genomes of the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autobertc.search.biws.rounds import Trained, finish_round, start_supernet
from autobertc.search.biws.supernet import Sharing
from autobertc.search.evaluation.job import CandidateJob
from autobertc.search.evaluation.settings import EvaluationSettings
from autobertc.search.randomness import generator, seed_of
from autobertc.search.study.workers import WorkerSettings
from autobertc.search.tabular.making import load, make_header, one_thread
from autobertc.search.tabular.recipe import Recipe, TableError
from autobertc.search.tabular.table import genomes

ROUNDS = 60
"""Of the standard recipe's super-net: after 20 it has learnt next to nothing, and scores with its weights tell nothing;
after 60 they tell the best genomes from others."""


def train_supernet(
    recipe: Recipe,
    folder: Path,
    rounds: int = ROUNDS,
    children: int = 5,
    evaluate: str = WorkerSettings.evaluate,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """A snapshot after so many rounds of random genomes, each trained as the recipe's `shared` says and written back as
    a search does it. The files of the rounds are left in the folder.

    Raises `TableError` where the recipe has no `shared`.
    """
    if recipe.shared is None:
        raise TableError("the recipe has no `shared`: there is nothing to train a super-net for")
    values = {**recipe.evaluation, **recipe.shared}
    settings = EvaluationSettings.from_dict(values)
    header = make_header(recipe)
    everything = [layers for _, layers in genomes(header)]
    sizes, layers = recipe.read_sizes(), recipe.read_space().layers
    snapshot = start_supernet(folder, sizes, layers, settings.head, Sharing(), seed_of(recipe.seed, "supernet") % 2**31)
    function = load(evaluate)
    for round in range(rounds):
        rng = generator(recipe.seed, round, "supernet")
        trained = []
        for slot, chosen in enumerate(rng.choice(len(everything), min(children, len(everything)), replace=False)):
            text = header.genome(everything[int(chosen)]).text(sizes)
            output = folder / f"child-{slot}.safetensors"
            seed = seed_of(recipe.seed, round, slot, "supernet") % 2**31
            number = round * children + slot
            job = CandidateJob(number, round, slot, text, seed, "candidate", str(snapshot), str(output), (), values)
            with one_thread():
                result = function(job)
            if result.state == "complete" and result.tensors:
                trained.append(Trained(number, result.values[0], Path(result.tensors)))
        snapshot, _ = finish_round(folder, snapshot, trained)
        for each in trained:
            each.path.unlink()
        if progress:
            progress(round + 1, rounds)
    return snapshot
