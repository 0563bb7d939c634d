"""Figure 8: scores in the search beside scores after full training."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from autobertc.runtime.analysis.agreement import agreement, draw_agreement, mean_tau
from autobertc.runtime.analysis.figures import save
from autobertc.runtime.files import write_text
from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.search.configuration import Configuration
from autobertc.search.evaluation.candidate import evaluate
from autobertc.search.evaluation.job import CandidateJob
from autobertc.search.randomness import generator, seed_of
from autobertc.search.reproduction._searched import differences, searched
from autobertc.search.study.assembly import open_run
from autobertc.search.study.records import Trial

CHOSEN = 12
"""Candidates; the paper has six, of which tau is one of few numbers."""


def fully_trained(trial: Trial, run: Path, configuration: Configuration) -> dict[str, float]:
    """A candidate's scores after training from scratch, as long as in the last stage; kept beside the run."""
    kept = run / "from-scratch" / f"{trial.number}.json"
    if kept.is_file():
        found: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    settings = configuration.evaluation
    settings = settings.changed(steps=configuration.last_stage.steps or settings.steps, hurdles=False)
    seed = seed_of(configuration.study.seed, trial.number, "from scratch") % 2**63
    job = CandidateJob(trial.number, -1, 0, trial.genome, seed, purpose="final", settings=settings.to_dict())
    result = evaluate(job)
    found = {"score": result.values[0], **result.scores} if result.state == "complete" else {}
    kept.parent.mkdir(exist_ok=True)
    write_text(kept, json.dumps(found) + "\n")
    return found


def make(context: Context) -> Section:
    """Candidates of the search, drawn at random, trained in full."""
    run, configuration = searched(context)
    complete = [trial for trial in open_run(run)[0].trials() if trial.state == "complete" and trial.result]
    rng = generator(context.seed, "figure8")
    drawn = rng.choice(len(complete), min(CHOSEN, len(complete)), replace=False)
    chosen = [complete[int(index)] for index in sorted(drawn)]
    early, late = {}, {}
    for trial in chosen:
        assert trial.result is not None
        name = str(trial.number)
        early[name] = {"score": trial.values[0], **asdict(trial.result)["scores"]}
        context.say(f"training candidate {name} from scratch")
        late[name] = fully_trained(trial, run, configuration)
    found = agreement(early, {name: scores for name, scores in late.items() if scores})
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
