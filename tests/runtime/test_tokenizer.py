"""Tokenizers for compiled models."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import architecture
from transformers import AutoModelForMaskedLM, AutoTokenizer

from autobertc.runtime.emission import emit
from autobertc.runtime.tokenizer import SPECIAL_TOKENS, TokenizerError, make_tokenizer, train

# Ties between words, pairs and characters without end.
TEXT = "\n".join(f"{word} {word[::-1]}{word} café, 東京! naïve" for word in ("abba", "otto", "baobab", "ab-ba") * 3)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_trained_on_a_file(text: Path) -> None:
    tokenizer = make_tokenizer(text, 60, 32)
    assert len(tokenizer) <= 60 and tokenizer.model_max_length == 32
    assert tokenizer.convert_ids_to_tokens(range(5)) == list(SPECIAL_TOKENS)
    assert tokenizer.pad_token_id == 0 and tokenizer.mask_token == "[MASK]"
    assert tokenizer.tokenize("OTTO, café") == ["otto", ",", "cafe"]
    pair = tokenizer("abba", "otto 東", padding="max_length", max_length=9)
    assert tokenizer.decode(pair["input_ids"]) == "[CLS] abba [SEP] otto 東 [SEP]" + 3 * " [PAD]"
    assert pair["token_type_ids"][:6] == [0, 0, 0, 1, 1, 1]
    assert tokenizer("a [MASK] b")["input_ids"].count(4) == 1


def test_trained_on_a_folder(text: Path) -> None:
    other = text.parent / "folder"
    other.mkdir()
    lines = TEXT.splitlines()
    (other / "b.txt").write_text("\n".join(lines[6:]), encoding="utf-8")
    (other / "a.txt").write_text("\n".join(lines[:6]), encoding="utf-8")
    (other / "c.md").write_text("zzz " * 50, encoding="utf-8")
    assert make_tokenizer(other, 60, 32).get_vocab() == make_tokenizer(text, 60, 32).get_vocab()


def test_the_same_in_every_process(text: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from autobertc.runtime.tokenizer import train\n"
        "for size in (12, 30, 60):\n"
        "    print(train([Path(sys.argv[1])], size, 32).backend_tokenizer.to_str())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4"}
    command = [sys.executable, "-c", script, str(text)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment)
    here = [train([text], size, 32).backend_tokenizer.to_str() for size in (12, 30, 60)]
    assert [json.loads(line) for line in done.stdout.splitlines()] == [json.loads(line) for line in here]
    assert done.stdout.splitlines() == here


@pytest.mark.parametrize("size", [6, 7, 10, 20, 40, 10_000])
def test_size(text: Path, size: int) -> None:
    tokenizer = make_tokenizer(text, size, 32)
    vocabulary = tokenizer.get_vocab()
    assert len(vocabulary) <= size and sorted(vocabulary.values()) == list(range(len(vocabulary)))


def test_what_cannot_be(text: Path, tmp_path: Path) -> None:
    def message(path: Path, size: int = 60) -> str:
        with pytest.raises(TokenizerError) as caught:
            make_tokenizer(path, size, 32)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no tokenizer folder or text file" in message(tmp_path / "none")
    assert "no room for words" in message(text, 5)
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n\n", encoding="utf-8")
    assert "no text to train" in message(empty)
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"abc\xff\xfe")
    assert "not UTF-8 at byte 3" in message(binary)
    folder = tmp_path / "nonsense"
    folder.mkdir()
    assert "holds neither" in message(folder)
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    assert "cannot load the tokenizer" in message(folder)


def test_too_many_entries(text: Path, tmp_path: Path) -> None:
    make_tokenizer(text, 60, 32).save_pretrained(tmp_path / "given")
    entries = len(AutoTokenizer.from_pretrained(tmp_path / "given"))
    with pytest.raises(TokenizerError, match=f"set `vocab: {entries}` or more"):
        make_tokenizer(tmp_path / "given", entries - 1, 32)
    assert len(make_tokenizer(tmp_path / "given", entries, 32)) == entries


def test_no_code_of_a_tokenizer_runs(text: Path, tmp_path: Path) -> None:
    """Nor is the user asked whether it may."""
    folder = tmp_path / "given"
    make_tokenizer(text, 60, 32).save_pretrained(folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings |= {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": [None, "evil.Evil"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(TokenizerError, match="cannot load the tokenizer"):
        make_tokenizer(folder, 60, 32)
    assert not (tmp_path / "ran").exists()


def test_padding_is_the_tokenizers(text: Path, tmp_path: Path) -> None:
    given = make_tokenizer(text, 60, 32)
    given.pad_token = "[SEP]"
    given.save_pretrained(tmp_path / "given")
    folder = emit(architecture("bert"), tmp_path / "out", tokenizer=tmp_path / "given")
    model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
    embeddings = model.get_input_embeddings()
    assert model.config.pad_token_id == embeddings.padding_idx == 3
    assert (embeddings.weight[3] == 0).all() and (embeddings.weight[0] != 0).any()
    assert AutoTokenizer.from_pretrained(folder).get_vocab() == given.get_vocab()
