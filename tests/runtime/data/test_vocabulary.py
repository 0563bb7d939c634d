"""A tokenizer of the data's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from real_text import MANUAL

from autobertc.runtime.data import vocabulary
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.data.vocabulary import train_tokenizer
from autobertc.runtime.tokenizer import TokenizerError

SOURCE = TextSource.parse("default:manual")


def test_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    def train(lines: Any, *settings: Any) -> Any:
        runs.append(settings)
        return train_on(lines, *settings)

    train_on = vocabulary.train_on
    monkeypatch.setattr(vocabulary, "train_on", train)
    first = train_tokenizer([SOURCE], 1000, 128, cache=tmp_path)
    again = train_tokenizer([SOURCE], 1000, 64, cache=tmp_path)
    assert len(runs) == 1 and (first.model_max_length, again.model_max_length) == (128, 64)
    assert len(first) == 1000 and first.get_vocab() == again.get_vocab()
    pair = first("The statement returns.", "It does [MASK].")
    assert first.decode(pair["input_ids"]) == "[CLS] the statement returns. [SEP] it does [MASK]. [SEP]"
    assert pair["token_type_ids"][-1] == 1 and first.backend_tokenizer.to_str() == again.backend_tokenizer.to_str()


def test_of_the_data(tmp_path: Path) -> None:
    """Words of the text are whole in it, also of the second source; of the first characters only."""
    path = tmp_path / "text.txt"
    path.write_text("zyzzyva quokka\n\n" * 300, encoding="utf-8")
    sources = [SOURCE, TextSource(str(path))]
    tokenizer = train_tokenizer(sources, 1000, 128, cache=tmp_path)
    assert tokenizer.tokenize("zyzzyva statement quokka") == ["zyzzyva", "statement", "quokka"]
    little = train_tokenizer(sources, 1000, 128, cache=tmp_path, characters=2 * len(MANUAL[0]))
    assert "zyzzyva" in little.get_vocab() and len(little) < 1000
    path.write_text(" \n\n- \n", encoding="utf-8")
    with pytest.raises(TokenizerError, match="no room for words"):
        train_tokenizer([TextSource(str(path))], 5, 128, cache=tmp_path)
