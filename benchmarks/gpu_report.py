"""What the GPU benchmark writes: numbers as JSON, tables as Markdown, and whether targets are met."""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import torch
import triton
from gpu_cases import Cell
from gpu_targets import memory_growth, rows_of, target_lines, targets
from gpu_work import Scope, all_subjects
from measure import commit

from autobertc.runtime.markdown import markdown_table

COLUMNS = {
    "programs": ("kernels", "FlexAttention", "torch.compile", "naive", "SDPA", "auto"),
    "convolutions": ("kernels", "torch.compile", "conv1d", "eager"),
    "models": ("kernels", "BERT (sdpa)", "BERT + torch.compile", "eager", "kernels + torch.compile"),
}
TITLES = {
    "programs": "Attention programs, D = {width}, {direction}",
    "convolutions": "Gated convolution, {direction}",
    "models": "Masked-LM training step of autobert-zero-base and BERT-base",
}


@dataclass
class Report:
    """All that was measured, and on what.

    Fields:
        environment: device, versions, commit.
        settings: sizes and how long it was to take.
        cells: in the order of measurement.
        left_out: cases for which no time was left, or that were not reached.
        notes: what went wrong beside single cells.
    """

    environment: dict[str, Any]
    settings: dict[str, Any]
    cells: list[Cell] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def gpu_environment(device: str, given_commit: str | None) -> dict[str, Any]:
    """What the numbers depend on."""
    revision, changed = commit()
    found: dict[str, Any] = {"device": platform.processor() or platform.machine(), "triton": triton.__version__}
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found["device"] = properties.name
        found["capability"] = f"{properties.major}.{properties.minor}"
        found["memory_gib"] = round(properties.total_memory / 2**30, 1)
        found["cuda"] = torch.version.cuda or torch.version.hip
    else:
        found["device"] = "Triton's interpreter"
    for name in ("autobertc", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {
        **found,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "commit": given_commit or revision,
        "dirty": changed,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def write(report: Report, folder: Path, scope: Scope) -> tuple[Path, Path]:
    """Write `<device>-<date>.json` and `.md`, whole or not at all; their paths."""
    device = re.sub(r"[^a-z0-9]+", "-", str(report.environment["device"]).lower()).strip("-")
    stem = f"{device}-{report.environment['time'][:10]}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"{stem}.json", folder / f"{stem}.md"
    for path, text in zip(paths, (json.dumps(as_json(report), indent=2) + "\n", markdown(report, scope)), strict=True):
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    return paths


def as_json(report: Report) -> dict[str, Any]:
    """Everything; a program's entry says how FlexAttention computes it, or why it does not."""
    names = list(dict.fromkeys(cell.subject for cell in report.cells if cell.section == "programs"))
    programs = {
        name: {
            "program": str(all_subjects()[name].program).strip().removeprefix("att: "),
            "flex_attention": all_subjects()[name].flex is not None,
            "how": all_subjects()[name].how,
        }
        for name in names
    }
    return {
        "environment": report.environment,
        "settings": report.settings,
        "programs": programs,
        "cells": [asdict(cell) for cell in report.cells],
        "targets": [
            {**asdict(target), "met": target.met}
            for target in ([] if report.settings["smoke"] else targets(report.cells))
        ],
        "left_out": report.left_out,
        "notes": report.notes,
        "seconds": report.seconds,
    }


# ---------------------------------------------------------------- Markdown


def _text(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.ms is None:
        return {"none": "-", "failed": "failed"}.get(cell.status, cell.status)
    inner = [f"{cell.tflops:.0f}" if cell.tflops is not None and cell.tflops >= 10 else _short(cell.tflops)]
    inner.append("" if cell.memory_mib is None else f"{cell.memory_mib:.0f}")
    details = " / ".join(part for part in inner if part)
    mark = " (values off)" if cell.status == "disagrees" else ""
    return f"{cell.ms:.3g}{f' ({details})' if details else ''}{mark}"


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _table(section: str, cells: Sequence[Cell]) -> str:
    columns = [name for name in COLUMNS[section] if any(cell.implementation == name for cell in cells)]
    labels = {"programs": ("program", "N"), "convolutions": ("width", "N"), "models": ("what", "N")}[section]
    rows = sorted(rows_of(cells), key=lambda row: next(iter(row.values())).length)
    if section == "programs":
        order = list(all_subjects())
        rows.sort(key=lambda row: order.index(next(iter(row.values())).subject))
    shown = []
    for row in rows:
        first = next(iter(row.values()))
        name = str(first.width) if section == "convolutions" else first.subject
        shown.append([name, str(first.length), *(_text(row.get(column)) for column in columns)])
    return markdown_table([*labels, *columns], shown, labels=1)


def _sections(report: Report) -> Iterator[tuple[str, str, list[Cell]]]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in report.cells:
        width = cell.width if cell.section == "programs" else ""
        title = TITLES[cell.section].format(width=width, direction=cell.direction)
        groups.setdefault((cell.section, title), []).append(cell)
    for (section, title), cells in groups.items():
        yield section, title, cells


def markdown(report: Report, scope: Scope) -> str:
    """The tables."""
    lines = [f"# GPU benchmark: {report.environment['device']}, {report.environment['time'][:10]}", ""]
    facts = {key: value for key, value in report.environment.items() if key != "device"}
    lines += [", ".join(f"{key} {value}" for key, value in facts.items()), ""]
    lines += [
        f"{str(scope.dtype).removeprefix('torch.')}; programs: batch times N is {scope.tokens}, heads times D is "
        f"{scope.features}. A cell is milliseconds (TFLOP/s / MiB): the median of rounds in which implementations take "
        "turns; FLOPs are those of the plan, each value once, the same for all; memory is the growth of the peak "
        "during a call. Compilation and tuning are not in the times.",
        "",
    ]
    for section, title, cells in _sections(report):
        lines += [f"## {title}", "", _table(section, cells), ""]
    if report.settings["smoke"]:
        lines += ["This was a smoke run: its times mean nothing, values alone were compared.", ""]
    else:
        lines += [*target_lines(report.cells), *memory_growth(report.cells)]
    lines += _first_calls(report.cells)
    names = dict.fromkeys(cell.subject for cell in report.cells if cell.section == "programs")
    if names:
        lines += ["## The programs for FlexAttention", ""]
        for name in names:
            subject = all_subjects()[name]
            lines.append(f"- {name}: {'' if subject.flex is not None else 'none: '}{subject.how}")
        lines.append("")
    notes = [
        f"{cell.subject}, {cell.implementation}, {cell.direction}, N {cell.length}, {cell.width}: {cell.note}"
        for cell in report.cells
        if cell.note and cell.status in ("failed", "out of memory", "disagrees")
    ]
    for title, items in (("Failures and disagreements", notes + report.notes), ("Left out", report.left_out)):
        if items:
            lines += [f"## {title}", "", *(f"- {item}" for item in items), ""]
    return "\n".join(lines)


def _first_calls(cells: Sequence[Cell]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.first_call_s is not None:
            groups.setdefault((cell.section, cell.implementation), []).append(cell)
    if not groups:
        return
    rows = []
    for (section, name), group in groups.items():
        first = [cell.first_call_s or 0.0 for cell in group]
        ahead = [cell.ahead_s for cell in group if cell.ahead_s is not None]
        before = f"{median(ahead):.1f}" if ahead else ""
        rows.append([section, name, f"{median(first):.1f}", f"{max(first):.1f}", before])
    columns = ["section", "implementation", "median", "largest", "ahead, median"]
    yield from ("## First calls, seconds", "", markdown_table(columns, rows, labels=2), "")
