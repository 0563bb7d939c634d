"""What a search gives of the paper's figures and tables, at the smallest scale; runs that are found again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
from training_runs import silent

from autobertc.runtime.reproduction.entry import Context
from autobertc.runtime.reproduction.scales import SCALES
from autobertc.search.reproduction import _searched, figure6, figure8, gpu_hours, table2_search
from autobertc.search.study.assembly import open_run


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    datasets.disable_progress_bars()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOBERTC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
    datasets.enable_progress_bars()


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """The smoke scale with two steps, eight rows and one task; one search for all tests."""
    place = tmp_path_factory.mktemp("reproduction")
    smoke = SCALES["smoke"]
    scale = replace(smoke, pretraining={**smoke.pretraining, "steps": 2}, stand_ins=("shuffled",), rows=(8, 8))
    (place / "figures").mkdir()
    return Context(scale=scale, runs=place / "runs", figures=place / "figures", say=silent)


@pytest.mark.slow
def test_what_shares_a_search(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = figure8.make(context)
    assert [row[0] for row in agreement.tables[0].rows][:2] == ["score", "mlm_loss"]
    assert (context.figures / "agreement.svg").is_file()
    run, configuration = _searched.searched(context)
    assert len(open_run(run)[0].trials()) == configuration.study.trials == 8

    def forbidden(*_: object) -> None:
        raise AssertionError("evaluated again")

    monkeypatch.setattr(figure8, "make_workers", forbidden)
    assert figure8.make(context) == agreement

    hours = gpu_hours.make(context)
    assert hours.tables[0].rows[0][0] == "this search, with shared weights, measured"
    assert "24,000 V100-hours" in {cell for row in hours.tables[0].rows for cell in row}

    starred = table2_search.make(context)
    titles = [row[0] for row in starred.tables[0].rows]
    assert titles == ["the winner, from the super-net", "the winner, from scratch", "BERT of its size, from scratch"]
    losses = [row[2] for row in starred.tables[0].rows]
    assert losses[0] != losses[1]  # they start elsewhere
    assert starred.findings[0].startswith("Nothing is stated")  # two steps: word frequencies at most


@pytest.mark.slow
def test_strategies_on_a_table(context: Context) -> None:
    section = figure6.make(context)
    assert len(section.tables[0].rows) == 8 and (context.figures / "strategies.png").is_file()
    assert [line.split(" candidates")[0] for line in section.findings] == ["After 10", "After 20"] * 6
    assert list(context.runs.glob("table-*/table.jsonl"))
    assert figure6.make(context) == section


def test_settings_of_every_scale_are_legal(tmp_path: Path) -> None:
    for scale in SCALES.values():
        found = _searched.configuration_of(Context(scale=scale, runs=tmp_path, figures=tmp_path, seed=3))
        assert found.study.seed == 3
        assert figure6.recipe_of(Context(scale=scale, runs=tmp_path, figures=tmp_path)).read_space().layers == 2
