"""A cache of the tests' own, and a scale that is smaller than the smallest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
from training_runs import silent

from autobertc.runtime.reproduction.backbones import Widths
from autobertc.runtime.reproduction.entry import Context
from autobertc.runtime.reproduction.scales import SCALES


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    datasets.disable_progress_bars()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOBERTC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
    datasets.enable_progress_bars()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """The smoke scale with two steps, eight rows and one task."""
    smoke = SCALES["smoke"]
    tiny = Widths(16, 2, 32, 500, 128, 8)
    scale = replace(
        smoke,
        widths=dict.fromkeys(smoke.widths, tiny),
        pretraining={**smoke.pretraining, "steps": 2},
        stand_ins=("shuffled",),
        rows=(8, 8),
        pairs=4,
    )
    figures = tmp_path / "figures"
    figures.mkdir()
    return Context(scale=scale, runs=tmp_path / "runs", figures=figures, say=silent)
