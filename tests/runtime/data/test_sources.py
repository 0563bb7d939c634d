"""Where text comes from, what is kept of it, and each fault one message."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from real_text import MANUAL, is_share
from transformers import PreTrainedTokenizerFast

from autobertc.runtime.data import corpus as corpora
from autobertc.runtime.data import reading
from autobertc.runtime.data.corpus import Corpus, load_corpus
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.data.sentences import split_lines, split_sentences
from autobertc.runtime.data.sources import TextSource

TEXTS = ["One sentence here. And another one!", "Café “déjà vu” by Dr. Smith.\nIt goes on.", "Third, a short one."]
Load = Callable[..., Corpus]


@pytest.fixture
def load(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Load:
    def function(*names: str | TextSource, **settings: Any) -> Corpus:
        sources = [TextSource.parse(name) if isinstance(name, str) else name for name in names]
        return load_corpus(sources, tokenizer, cache=tmp_path / "cache", **settings)

    return function


def sentences(corpus: Corpus, tokenizer: PreTrainedTokenizerFast) -> list[list[str]]:
    found = []
    for document in corpus.documents:
        first, end = corpus.document_starts[document : document + 2]
        edges = corpus.sentence_starts[first : end + 1]
        found.append([tokenizer.decode(corpus.tokens(a, b)) for a, b in pairwise(edges)])
    return found


EXPECTED = [
    ["one sentence here.", "and another one!"],
    ["cafe “ deja vu ” by dr. smith.", "it goes on."],
    ["third, a short one."],
]


def write(folder: Path, kind: str) -> str:
    """The texts in a file of a kind; the name of the source."""
    folder.mkdir(exist_ok=True)
    path = folder / f"data.{kind}"
    table = datasets.Dataset.from_dict({"text": TEXTS, "number": [1, 2, 3]})
    if kind == "txt":
        path.write_text("\n\n".join(TEXTS) + "\n", encoding="utf-8")
    elif kind == "json":
        path.write_text(json.dumps([{"text": text} for text in TEXTS]), encoding="utf-8")
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    elif kind == "saved":
        table.save_to_disk(str(path))
    elif kind == "hub":
        return "someone/texts:part"
    else:
        {"csv": table.to_csv, "parquet": table.to_parquet}[kind](str(path))
    return str(path)


@pytest.mark.parametrize("kind", ["txt", "json", "jsonl", "csv", "parquet", "saved", "hub"])
def test_every_kind(
    kind: str, load: Load, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hub(name: str, config: str, split: str, **_: Any) -> datasets.Dataset:
        assert (name, config, split) == ("someone/texts", "part", "train")
        return datasets.Dataset.from_dict({"text": TEXTS})

    if kind == "hub":
        monkeypatch.setattr(reading, "load_dataset", hub)
    corpus = load(write(tmp_path / "files", kind))
    assert sentences(corpus, tokenizer) == EXPECTED
    assert corpus.num_tokens == sum(len(tokenizer.tokenize(s)) for text in TEXTS for s in split_sentences(text))


def test_documents_of_text_files(load: Load, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "b.txt").write_bytes(b"\xef\xbb\xbfOne. Two.\r\nGoes on.\r\n\r\nThree.\r\n")
    (folder / "a.txt").write_text("Zero.", encoding="utf-8")
    whole = sentences(load(TextSource(str(folder), documents="file")), tokenizer)
    assert whole == [["zero."], ["one.", "two.", "goes on.", "three."]]
    parts = sentences(load(TextSource(str(folder))), tokenizer)
    assert parts == [["zero."], ["one.", "two.", "goes on."], ["three."]]
    lines = sentences(load(TextSource(str(folder), sentences="line")), tokenizer)
    assert lines == [["zero."], ["one. two.", "goes on."], ["three."]]
    each = sentences(load(TextSource(str(folder), documents="line")), tokenizer)
    assert each == [["zero."], ["one.", "two."], ["goes on."], ["three."]]


def test_tokenised_once(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By content: a copy elsewhere is known, a changed file is not, whatever its time and size."""
    path = Path(write(tmp_path / "files", "txt"))
    first = load(str(path))
    runs = []
    tokenise = corpora._tokenise
    monkeypatch.setattr(corpora, "_tokenise", lambda *given: (runs.append(given), tokenise(*given)))
    copy = tmp_path / "copy.txt"
    copy.write_bytes(path.read_bytes())
    assert load(str(copy)).key == load(str(path)).key == first.key and not runs
    copy.write_bytes(path.read_bytes().replace(b"Third", b"Fifth"))
    assert load(str(copy)).key != first.key and len(runs) == 1
    load(TextSource(str(path), sentences="line"))
    assert len(runs) == 2


def test_the_same_whatever_the_processes(load: Load, corpus: Corpus, tmp_path: Path) -> None:
    """And the arrays are memory-mapped, their documents whole."""
    other = load("default:manual", workers=2)
    assert other.key == corpus.key and other.num_tokens == corpus.num_tokens
    assert (other.sentence_starts == corpus.sentence_starts).all()
    assert (other.document_starts == corpus.document_starts).all()
    assert np.concatenate(other.chunks).tolist() == np.concatenate(corpus.chunks).tolist()
    assert not any(chunk.flags.owndata for chunk in other.chunks)


def test_real_text_is_all_there(corpus: Corpus, tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(corpus.documents) == len(MANUAL)
    for document in range(0, len(MANUAL), 7):
        text = "\n\n".join(part for part in MANUAL[document].split("\n\n") if ">>>" not in part)
        first, end = corpus.sentence_starts[corpus.document_starts[document : document + 2]]
        ids = tokenizer(" ".join(split_sentences(text)), add_special_tokens=False, truncation=False)["input_ids"]
        assert corpus.tokens(first, end).tolist() == ids


def test_mixed_by_weight(load: Load, corpus: Corpus, tmp_path: Path) -> None:
    path = write(tmp_path / "files", "txt")
    mixed = load(f"3*{path}", "default:manual", seed=1)
    of_first = mixed.documents < 3
    assert set(mixed.documents[of_first]) == {0, 1, 2} and set(mixed.documents[~of_first] - 3) == set(corpus.documents)
    assert is_share(of_first.sum(), len(of_first), 0.75)
    assert (load(f"3*{path}", "default:manual", seed=1).documents == mixed.documents).all()
    other = load(f"3*{path}", "default:manual", seed=2)
    assert other.documents.tolist() != mixed.documents.tolist() and other.key != mixed.key
    plain = load(path, "default:manual")
    assert plain.documents.tolist() == list(range(3 + len(corpus.documents)))


def test_held_out(corpus: Corpus) -> None:
    train, held = corpus.split(0.2, seed=3)
    assert len(held.documents) == round(0.2 * len(corpus.documents))
    assert sorted([*train.documents, *held.documents]) == corpus.documents.tolist()
    assert train.num_tokens + held.num_tokens == corpus.num_tokens
    assert len({corpus.key, train.key, held.key, corpus.split(0.2, seed=4)[1].key}) == 4
    with pytest.raises(DataError, match="too few to hold some out"):
        corpus.select(np.arange(3)).split(0.5, seed=0)


# ---------------------------------------------------------------- faults


def fault(load: Load, *names: str | TextSource) -> str:
    with pytest.raises(DataError) as caught:
        load(*names)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_empty(load: Load, tmp_path: Path) -> None:
    for kind in ("txt", "json", "csv", "parquet"):
        path = tmp_path / f"a.{kind}"
        path.write_bytes(b"")
        assert fault(load, str(path)) == f"{path} is empty"
    path = tmp_path / "a.txt"
    path.write_bytes(b"\n \n")
    assert "nothing but white space" in fault(load, str(path))
    pyarrow.parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), tmp_path / "a.parquet")
    assert "a Parquet file of no rows" in fault(load, str(tmp_path / "a.parquet"))
    (tmp_path / "b.jsonl").write_text('{"text": " "}\n', encoding="utf-8")
    assert "holds no words" in fault(load, str(tmp_path / "b.jsonl"))
    (tmp_path / "none").mkdir()
    assert "holds no data files" in fault(load, str(tmp_path / "none"))
    assert "there is no file or folder" in fault(load, str(tmp_path / "missing.txt"))


@pytest.mark.parametrize("padding", [0, 2**20 - 7, 2**20 - 6, 2**20])
def test_mixed_encodings(load: Load, tmp_path: Path, padding: int) -> None:
    """The place is right at a chunk's edge too."""
    path = tmp_path / "mixed.txt"
    good = b"x" * padding + "caf\u00e9\n\n".encode()
    path.write_bytes(good + "caf\u00e9".encode("latin-1") + b" x")
    message = fault(load, str(path))
    assert f"not UTF-8: a bad byte in line 3, byte {len(good) + 3};" in message and "iconv" in message
    path.write_bytes("abc".encode("utf-16"))
    assert "not UTF-8: a bad byte in line 1, byte 0" in fault(load, str(path))
    path.write_bytes("abc".encode("utf-16-le"))
    assert "NUL byte" in fault(load, str(path))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated_parquet(load: Load, tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": MANUAL}), path)
    data = path.read_bytes()
    path.write_bytes(data[: max(3, int(share * len(data)))])
    assert f"{path} is not a whole Parquet file" in fault(load, str(path))


def test_missing_and_wrong_columns(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,txet,note\n1,Hello there.,\n2,Goodbye.,\n", encoding="utf-8")
    message = fault(load, str(path))
    assert message == f"{path} has no column 'text', only 'id', 'txet', 'note'; did you mean 'txet'?"
    assert "column 'id'" in fault(load, TextSource(str(path), column="id")) and "not text" in fault(
        load, TextSource(str(path), column="id")
    )
    assert len(load(TextSource(str(path), column="txet")).documents) == 2


def test_broken_files(load: Load, tmp_path: Path) -> None:
    broken = {"a.json": '{"text": "x"', "a.jsonl": '{"text": "x"}\n{"te', "a.csv": "text,b\nx,1\nx,2,3\n"}
    for name, data in broken.items():
        (tmp_path / name).write_text(data, encoding="utf-8")
        assert f"cannot read {tmp_path / name}: " in fault(load, str(tmp_path / name))
    (tmp_path / "a.doc").write_text("text", encoding="utf-8")
    assert "must end in one of .txt" in fault(load, str(tmp_path / "a.doc"))
    assert "several kinds (.csv, .json, .jsonl)" in fault(load, str(tmp_path))
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("{}", encoding="utf-8")
    assert "cannot read the saved data set" in fault(load, str(tmp_path / "saved"))


def test_the_hub_out_of_reach(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr(reading, "load_dataset", fail)
    message = fault(load, "someone/texts:part")
    assert message.startswith("cannot load someone/texts:part from the Hugging Face Hub: no network;")


def test_too_few_documents(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("One long\ndocument. Of two sentences.", encoding="utf-8")
    assert "a blank line ends a document" in fault(load, str(path))


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TextSource.parse("0.7*wikimedia/wikipedia:20231101.en") == TextSource(
        "wikimedia/wikipedia", "20231101.en", weight=0.7
    )
    monkeypatch.chdir(tmp_path)
    Path("2*a:b.txt").write_text("x", encoding="utf-8")
    assert TextSource.parse("2*a:b.txt") == TextSource("2*a:b.txt")
    for text, message in (
        ("0*a.txt", "must be above 0"),
        ("", "has no name"),
        ("default:manuel", "did you mean `manual`"),
    ):
        with pytest.raises(DataError, match=message):
            TextSource.parse(text)
    with pytest.raises(DataError, match="did you mean `paragraph`"):
        TextSource("a.txt", documents="paragraphs")  # type: ignore[arg-type]


# ---------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    "expected",
    [
        ["One.", "Two!", "Is it three?", "Four…", "Five."],
        ["Mr. Smith met Dr. J. R. Jones of the U.S. Army at 5 p.m. on St. James's street.", "He left."],
        ['He said "Stop!" loudly.', '"Go on."', "(They went.)", "“All of them.”", "Then nothing."],
        ["See e.g. Fig. 3 and No. 5, vol. 2 of it, i.e. the last.", "He said no.", "Then he paid 3.50 dollars."],
        ["So do I.", "You, too?!", "1990 was long ago."],
        ["Call sys.exit() or os.path.join.", "It ends.", "version 3.11 is out."],
        ["これは文です。", "次の文です！", "End."],  # noqa: RUF001
    ],
)
def test_sentences(expected: list[str]) -> None:
    text = " ".join(expected)
    if expected[-1].startswith("version"):
        expected = [*expected[:-2], " ".join(expected[-2:])]  # no capital begins it
    assert split_sentences(text) == expected
    assert split_sentences(text.replace(" ", "\n  ")) == expected


def test_paragraphs_end_sentences() -> None:
    text = "A title\n\nSome text\ngoes on\n \t\n- an item\r\n"
    assert split_sentences(text) == ["A title", "Some text goes on", "- an item"]
    assert split_lines("One. Two.\r\n\n  three \n") == ["One. Two.", "three"]
    assert split_sentences(" \n") == split_lines("") == []


def test_nothing_is_lost_of_real_text() -> None:
    for text in MANUAL:
        found = split_sentences(text)
        assert " ".join(found).split() == text.split() and all(found)
        assert all(sentence == " ".join(sentence.split()) for sentence in found)
