"""A cache of the tests' own; real text and a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator

import datasets
import pytest
from real_text import manual_tokenizer
from transformers import PreTrainedTokenizerFast


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    datasets.disable_progress_bars()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOBERTC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
    datasets.enable_progress_bars()


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return manual_tokenizer()
