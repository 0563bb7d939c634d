"""Comparisons: what intervals and conclusions are, and runs that are kept, resumed, scored and told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import autobertc, tree
from scipy import stats
from tiny import architecture, keep_code_away
from training_runs import HEADER, LAYERS, Interrupted, interrupt, silent, tiny_run

from autobertc.dsl.architecture import print_architecture
from autobertc.dsl.errors import UserError
from autobertc.runtime.comparison import runs as comparison_runs
from autobertc.runtime.comparison.compare import compare
from autobertc.runtime.comparison.report import conclusions, rows
from autobertc.runtime.comparison.runs import choose
from autobertc.runtime.comparison.settings import Comparison, contestants
from autobertc.runtime.comparison.statistics import axes, interval, leaving_step, loss_at
from autobertc.runtime.comparison.summary import summarise
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.training.finetuning import Finetuning
from autobertc.runtime.training.recipes import NotFinite, recipe

BACKBONES = {"tiny": LAYERS, "conv": "conv: 3\nconv: 5\n"}


def comparison(**changes: Any) -> Comparison:
    found = []
    for name, layers in BACKBONES.items():
        backbone = replace(architecture(layers, HEADER), name=name)
        found.append((name, backbone, print_architecture(backbone)))
    return Comparison(
        contestants=contestants(found),
        recipe=recipe("modern", {"steps": 4, "batch": 4, "length": 16, "precision": "float32"}),
        **{
            "learning_rates": (1e-3, 1e-2),
            "seeds": (0, 1),
            "sources": (TextSource.parse("default:manual"),),
            "log_every": 2,
            "save_every": 2,
            "held_out": 0.02,
            **changes,
        },
    )


# Statistics


def test_student_s_interval() -> None:
    values = [1.0, 2.0, 4.0]
    found = interval(values)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (found["low"], found["high"]) == pytest.approx((low, high)) and found["mean"] == pytest.approx(7 / 3)
    assert interval([1.0]) == {"mean": 1.0, "low": None, "high": None, "values": [1.0]}


def _curve(losses: list[float]) -> list[dict[str, float]]:
    return [
        {"step": 10 * (n + 1), "mlm_loss": loss, "sequences": 8, "seconds": 2.0, "tokens_per_second": 5.0}
        for n, loss in enumerate(losses)
    ]


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([7, 6, 6, 6], None),
        ([7, 6, 5.6, 5], 30),
        ([7, 5.6, 6, 5], 40),  # it went back
        ([5, 5, 5, 5.8], None),  # and so did this
        ([5, 4, 3, 2], 10),
    ],
)
def test_where_the_plateau_is_left(losses: list[float], step: int | None) -> None:
    assert leaving_step(_curve(losses), 6.0) == step


def test_losses_at_equal_flops() -> None:
    cheap, dear = axes(_curve([4, 3, 2, 1]), 100.0), axes(_curve([4, 3, 2, 1]), 200.0)
    assert cheap["flops"].tolist() == [25, 50, 75, 100] and cheap["seconds"].tolist() == [2, 4, 6, 8]
    assert loss_at(cheap, "flops", 100) == 1 and loss_at(dear, "flops", 100) == 3 and loss_at(dear, "flops", 125) == 2.5


# Conclusions


def _records(name: str, held_out: list[float], losses: list[float], **changes: Any) -> list[dict[str, Any]]:
    metrics = {
        "held_out_mlm_accuracy": 0.1,
        "training_flops": 100.0,
        "unigram_entropy": 6.0,
        "held_out_unigram_loss": 6.1,
        "steps": 40,
    }
    return [
        {
            "genome": name,
            "learning_rate": 1e-3,
            "seed": seed,
            "state": "complete",
            "metrics": {**metrics, "held_out_mlm_loss": loss},
            "curves": _curve(losses),
            "tasks": {},
            **changes,
        }
        for seed, loss in enumerate(held_out)
    ]


def _conclusion(first: list[dict[str, Any]], other: list[dict[str, Any]]) -> str:
    found = summarise({"a": 1e-3, "b": 1e-3}, {"a": first, "b": other})
    return str(found["pairs"][0]["conclusion"])


def test_differences_are_taken_seed_by_seed() -> None:
    down = [5.0, 4.0, 3.0, 2.0]
    # Seeds differ by far more than the two: only in pairs can they be told apart.
    first, other = _records("a", [2.0, 3.0, 4.0], down), _records("b", [1.9, 2.91, 3.89], down)
    assert _conclusion(first, other).startswith("b is better: b -0.1000 nats, 95% interval -0.12")
    assert _conclusion(other, first).startswith("a is better: b +0.1000")
    assert _conclusion(first, _records("b", [1.9, 3.1, 4.1], down)).startswith("not told apart")
    assert _conclusion(first[:1], other[:1]).startswith("not ranked: one seed has no interval")


def test_nothing_is_ranked_on_the_plateau() -> None:
    first = _records("a", [6.0, 6.0, 6.0], [7.0, 6.0, 6.0, 6.0])
    other = _records("b", [2.0, 2.1, 2.2], [5.0, 4.0, 3.0, 2.0])
    said = _conclusion(first, other)
    assert said.startswith("not ranked: a is on the unigram plateau at the end of 3 of 3 runs")
    found = summarise({"a": 1e-3, "b": 1e-3}, {"a": first, "b": other})
    assert not [line for line in conclusions(found) if "better:" in line]
    columns, table = rows(found)
    assert [line[columns.index("left plateau at step")] for line in table] == ["never in 3 of 3", "10"]


def test_a_seed_that_diverged_is_told_and_not_ranked() -> None:
    down = [5.0, 4.0, 3.0, 2.0]
    first, other = _records("a", [2.0, 3.0, 4.0], down), _records("b", [1.9, 2.9, 3.9], down)
    other[1] |= {"state": "diverged", "metrics": {}, "curves": []}
    assert "not ranked: b diverged in 1 of 3 runs" in _conclusion(first, other)


def test_the_learning_rate_is_that_of_the_lowest_mean() -> None:
    grid = [
        {"learning_rate": rate, "metrics": {} if loss is None else {"held_out_mlm_loss": loss}}
        for rate, loss in [(1.0, 3.0), (1.0, 4.0), (2.0, 2.0), (2.0, None), (0.5, 3.6), (0.5, 3.6)]
    ]
    assert choose("a", grid) == 1.0
    with pytest.raises(UserError, match="a diverges at every learning rate"):
        choose("a", [{"learning_rate": 1.0, "metrics": {}}])


def test_names_are_each_its_own() -> None:
    tiny = architecture(LAYERS, HEADER)
    assert [each.name for each in contestants([("x", tiny, ""), ("y", tiny, "")])] == ["x", "y"]
    assert [each.name for each in contestants([("x", tiny, ""), ("x", tiny, "")])] == ["x", "x-2"]
    assert [each.name for each in contestants([("x", tiny, ""), ("y", replace(tiny, name="z"), "")])] == ["tiny", "z"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"held_out": 0.0}, "needs documents that are held out"),
        ({"grid_seeds": 3}, "with 1 to 2 of the seeds, not with 3"),
        ({"learning_rates": (1e-3, 1e-3)}, "each once"),
        ({"learning_rates": (0.0,)}, "learning rate must be above 0"),
        ({"micro_batch": 3}, "tiny: a batch of 4 on a device is not a multiple of 3"),
        ({"contestants": ()}, "two backbones at least"),
        ({"sources": (TextSource.parse("nowhere.txt"),)}, "there is no file"),
    ],
)
def test_faults_before_training(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare(replace(comparison(), **changes), tmp_path / "out", say=silent)
    assert not list(tmp_path.iterdir())


# Runs


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[str]]:
    output, said = tmp_path_factory.mktemp("comparison") / "out", []
    return output, compare(comparison(), output, say=said.append), said


def test_a_folder_with_all_of_it(finished: tuple[Path, dict[str, Any], list[str]]) -> None:
    output, summary, _ = finished
    names = {path.name for path in output.iterdir()}
    assert names == {"comparison.json", "comparison.md", "curves.png", "curves.svg", "tokenizer", "runs"}
    assert json.loads((output / "comparison.json").read_text()) == json.loads(json.dumps(summary))
    assert not [path for path in tree(output) if path.endswith(".safetensors")]
    assert len(list(output.glob("runs/*/*/run.json"))) == 2 * (2 + 1)
    text = (output / "comparison.md").read_text()
    for part in ("tiny", "conv", "not ranked", "at equal FLOPs", "unigram", "curves.svg"):
        assert part in text
    for found in summary["contestants"].values():
        assert found["learning_rate"] in (1e-3, 1e-2) and found["seeds"] == [0, 1] and found["edge"]
        assert len(found["curve"]["loss"]) == 2 and len(found["measures"]["held_out_loss"]["values"]) == 2
    assert min(found["training_flops"] for found in summary["contestants"].values()) == summary["flops_budget"]


def test_runs_are_those_of_pretrain(finished: tuple[Path, dict[str, Any], list[str]], tmp_path: Path) -> None:
    """The same data, tokenizer and seeds for all: each run is what `pretrain` alone gives."""
    output, summary, _ = finished
    from autobertc.runtime.training.pretraining import pretrain

    made = comparison()
    for contestant in made.contestants:
        rate = summary["contestants"][contestant.name]["learning_rate"]
        alone = pretrain(made.run(contestant, rate, 1, output / "tokenizer"), tmp_path / contestant.name, say=silent)
        record = json.loads((output / "runs" / contestant.name / f"lr-{rate:g}-seed-1" / "run.json").read_text())
        assert record["metrics"] == alone


def test_finished_runs_are_kept_and_more_seeds_may_come(
    finished: tuple[Path, dict[str, Any], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    output, summary, _ = finished
    original, made = comparison_runs.pretrain, []
    monkeypatch.setattr(
        comparison_runs, "pretrain", lambda run, *args, **kw: made.append(run.seed) or original(run, *args, **kw)
    )
    with pytest.raises(UserError, match="the folder is not empty; go on with --resume"):
        compare(comparison(), output, say=silent)
    assert compare(comparison(), output, resume=True, say=silent) == summary and not made
    more = compare(comparison(seeds=(0, 1, 2)), output, resume=True, say=silent)
    assert made == [2, 2] and more["contestants"]["tiny"]["seeds"] == [0, 1, 2]
    with pytest.raises(UserError, match="was made with other settings: held_out"):
        compare(comparison(held_out=0.1), output, resume=True, say=silent)


def test_a_run_that_was_stopped_goes_on(
    finished: tuple[Path, dict[str, Any], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, 3)
        compare(comparison(), tmp_path / "out", say=silent)
    said: list[str] = []
    summary = compare(comparison(), tmp_path / "out", resume=True, say=said.append)
    assert "  resuming after step 2" in said
    for name, found in finished[1]["contestants"].items():
        assert summary["contestants"][name]["measures"] == found["measures"]


def test_a_rate_that_diverges_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = comparison_runs.pretrain

    def pretrain(run: Any, *args: Any, **options: Any) -> Any:
        if run.recipe.learning_rate == 1e-2:
            raise NotFinite("the loss is not a finite number")
        return original(run, *args, **options)

    monkeypatch.setattr(comparison_runs, "pretrain", pretrain)
    summary = compare(comparison(seeds=(0,)), tmp_path / "out", say=silent)
    assert summary["contestants"]["tiny"]["learning_rate"] == 1e-3
    assert summary["contestants"]["tiny"]["grid"][1]["held_out_loss"] == {0: None}
    assert "diverged" in (tmp_path / "out" / "comparison.md").read_text()


def test_tasks_and_models_that_are_kept(tmp_path: Path) -> None:
    keep_code_away()
    genome = tmp_path / "one.abz"
    genome.write_text(HEADER + LAYERS)
    (tmp_path / "two.abz").write_text(HEADER + "conv: 3\n")
    options = "--steps 2 --batch 4 --length 16 --data default:manual --lr 1e-3 --seeds 1 --held-out 0.02"
    tasks = "--task shuffled --task-data default:manual --task-epochs 0.02 --keep-models --json"
    done = autobertc("compare", genome, tmp_path / "two.abz", "-o", tmp_path / "out", *options.split(), *tasks.split())
    summary = json.loads(done.stdout)
    for name in ("one", "two"):
        found = summary["contestants"][name]
        assert found["tasks"] == {"shuffled": "accuracy"} and 0 <= found["measures"]["task shuffled"]["mean"] <= 1
        folder = tmp_path / "out" / "runs" / name / "lr-0.001-seed-0"
        assert {path.name for path in folder.iterdir()} == {"run.json", "model"}
    assert "[1/2] one" in done.stderr
    again = autobertc("compare", genome, tmp_path / "two.abz", "-o", tmp_path / "out", *options.split(), "--resume")
    assert "not ranked" in again.stdout and "shuffled" in again.stdout and "wrote" in again.stdout


def test_a_command_with_one_file(tmp_path: Path) -> None:
    genome = tmp_path / "one.abz"
    genome.write_text(HEADER + LAYERS)
    done = autobertc("compare", genome, "-o", tmp_path / "out", expect=1)
    assert "two backbones at least" in done.stderr and not (tmp_path / "out").exists()
    assert (
        "did you mean `modern`"
        in autobertc("compare", genome, genome, "-o", tmp_path / "out", "--preset", "moden", expect=1).stderr
    )


def test_epochs_become_the_steps_of_all(tmp_path: Path) -> None:
    backbone = tiny_run().architecture
    short = replace(comparison(learning_rates=(1e-3,), seeds=(0,), log_every=1), finetuning=Finetuning())
    short = replace(short, recipe=replace(short.recipe, steps=None, epochs=1, batch=2048), micro_batch=256)
    assert backbone.sizes.max_length == 64
    summary = compare(short, tmp_path / "out", say=silent)
    assert summary["settings"]["recipe"]["steps"] == summary["steps"] > 0
