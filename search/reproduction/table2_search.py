"""Table 2's starred row: the winner of a search, pre-trained from the super-net's weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from autobertc.dsl import parse
from autobertc.dsl.architecture import Architecture, print_architecture
from autobertc.runtime.data.cache import digest
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.reproduction import reasons, tasks
from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.runtime.reproduction.paper import TABLE2, TABLE2_STARRED
from autobertc.runtime.reproduction.runs import scored
from autobertc.runtime.training.initial_weights import InitialWeights
from autobertc.runtime.training.preparation import Pretraining
from autobertc.runtime.training.pretraining import pretrain
from autobertc.runtime.training.recipes import recipe
from autobertc.search.biws.candidates import first_weights
from autobertc.search.evaluation.named import named
from autobertc.search.reproduction._searched import differences, searched
from autobertc.search.study.assembly import open_run
from autobertc.search.study.stages import winner


def trained(
    context: Context, architecture: Architecture, initial: InitialWeights | None
) -> tuple[Path, dict[str, Any]]:
    """The folder and the metrics of a pre-trained model. An interrupted run is gone on with."""
    numbers = recipe("small", {**context.scale.pretraining, "length": min(128, architecture.sizes.max_length)})
    text = print_architecture(architecture)
    start = None if initial is None else initial.digest
    key = digest(text, numbers.to_dict(), context.sources, context.scale.held_out, context.seed, start)[:10]
    run = Pretraining(
        architecture=architecture,
        source=text,
        recipe=numbers,
        sources=tuple(TextSource.parse(source) for source in context.sources),
        held_out=context.scale.held_out,
        seed=context.seed,
        initial=initial,
    )
    folder = context.runs / f"{architecture.name}-{key}"
    return folder, pretrain(run, folder, resume=True, say=context.say)


def make(context: Context) -> Section:
    """The winner from the super-net and from scratch, and BERT of its size."""
    run, configuration = searched(context)
    best = winner(open_run(run)[0])
    assert best is not None  # the last stage has one, or the search has failed
    architecture = replace(parse(best.genome), name="winner")
    bert = named("bert", configuration.space.layers).architecture(configuration.model.sizes, "bert")
    found, glue = tasks.glue_tasks(context)
    rows, metrics = [], {}
    papers = (TABLE2_STARRED, TABLE2[-1], TABLE2[0])
    models = (
        ("the winner, from the super-net", architecture, first_weights(run)),
        ("the winner, from scratch", architecture, None),
        ("BERT of its size, from scratch", bert, None),
    )
    for paper, (title, each, initial) in zip(papers, models, strict=True):
        context.say(f"pre-training {title}")
        folder, metrics[title] = trained(context, each, initial)
        scores = scored(context, folder, found, glue)
        loss = metrics[title].get("held_out_mlm_loss", metrics[title]["mlm_loss"])
        cells = (f"{value:.1f}" for value in scores.columns.values())
        rows.append((title, f"{paper.title}: {paper.average}", f"{loss:.3f}", *cells, f"{scores.average:.1f}"))
    plateau = reasons.on_plateau(metrics)
    findings = [
        f"Its mean is {float(rows[0][-1]) - float(rows[1][-1]):+.1f} from the super-net's weights; the paper's, +1.4."
    ]
    if plateau:
        findings = [f"Nothing is stated: {', '.join(plateau)} know no more than how frequent words are."]
    return Section(
        done=("The winner of a search, pre-trained for as many steps with the super-net's weights as without.",),
        tables=(
            Table(
                "GLUE, development set" if glue else "Stand-in tasks, validation split",
                ("model", "GLUE: paper", "loss of masked words", *scores.columns, "mean: ours"),
                tuple(rows),
            ),
        ),
        findings=tuple(findings),
        reasons=(*differences(configuration), *reasons.of_tasks(context, glue)),
    )


ENTRIES = (Entry("table2-search", "Table 2's row that starts from the super-net", make, order=2),)
