"""SQuAD: answers survive tokenisation and windows, decoding, files, and faults; on questions made of real text."""

from __future__ import annotations

import copy
import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from real_text import MANUAL
from transformers import PreTrainedTokenizerFast

from autobertc.runtime import tasks
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.metrics.squad import normalise
from autobertc.runtime.tasks.squad import SquadTask, read_layout

UNICODE = (
    "Beyoncé Giselle Knowles-Carter (bee-YON-say) (born September 4, 1981) earned $5.2\u00a0million in "
    "Zürich — “the sum” — for 3½ shows; İstanbul paid 4 000 €, 東京 nothing. Naïve coöperation… ﬁnally ended. "
)
Layout = dict[str, Any]


def make_layout(version_2: bool, seed: int) -> Layout:
    """Paragraphs of the manual, short and long; answers are runs of words, with the marks on them or without."""
    rng = random.Random(seed)
    articles, number = [], 0
    texts = [UNICODE + UNICODE.upper(), *(text for text in MANUAL if len(text.split()) > 60)]
    for text in rng.sample(texts[1:], 22) + texts[:1]:
        context = text[:4000]
        questions = []
        for _ in range(6):
            plain = [w for w in dict.fromkeys(context.split()) if w.isalnum() and normalise(w)]
            words = [(context.find(word), context.find(word) + len(word)) for word in plain]
            # Whole words only: a word inside another has no tokens of its own.
            whole = [
                (a, b)
                for a, b in words
                if not context[a - 1 : a].isalnum() and not context[b : b + 1].isalnum() and context[a - 1 : a] != "_"
            ]
            start, stop = rng.choice([span for span in whole if context[span[1] : span[1] + 1] != "_"])
            more = context.find(" ", stop + rng.randrange(1, 30))
            if 0 < more < stop + 40 and "\n" not in context[start:more]:
                stop = more
            spaces = len(context[stop:]) - len(context[stop:].lstrip()) if number % 5 == 0 else 0
            text = context[start:stop].rstrip() + context[stop : stop + spaces]
            assert context[start:].startswith(text)
            question = f"What is question {number} about {' '.join(rng.sample(context.split(), 4))}?"
            qa: Layout = {"id": f"q{number}", "question": question, "answers": [{"text": text, "answer_start": start}]}
            if version_2 and number % 3 == 0:
                qa |= {"is_impossible": True, "answers": [], "plausible_answers": qa["answers"]}
            elif version_2:
                qa["is_impossible"] = False
            questions.append(qa)
            number += 1
        articles.append({"title": f"T{number}", "paragraphs": [{"context": context, "qas": questions}]})
    return {"version": "v2.0" if version_2 else "1.1", "data": articles}


def write_layout(path: Path, layout: Layout) -> str:
    path.write_text(json.dumps(layout), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module", params=[False, True], ids=["squad", "squad_v2"])
def task(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SquadTask:
    folder = tmp_path_factory.mktemp("squad")
    version = "v2.0" if request.param else "v1.1"
    write_layout(folder / f"train-{version}.json", make_layout(request.param, 1))
    write_layout(folder / f"dev-{version}.json", make_layout(request.param, 2))
    found = tasks.find("squad_v2" if request.param else "squad", str(folder))
    assert isinstance(found, SquadTask)
    return found


@pytest.mark.parametrize("length", [384, 128, 48])
def test_answers_survive(task: SquadTask, tokenizer: PreTrainedTokenizerFast, length: int) -> None:
    """The labelled tokens are the answer, to the character, and a window has it wherever one can."""
    rows = task.load()["train"]
    features = task.encode(rows, tokenizer, length, training=True).to_list()
    shown = task.encode(rows, tokenizer, length).to_list()
    assert len(features) == len(shown) > len(rows)
    by_id = {row["id"]: row for row in rows}
    found: dict[str, int] = dict.fromkeys(by_id, 0)
    overlap = min(task.stride, (length - 3 - min(64, (length - 3) // 2)) // 2)
    for feature, place in zip(features, shown, strict=True):
        row = by_id[place["question"]]
        start, end = feature["start_positions"], feature["end_positions"]
        assert feature["input_ids"] == place["input_ids"] and len(feature["input_ids"]) <= length
        assert feature["input_ids"][0] == tokenizer.cls_token_id
        if start == end == 0:
            continue
        first, last = place["offsets"][start][0], place["offsets"][end][1]
        assert row["context"][first:last] == row["answers"]["text"][0].strip()
        assert first == row["answers"]["answer_start"][0]
        found[place["question"]] += 1
    for question, row in by_id.items():
        if not row["answers"]["text"]:
            assert found[question] == 0
        elif len(tokenizer.tokenize(row["answers"]["text"][0])) <= overlap:
            assert found[question] >= 1, row["answers"]
    assert max(found.values()) > 1  # some are in several windows


@pytest.mark.parametrize("length", [384, 128])
def test_windows_overlap_and_cover(task: SquadTask, tokenizer: PreTrainedTokenizerFast, length: int) -> None:
    rows = task.load()["validation"]
    features = task.encode(rows, tokenizer, length).to_list()
    several = 0
    for row in rows:
        windows = [f for f in features if f["question"] == row["id"]]
        places = [[tuple(place) for place in f["offsets"] if place[0] >= 0] for f in windows]
        whole = tokenizer(row["context"], add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        assert sorted({place for window in places for place in window}) == sorted(set(map(tuple, whole)))
        for before, after in pairwise(places):
            shared = min(task.stride, (length - 3 - min(64, (length - 3) // 2)) // 2)
            assert before[-shared:] == after[:shared]
            several += 1
        # Each token is at its best in one window.
        best = [p for f in windows for p, flag in zip(f["offsets"], f["best_context"], strict=True) if flag]
        assert len(best) == len(whole)
    assert several > 100


def oracle(rows: Dataset, features: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model that knows: high at the answer's tokens in every window, or at [CLS] for no answer."""
    longest = max(map(len, features["input_ids"]))
    starts, ends = np.full((len(features), longest), -5.0), np.full((len(features), longest), -5.0)
    answers = {row["id"]: row["answers"] for row in rows}
    for number, feature in enumerate(features):
        given = answers[feature["question"]]
        if not given["text"]:
            starts[number, 0] = ends[number, 0] = 8
            continue
        first = given["answer_start"][0]
        last = first + len(given["text"][0].rstrip())
        for i, (start, stop) in enumerate(feature["offsets"]):
            if start == first:
                starts[number, i] = 5
            if stop == last:
                ends[number, i] = 5
    return starts, ends


def test_a_perfect_model_is_perfect(task: SquadTask, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    rows = task.load()["validation"]
    features = task.encode(rows, tokenizer, 128)
    logits = oracle(rows, features)
    scores = task.score(rows, features, logits)
    assert scores["exact_match"] == scores["f1"] == 1
    if task.version_2:
        assert scores["no_answer_f1"] == scores["has_answer_f1"] == scores["best_f1"] == 1
    files = task.write_predictions(tmp_path / "out", "validation", rows, features, logits)
    written = {path.name.removeprefix(f"{task.name}-validation-"): json.loads(path.read_text()) for path in files}
    assert ("null_odds.json" in written) is task.version_2
    expected = {row["id"]: row["answers"]["text"][0].rstrip() if row["answers"]["text"] else "" for row in rows}
    assert written["predictions.json"] == expected
    for question, spans in written["nbest_predictions.json"].items():
        assert sum(span["probability"] for span in spans) == pytest.approx(1)
        assert [span["score"] for span in spans] == sorted((span["score"] for span in spans), reverse=True)
        assert (
            expected[question] in ("", spans[0]["text"]) and len({span["text"] for span in spans}) == len(spans) <= 20
        )


def test_decoding(tokenizer: PreTrainedTokenizerFast) -> None:
    """By hand: the best legal span, over windows, and the threshold of no answer."""
    task = SquadTask(name="t", hub_name="", version_2=True, max_answer=3, n_best=5)
    context = "alpha beta gamma delta"
    rows = Dataset.from_list([{"id": "q", "context": context}])
    offsets = [(-1, -1), (0, 5), (6, 10), (11, 16), (17, 22), (-1, -1)]
    features = Dataset.from_list([{"question": "q", "offsets": offsets, "best_context": [True] * 6}])

    def answer(starts: list[float], ends: list[float], threshold: float | None = None) -> str:
        (found,) = task.answers(rows, features, (np.array([starts]), np.array([ends])))
        return found.text(threshold)

    assert answer([9, 1, 5, 0, 0, 9], [9, 0, 0, 4, 0, 9]) == "beta gamma"  # never outside the text
    assert answer([0, 0, 0, 9, 0, 0], [0, 9, 0, 0, 1, 0]) == "gamma delta"  # an end before its start
    assert answer([0, 9, 0, 0, 0, 0], [0, 0, 0, 1, 9, 0]) == "alpha beta gamma"  # four tokens are too many
    assert answer([3, 2, 0, 0, 0, 0], [3, 2, 0, 0, 0, 0], 1.9) == ""  # 6 - 4 > 1.9
    assert answer([3, 2, 0, 0, 0, 0], [3, 2, 0, 0, 0, 0], 2.0) == "alpha"

    two = Dataset.from_list([features[0], features[0] | {"best_context": [False] * 6}])
    best = task.answers(rows, two, (np.array([[1, 2, 0, 0, 0, 0], [0, 9, 0, 0, 0, 0]]), np.zeros((2, 6))))[0]
    assert best.spans[0].score == 2 and best.null == 0  # a start where another window sees more; the least null
    with pytest.raises(DataError, match="not numbers"):
        task.answers(rows, features, (np.full((1, 6), np.nan), np.zeros((1, 6))))
    with pytest.raises(DataError, match="1 predictions for 2 features"):
        task.answers(rows, two, (np.zeros((1, 6)), np.zeros((1, 6))))


def test_long_questions_are_cut(tokenizer: PreTrainedTokenizerFast) -> None:
    row = {
        "id": "q",
        "question": "  the object " * 100,
        "context": "It is here.",
        "answers": {"text": [], "answer_start": []},
    }
    task = SquadTask(name="t", hub_name="", version_2=True, max_question=9)
    features = task.encode(Dataset.from_list([row]), tokenizer, 64)
    assert features["input_ids"][0].index(tokenizer.sep_token_id) == 10
    with pytest.raises(DataError, match="no room for a question and a text"):
        task.encode(Dataset.from_list([row]), tokenizer, 6)


# ---------------------------------------------------------------- faults


def fault(*paths: str, name: str = "squad") -> str:
    with pytest.raises(DataError) as caught:
        tasks.find(name, *paths).load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_answers_that_do_not_align_are_dropped(tmp_path: Path) -> None:
    layout = make_layout(False, 1)
    bad = copy.deepcopy(layout)
    for article in bad["data"][:4]:
        for qa in article["paragraphs"][0]["qas"]:
            qa["answers"][0]["answer_start"] += 1
    paths = [write_layout(tmp_path / "a.json", bad), write_layout(tmp_path / "b.json", layout)]
    splits = tasks.find("squad", *paths).load()
    assert len(splits["train"]) == len(splits["validation"]) - 24
    for article in bad["data"]:
        for qa in article["paragraphs"][0]["qas"]:
            qa["answers"][0]["text"] = "nowhere to be found"
    write_layout(tmp_path / "a.json", bad)
    assert "no answer stands in its context" in fault(*paths)


def test_faults_of_the_layout(tmp_path: Path) -> None:
    good = make_layout(False, 1)
    path = write_layout(tmp_path / "good.json", good)
    for change, message in (
        (lambda d: d["data"][0]["paragraphs"][0].pop("context"), "there is no 'context'"),
        (lambda d: d.pop("data"), "there is no 'data'"),
        (lambda d: d["data"][2]["paragraphs"][0]["qas"][1].pop("id"), "there is no 'id'"),
    ):
        bad = copy.deepcopy(good)
        change(bad)
        assert message in fault(write_layout(tmp_path / "bad.json", bad), path)
    twice = copy.deepcopy(good)
    twice["data"][1]["paragraphs"][0]["qas"][0]["id"] = "q0"
    assert "row 7 (question q0): the id is there twice" in fault(write_layout(tmp_path / "bad.json", twice), path)
    assert "row 1 (question q0) has no answer; the task that has such questions is squad_v2" in fault(
        write_layout(tmp_path / "bad.json", make_layout(True, 1)), path
    )
    (tmp_path / "bad.json").write_text('{"data": [', encoding="utf-8")
    assert "does not have SQuAD's layout" in fault(str(tmp_path / "bad.json"), path)
    (tmp_path / "bad.json").write_bytes(b"")
    assert "bad.json is empty" in fault(str(tmp_path / "bad.json"), path)
    assert "takes a folder, or two files" in fault(path, path, path)


def test_a_table_of_questions(tmp_path: Path) -> None:
    """The Hub's layout in Parquet; and a column that is not there."""
    rows = read_layout(Path(write_layout(tmp_path / "good.json", make_layout(False, 1))))
    folder = tmp_path / "table"
    folder.mkdir()
    for split in ("train", "validation"):
        rows.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    assert tasks.find("squad", str(folder)).load()["validation"]["id"] == rows["id"]
    rows.remove_columns("question").to_parquet(str(folder / "validation-00000-of-00001.parquet"))
    assert "validation has no column 'question'" in fault(str(folder))
