"""A cache of the tests' own, and models to look into."""

from __future__ import annotations

from collections.abc import Iterator

import datasets
import pytest
import torch
from training_runs import silent, tiny_run
from transformers import BertConfig, BertModel

from autobertc.runtime.tokenizer import save_tokenizer
from autobertc.runtime.training.models import check_model
from autobertc.runtime.training.pretraining import pretrain


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    datasets.disable_progress_bars()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOBERTC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
    datasets.enable_progress_bars()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A convolution and an attention layer."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    pretrain(tiny_run(changes={"steps": 2}, held_out=0.0), folder, say=silent)
    return str(folder)


@pytest.fixture(scope="session")
def bert(model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A BERT of the library's, of two layers."""
    folder = tmp_path_factory.mktemp("bert") / "bert"
    tokenizer = check_model(model)[1]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    return str(folder)
