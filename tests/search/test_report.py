"""The report of a search: what it says, and what it says of what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import synthetic_report

from autobertc.runtime.files import OutputError
from autobertc.search.report import write_report
from autobertc.search.report.data import Candidate, Objective, ReportData
from autobertc.search.report.lineage import lineage
from autobertc.search.report.page import Page
from autobertc.search.report.sentences import verdict
from autobertc.search.report.statistics import mean, paired

SECTIONS = ("last-stage", "winner", "progress", "cost", "pareto", "priorities", "layers", "lineage", "fidelity")


@pytest.fixture(scope="module")
def data() -> ReportData:
    return synthetic_report.full(60)


@pytest.fixture(scope="module")
def page(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(data, tmp_path_factory.mktemp("report") / "out")


def words(html: str) -> str:
    """The text that a reader sees, spaces folded."""
    html = re.sub(r"<(style|script).*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def section(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}">(.*?)</section>', html, re.DOTALL)
    assert found
    return found[1]


# Content


def test_the_last_stage_comes_first_with_intervals(page: Path, data: ReportData) -> None:
    html = page.read_text(encoding="utf-8")
    assert html.index('id="last-stage"') < min(html.index(f'<section id="{name}"') for name in SECTIONS[1:])
    told = words(section(html, "last-stage"))
    assert data.last_stage
    winner, *_, bert = data.last_stage.contenders
    low = mean(winner.scores).low
    assert low is not None
    assert f"{np.mean(winner.scores):.3f} [{low:.3f}" in told
    for each in data.last_stage.contenders:
        assert each.name in told
    difference = paired(winner.scores, bert.scores)
    assert difference and difference.low is not None
    assert "The winner beats median random and BERT" in told
    assert f"{difference.value:.3f} [{difference.low:.3f}" in told
    assert "equal FLOPs" in told
    base = next(each for each in data.last_stage.contenders if each.role == "random median")
    differences = [paired(each.scores, base.scores) for each in data.last_stage.contenders if each is not base]
    bold = section(html, "last-stage").count('<td class="n clear">')
    assert bold == sum(each is not None and each.excludes_zero for each in differences) < len(differences)


def test_winner_has_drawing_text_and_command(page: Path, data: ReportData) -> None:
    html = section(page.read_text(encoding="utf-8"), "winner")
    assert data.winner
    assert unescape(html).count(data.winner.genome) == 1
    assert data.winner.command in unescape(html)
    assert html.count('class="copy"') == 2
    assert 'aria-label="The winner, candidate-' in html


def test_numbers_and_pictures_lie_beside_the_page(page: Path, data: ReportData) -> None:
    read = ReportData.from_json((page.parent / "report.json").read_text(encoding="utf-8"))
    assert read == data
    assert data.winner and (page.parent / "winner.abz").read_text(encoding="utf-8") == data.winner.genome
    names = {path.stem for path in (page.parent / "figures").iterdir()}
    wanted = {"last-stage", "winner", "progress-candidates", "progress-time", "progress-cost", "pareto"}
    assert wanted | {"priorities-1", "priorities-effect", "layers-best", "fidelity-recall"} <= names
    for path in (page.parent / "figures").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


def test_reasons_and_counts(page: Path, data: ReportData) -> None:
    html = section(page.read_text(encoding="utf-8"), "outcomes")
    told = words(html)
    complete = len(data.complete())
    assert f"evaluated to the end {complete} " in told
    assert "duplicates, drawn again 22 " in told
    assert "rejected: mixes no tokens 6 " in told
    failed = [each for each in data.candidates if each.state == "failed"]
    assert failed
    for each in failed:
        assert each.reason in told


def test_text_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    candidate = Candidate(0, 0, 0, "random", "failed", (3,), reason=evil)
    html = Page(ReportData(evil, (Objective("score"),), (candidate,))).html()
    assert evil not in html
    assert evil in unescape(html)


def test_same_data_same_page(data: ReportData, page: Path) -> None:
    assert Page(data).html() == page.read_text(encoding="utf-8")


def test_lineage_goes_from_a_random_one_to_the_winner(data: ReportData) -> None:
    steps = lineage(data)
    assert data.winner
    assert steps[0].candidate.origin == "random" and not steps[0].changes
    assert steps[-1].candidate.number == data.winner.number
    for before, after in pairwise(steps):
        assert after.candidate.parents == (before.candidate.number,)
        assert after.gain == pytest.approx(after.candidate.values[0] - before.candidate.values[0])


def test_lineage_shows_what_changed() -> None:
    texts = [["conv: 3", "att: Q @ (K.T @ V)"], ["conv: 3", "att: softmax(Q @ K.T) @ V"], ["conv: 9", "conv: 5"]]
    made = [
        Candidate(index, index, 0, "child" if index else "random", "complete", (), _abz(text), values=(float(index),))
        for index, text in enumerate(texts)
    ]
    linked = (made[0], replace(made[1], parents=(0,)), replace(made[2], parents=(1,)))
    winner = synthetic_report.Winner(2, linked[2].genome, "")
    steps = lineage(ReportData("x", (Objective("score"),), linked, winner=winner))
    told = [[(each.layer, each.verb) for each in step.changes] for step in steps]
    assert told == [[], [(2, "was"), (2, "becomes")], [(2, "was")]]
    assert steps[1].changes[1].text == "matmul(softmax(matmul(Q, transpose(K))), V)"


def _abz(layers: list[str]) -> str:
    return "model m { hidden: 64 heads: 2 }\n" + "\n".join(layers) + "\n"


# What is missing is said


def test_a_search_just_started_says_what_is_missing() -> None:
    made = Page(synthetic_report.empty())
    html = made.html()
    told = words(html)
    assert made.figures == []
    assert "Not trained from scratch yet" in told
    for name in SECTIONS:
        assert "<svg" not in section(html, name)
        assert len(words(section(html, name)).split()) > 5
    for reason in ("No winner", "one objective, accuracy", "Nothing was drawn yet", "No signal gate was run"):
        assert reason in told


LEFT_OUT: dict[str, tuple[Callable[[ReportData], ReportData], str, str]] = {
    "last stage": (lambda data: replace(data, last_stage=None), "last-stage", "has no last stage"),
    "winner": (lambda data: replace(data, winner=None), "winner", "No winner"),
    "priorities": (lambda data: replace(data, priorities=()), "priorities", "No priorities were recorded"),
    "fidelity": (lambda data: replace(data, fidelity=()), "fidelity", "Fewer than three architectures"),
    "ledger": (lambda data: replace(data, ledger=None), "cost", "shared no weights"),
    "gate": (lambda data: replace(data, gate=None), "last-stage", "No signal gate was run"),
    "configuration": (lambda data: replace(data, configuration=""), "configuration", "not recorded"),
    "candidates": (lambda data: replace(data, candidates=()), "progress", "No candidate has been evaluated"),
}


@pytest.mark.parametrize("part", LEFT_OUT)
def test_a_part_left_out_is_said(part: str, data: ReportData) -> None:
    leave_out, name, told = LEFT_OUT[part]
    small = replace(data, candidates=data.candidates[:30], priorities=data.priorities[:1])
    html = Page(leave_out(small)).html()
    assert told in words(section(html, name))
    assert told not in words(section(Page(small).html(), name))


def test_a_winner_that_cannot_be_read_is_told() -> None:
    data = ReportData("x", (Objective("a"),), winner=synthetic_report.Winner(0, "not an architecture", "train it"))
    assert "cannot be read" in words(section(Page(data).html(), "winner"))


def test_one_seed_gives_no_interval_and_no_conclusion(data: ReportData) -> None:
    assert data.last_stage
    single = tuple(replace(each, scores=each.scores[:1], tasks={}) for each in data.last_stage.contenders)
    headline, basis = verdict(replace(data, last_stage=replace(data.last_stage, seeds=(0,), contenders=single)))
    assert headline == "No difference that stands out from the noise"
    assert "one seed, so no conclusion" in basis and "[" not in basis


# Files


def test_only_an_earlier_report_is_replaced(tmp_path: Path) -> None:
    data = synthetic_report.empty()
    folder = tmp_path / "out"
    write_report(data, folder)
    write_report(replace(data, name="second"), folder)
    assert "second" in (folder / "index.html").read_text(encoding="utf-8")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write_report(data, folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        write_report(data, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


def test_a_failure_leaves_the_earlier_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    write_report(synthetic_report.empty(), folder)
    before = (folder / "index.html").read_bytes()
    monkeypatch.setattr(ReportData, "to_json", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(replace(synthetic_report.empty(), name="second"), folder)
    assert (folder / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
