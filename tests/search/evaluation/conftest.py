"""A cache of these tests' own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    datasets.disable_progress_bars()
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("cache")
        patch.setenv("AUTOBERTC_CACHE", str(place))
        yield place
    datasets.enable_progress_bars()
