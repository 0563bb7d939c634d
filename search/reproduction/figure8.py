"""Figure 8: scores in the search beside scores after full training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from autobertc.dsl.errors import UserError
from autobertc.runtime.analysis.agreement import agreement, draw_agreement, mean_tau
from autobertc.runtime.analysis.figures import save
from autobertc.runtime.files import write_text
from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.search.configuration import Configuration
from autobertc.search.evaluation.job import CandidateJob
from autobertc.search.randomness import generator, seed_of
from autobertc.search.reproduction._searched import differences, searched
from autobertc.search.study.assembly import open_run, worker_settings
from autobertc.search.study.records import Trial
from autobertc.search.study.workers import Answer, Task, make_workers

CHOSEN = 12
"""Candidates; the paper has six, of which tau is one of few numbers."""


def fully_trained(
    trials: Sequence[Trial], run: Path, configuration: Configuration, say: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """Candidates' scores after training from scratch, as long as in the last stage, by number; without those that
    failed. Kept beside the run as they end. Raises `UserError` where the machine is in trouble."""
    folder = run / "from-scratch"
    places = {str(trial.number): folder / f"{trial.number}.json" for trial in trials}
    tasks = [_task(trial, configuration) for trial in trials if not places[str(trial.number)].is_file()]
    if tasks:
        folder.mkdir(exist_ok=True)
        say(f"training {len(tasks)} candidates from scratch")
        for answer in _answers(tasks, configuration):
            result = answer.result
            found = {"score": result.values[0], **result.scores} if result.state == "complete" else {}
            write_text(places[answer.key], json.dumps(found) + "\n")
            say(f"candidate {answer.key} is trained")
    kept = {key: json.loads(place.read_text(encoding="utf-8")) for key, place in places.items()}
    return {key: scores for key, scores in kept.items() if scores}


def _task(trial: Trial, configuration: Configuration) -> Task:
    settings = configuration.evaluation
    settings = settings.changed(steps=configuration.last_stage.steps or settings.steps, hurdles=False)
    seed = seed_of(configuration.study.seed, trial.number, "from scratch") % 2**63
    job = CandidateJob(trial.number, -1, 0, trial.genome, seed, purpose="final", settings=settings.to_dict())
    return Task(str(trial.number), job)


def _answers(tasks: Sequence[Task], configuration: Configuration) -> Iterator[Answer]:
    """From the search's kind of workers, as they come."""
    workers = make_workers(worker_settings(configuration))
    workers.start()
    try:
        for task in tasks:
            workers.submit(task)
        left = len(tasks)
        while left:
            for answer in workers.wait():
                if answer.trouble:
                    raise UserError(f"the training stops: {answer.trouble}. The same command goes on")
                left -= 1
                yield answer
    finally:
        workers.close()


def make(context: Context) -> Section:
    """Candidates of the search, drawn at random, trained in full."""
    run, configuration = searched(context)
    storage, _ = open_run(run)
    complete = [trial for trial in storage.trials() if trial.state == "complete"]
    rng = generator(context.seed, "figure8")
    drawn = rng.choice(len(complete), min(CHOSEN, len(complete)), replace=False)
    chosen = [complete[int(index)] for index in sorted(drawn)]
    early = {str(trial.number): {"score": trial.values[0], **storage.relative_scores(trial)} for trial in chosen}
    found = agreement(early, fully_trained(chosen, run, configuration, context.say))
    figure, _ = save(draw_agreement(found, ("in the search", "trained in full")), context.figures, "agreement")
    rows = tuple((each.task, *("undefined" if x is None else f"{x:.2f}" for x in (each.tau, each.p))) for each in found)
    mean = mean_tau(found)
    return Section(
        done=(
            f"{len(chosen)} candidates of a search, drawn at random, trained from scratch for "
            f"{configuration.last_stage.steps or configuration.evaluation.steps:,} steps in the place of "
            f"{configuration.evaluation.steps:,} from inherited weights.",
        ),
        tables=(Table("Kendall's tau, ours", ("task", "tau", "p"), rows),),
        figures=(figure,),
        findings=(f"The mean of tau over tasks is {'undefined' if mean is None else f'{mean:.2f}'}.",),
        reasons=("The paper gives the scatters of six candidates as a figure.", *differences(configuration)),
    )


ENTRIES = (Entry("figure8", "scores in the search beside scores after full training", make, order=18),)
