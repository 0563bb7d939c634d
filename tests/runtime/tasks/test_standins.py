"""Stand-ins of real text: labels are right by looking at them, splits have nothing in common, classes are even."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from real_text import MANUAL
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from transformers import PreTrainedTokenizerFast

from autobertc.runtime import tasks
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.data.sentences import split_sentences
from autobertc.runtime.tasks.base import Splits
from autobertc.runtime.tasks.standins import STAND_INS

TEXT = {sentence for text in MANUAL for sentence in split_sentences(text)}
SOURCE = "default:manual"


@pytest.fixture(scope="module")
def loaded() -> dict[str, Splits]:
    return {name: tasks.find(name, SOURCE).load() for name in STAND_INS if name != "corpus-of-origin"}


def texts_of(rows: Dataset) -> set[str]:
    columns = [name for name in rows.column_names if name.startswith("sentence")]
    return {text for column in columns for text in rows[column]}


@pytest.mark.parametrize("name", [name for name in STAND_INS if name != "corpus-of-origin"])
def test_splits_have_no_text_in_common(name: str, loaded: dict[str, Splits]) -> None:
    splits = loaded[name]
    assert list(splits) == ["train", "validation", "test"] and len(splits["train"]) > 3 * len(splits["test"])
    home = {sentence: number for number, text in enumerate(MANUAL) for sentence in split_sentences(text)}
    documents = {split: {home[s] for s in texts_of(rows) & TEXT} for split, rows in splits.items()}
    if name != "missing-word":
        assert all(documents.values())
    for a, b in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not documents[a] & documents[b] and not texts_of(splits[a]) & texts_of(splits[b])


def write(path: Path, texts: list[str]) -> str:
    """Texts in a file, a document a paragraph."""
    path.write_text("\n\n".join(" ".join(text.split()) for text in texts), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", STAND_INS)
def test_the_same_for_a_seed(name: str, tmp_path: Path) -> None:
    data = [SOURCE]
    if name == "corpus-of-origin":
        data = [write(tmp_path / "a.txt", MANUAL[:40]), write(tmp_path / "b.txt", MANUAL[40:])]
    one, same, other = (tasks.find(name, *data, seed=seed).load()["train"] for seed in (1, 1, 2))
    assert one.to_list() == same.to_list() != other.to_list()


@pytest.mark.parametrize("name", ["bigram-shift", "shuffled", "next-sentence"])
def test_classes_are_even(name: str, loaded: dict[str, Splits]) -> None:
    for rows in loaded[name].values():
        counts = Counter(rows["label"])
        assert set(counts) == {0, 1} and abs(counts[0] - counts[1]) <= 1


@pytest.mark.parametrize("name", ["bigram-shift", "shuffled"])
def test_changed_or_intact(name: str, loaded: dict[str, Splits]) -> None:
    words = {tuple(sorted(s.rstrip(".!?:;").split())): s for s in TEXT}
    found = 0
    for row in loaded[name]["train"]:
        sentence = row["sentence"]
        assert (sentence in TEXT) is (row["label"] == 1)
        if row["label"] == 0 and (whole := words.get(tuple(sorted(sentence.rstrip(".!?:;").split())))):
            different = [i for i, (a, b) in enumerate(zip(sentence.split(), whole.split(), strict=True)) if a != b]
            assert len(different) >= 2
            if name == "shuffled":
                assert sentence[-1] == whole[-1] or whole[-1] not in ".!?:;"
            if name == "bigram-shift":
                first, second = different
                assert second == first + 1 and sentence.split()[first] == whole.split()[second]
            found += 1
    assert found > 150


def test_next_sentence(loaded: dict[str, Splits]) -> None:
    home = {s: (n, i) for n, text in enumerate(MANUAL) for i, s in enumerate(split_sentences(text))}
    for row in loaded["next-sentence"]["train"]:
        (a, i), (b, j) = home[row["sentence1"]], home[row["sentence2"]]
        assert (a == b and j == i + 1) if row["label"] == 0 else a != b


def test_same_paragraph(loaded: dict[str, Splits]) -> None:
    place = {
        sentence: (number, p, i)
        for number, text in enumerate(MANUAL)
        for p, paragraph in enumerate(text.split("\n\n"))
        for i, sentence in enumerate(split_sentences(paragraph))
    }
    grades = Counter()
    for row in loaded["same-paragraph"]["train"]:
        a, b = place[row["sentence1"]], place[row["sentence2"]]
        assert (a[0] == b[0]) is (row["label"] >= 1) and (a[:2] == b[:2]) is (row["label"] >= 2)
        grades[row["label"]] += 1
    assert set(grades) == {0, 1, 2, 3} and min(grades.values()) > 10


def test_missing_word(loaded: dict[str, Splits], tokenizer: PreTrainedTokenizerFast) -> None:
    rows = loaded["missing-word"]["train"]
    labels = Counter(rows["label"])
    assert set(labels) == {0, 1, 2, 3} and min(labels.values()) > 0.15 * len(rows)
    for row in rows:
        assert [choice in TEXT for choice in row["choices"]] == [i == row["label"] for i in range(4)]
        words = [choice.split() for choice in row["choices"]]
        assert len({len(found) for found in words}) == 1 and len(set(row["choices"])) == 4
        assert sum(len({found[i] for found in words}) > 1 for i in range(len(words[0]))) == 1
    task = tasks.find("missing-word", SOURCE)
    features = task.encode(rows, tokenizer, 48)
    assert task.head == "multiple-choice" and task.num_labels == 1
    batch = task.collator(tokenizer)([features[i] for i in range(5)])
    assert batch["input_ids"].shape[:2] == (5, 4)
    assert tokenizer.decode(batch["input_ids"][3, 2], skip_special_tokens=True) == tokenizer.decode(
        tokenizer(rows[3]["choices"][2], truncation=True, max_length=48)["input_ids"], skip_special_tokens=True
    )
    assert task.score(rows, features, np.eye(4)[rows["label"]]) == {"accuracy": 1}


def test_corpus_of_origin_of_the_default() -> None:
    """Needs nothing; and can be learnt: bag-of-words naive Bayes is far above half."""
    task = tasks.find("corpus-of-origin")
    splits = task.load()
    assert task.labels == ("default:manual", "default:docstrings")  # type: ignore[attr-defined]
    for rows in splits.values():
        counted = Counter(rows["label"])
        assert counted[0] == counted[1] > 150
        assert all((row["sentence"] in TEXT) is (row["label"] == 0) for row in rows)
    counts = CountVectorizer()
    model = MultinomialNB().fit(counts.fit_transform(splits["train"]["sentence"]), splits["train"]["label"])
    right = model.predict(counts.transform(splits["test"]["sentence"])) == np.array(splits["test"]["label"])
    assert right.mean() > 0.6


def test_of_a_users_text(tmp_path: Path) -> None:
    path = write(tmp_path / "text.txt", MANUAL)
    assert len(tasks.find("shuffled", path).load()["train"]) > 500
    with pytest.raises(DataError, match="needs two sources"):
        tasks.find("corpus-of-origin", path)
    write(tmp_path / "text.txt", ["One sentence of five words here.", "Another sentence of five words."])
    with pytest.raises(DataError, match="documents with usable sentences for the"):
        tasks.find("shuffled", path).load()
