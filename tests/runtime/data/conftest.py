"""Python's reference manual as real text, tokenised once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
from real_text import manual_tokenizer
from transformers import PreTrainedTokenizerFast

from autobertc.runtime.data.corpus import Corpus, load_corpus
from autobertc.runtime.data.sources import TextSource

SOURCE = TextSource.parse("default:manual")


@pytest.fixture(autouse=True, scope="session")
def quiet_bars() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return manual_tokenizer()


@pytest.fixture(scope="session")
def corpus(cache: Path, tokenizer: PreTrainedTokenizerFast) -> Corpus:
    return load_corpus([SOURCE], tokenizer, cache=cache)
