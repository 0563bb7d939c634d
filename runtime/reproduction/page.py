"""The page: sections kept as JSON beside it, and written together as Markdown."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autobertc.runtime.data.errors import DataError
from autobertc.runtime.files import OutputError, write_bytes, write_text
from autobertc.runtime.markdown import markdown_table
from autobertc.runtime.reproduction.entry import Context, Entry, Section
from autobertc.runtime.reproduction.scales import SCALES
from autobertc.runtime.training.devices import device_name

PAGE, FOLDER = "reproduction.md", "reproduction"
_HEAD = """\
# Reproduction

The paper's tables and figures (Gao et al., AAAI 2022), the paper's numbers beside ours. `autobertc reproduce` writes
this page; of each entry it shows the largest scale that has been run.
"""


@dataclass(frozen=True)
class Made:
    """A section as it is kept."""

    scale: str
    device: str
    seconds: float
    section: Section


def reproduce(entry: Entry, context: Context, docs: Path, among: Mapping[str, Entry]) -> Path:
    """Make an entry and write it into the page of a folder, `reproduction.md`, which is returned.

    `context.figures` is given by this function. Numbers and figures are in `reproduction/`. Raises `UserError`.
    """
    for place in (docs, context.runs):
        if place.exists() and not place.is_dir():
            raise OutputError(f"cannot write {place}: it is a file, not a folder")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        section = entry.make(replace(context, figures=Path(folder)))
        seconds = time.perf_counter() - start
        kept = _keep(section, Path(folder), docs / FOLDER, f"{entry.name}-{context.scale.name}")
    content = {
        "entry": entry.name,
        "scale": context.scale.name,
        "device": device_name(),
        "seconds": round(seconds, 1),
        "section": kept.to_dict(),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_text(docs / FOLDER / f"{entry.name}-{context.scale.name}.json", text)
    write_text(docs / PAGE, render(read(docs), among))
    return docs / PAGE


def _keep(section: Section, made: Path, folder: Path, prefix: str) -> Section:
    """Move the figures beside the page, under the entry's name, and name them so in the section."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    for path in sorted(made.iterdir()):
        write_bytes(folder / f"{prefix}-{path.name}", path.read_bytes())
    return replace(section, figures=tuple(f"{prefix}-{name}" for name in section.figures))


def read(docs: Path) -> dict[str, Made]:
    """The sections of a page by entry, of each the largest scale's. Raises `DataError`."""
    found: dict[str, Made] = {}
    for path in sorted((docs / FOLDER).glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            section = Section.from_dict(content["section"])
            made = Made(content["scale"], content["device"], content["seconds"], section)
            name, rank = content["entry"], SCALES[made.scale].rank
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is not what `autobertc reproduce` writes: remove it") from error
        if name not in found or SCALES[found[name].scale].rank < rank:
            found[name] = made
    return found


def render(found: Mapping[str, Made], among: Mapping[str, Entry]) -> str:
    """The page, entries in the order of `among`; those that were not run are named at the end."""
    parts = [_HEAD]
    parts += [_section(entry, found[name]) for name, entry in among.items() if name in found]
    missing = [entry for name, entry in among.items() if name not in found]
    if missing:
        parts.append(f"## Not run yet\n\n{'; '.join(f'{_called(each.name)} ({each.title})' for each in missing)}.\n")
    return "\n".join(parts)


def _called(name: str) -> str:
    """`table2` as Table 2."""
    for kind in ("table", "figure"):
        if name.startswith(kind):
            return f"{kind.capitalize()} {name.removeprefix(kind).replace('-', ', ')}"
    return "GPU hours" if name == "gpu-hours" else name.replace("-", " ").capitalize()


def _section(entry: Entry, made: Made) -> str:
    section = made.section
    scale = "the same at every scale" if entry.exact else f"scale `{made.scale}`"
    lines = [f"## {_called(entry.name)}: {entry.title}", ""]
    lines += [f"*{scale}, {made.device}, {_duration(made.seconds)}*", ""]
    for paragraph in section.done:
        lines += [paragraph, ""]
    for table in section.tables:
        lines += [f"**{table.title}**", "", markdown_table(table.header, table.rows, labels=1), ""]
    for figure in section.figures:
        lines += [f"![{entry.title}]({FOLDER}/{figure})", ""]
    lines += [*(f"- {finding}" for finding in section.findings), ""] if section.findings else []
    if section.reasons:
        lines += ["Why they differ:", "", *(f"- {reason}" for reason in section.reasons), ""]
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
