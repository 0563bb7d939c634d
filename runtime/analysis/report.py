"""Models measured on the same sentences, and the folder of figures and numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autobertc.runtime.analysis import drawings, figures
from autobertc.runtime.analysis.latency import Latency, measure_latency
from autobertc.runtime.analysis.loading import Opened, Pair, open_model
from autobertc.runtime.analysis.maps import AttentionMaps, SentenceMaps, attention_maps, sentence_maps
from autobertc.runtime.analysis.receptive import ReceptiveFields, receptive_fields
from autobertc.runtime.analysis.uniformity import token_uniformity
from autobertc.runtime.data.errors import unknown
from autobertc.runtime.files import new_directory
from autobertc.runtime.flops import flops
from autobertc.runtime.inspection import count_parameters
from autobertc.runtime.training.silence import library_silent

PARTS = ("uniformity", "maps", "receptive", "latency")
"""What can be measured beside parameters and FLOPs."""


@dataclass(frozen=True)
class Request:
    """What is measured.

    Attributes:
        pairs: of sentences, for uniformity, maps and receptive fields.
        length: tokens of a sequence, in all of it; and what FLOPs are for.
        parts: of `PARTS`.
        sentences: whose maps are shown each by itself.
        batch: sequences, of latency and memory.
    """

    pairs: Sequence[Pair]
    length: int = 128
    parts: tuple[str, ...] = PARTS
    sentences: tuple[Pair, ...] = ()
    batch: int = 128

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise unknown("part of an analysis", part, PARTS)


@dataclass(frozen=True)
class Analysis:
    """One model's numbers; what was not measured, or the model has not, is None. FLOPs and latency are of models that
    autobertc wrote."""

    name: str
    parameters: int
    flops: dict[str, int | dict[str, int]] | None
    uniformity: dict[str, list[float]] | None = None
    maps: AttentionMaps | None = None
    sentences: tuple[SentenceMaps, ...] = field(default=())
    receptive: ReceptiveFields | None = None
    latency: Latency | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; maps by position are in files of their own."""
        maps = None if self.maps is None else {k: v for k, v in self.maps.to_dict().items() if k != "mean"}
        return {
            "model": self.name,
            "parameters": self.parameters,
            "flops": self.flops,
            "uniformity": self.uniformity,
            "attention": maps,
            "receptive": None if self.receptive is None else self.receptive.to_dict(),
            "latency": None if self.latency is None else self.latency.to_dict(),
        }


def analyse(model: str, request: Request) -> Analysis:
    """A model's numbers. Raises `TrainingError` where it cannot be loaded."""
    with library_silent():
        opened = open_model(model)
        length = min(request.length, opened.length)
        architecture = opened.architecture
        parameters = sum(each.numel() for each in opened.model.parameters())
        measured = _measure(opened, request, length)
        del opened
        if architecture is None:
            return Analysis(model, parameters, None, **measured)
        if "latency" in request.parts:
            measured["latency"] = measure_latency(architecture, request.batch, length)
    return Analysis(model, count_parameters(architecture)["total"], flops(architecture, length), **measured)


def _measure(opened: Opened, request: Request, length: int) -> dict[str, Any]:
    """What needs the model's weights."""
    parts: dict[str, Callable[[], Any]] = {
        "uniformity": lambda: token_uniformity(opened, request.pairs, length),
        "maps": lambda: attention_maps(opened, request.pairs, length),
        "receptive": lambda: receptive_fields(opened, request.pairs, length),
    }
    measured = {name: measure() for name, measure in parts.items() if name in request.parts}
    shown = [sentence_maps(opened, sentence, length) for sentence in request.sentences]
    return measured | {"sentences": tuple(each for each in shown if each is not None)}


def write_analyses(found: Sequence[Analysis], output: Path) -> Path:
    """Write numbers and figures of all models side by side as a new folder.

    `analysis.json`; `uniformity`, `attention` and `receptive` as PNG and SVG; and for each model its mean maps and
    those of the chosen sentences, JSON and figures. Raises `OutputError`.
    """
    with new_directory(output) as folder:
        _write_json([each.to_dict() for each in found], folder / "analysis.json")
        named = dict(zip(figures.labels([each.name for each in found]), found, strict=True))
        measured = {label: each.uniformity for label, each in named.items() if each.uniformity is not None}
        if measured:
            figures.save(drawings.draw_uniformity(measured), folder, "uniformity")
        fields = {label: each.receptive for label, each in named.items() if each.receptive is not None}
        if fields:
            figures.save(drawings.draw_receptive(fields), folder, "receptive")
        maps = {label: each.maps for label, each in named.items() if each.maps is not None}
        if maps:
            figures.save(drawings.draw_map_measures(maps), folder, "attention")
        for label, each in named.items():
            _write_maps(label, each, folder)
    return output


def _write_maps(label: str, found: Analysis, folder: Path) -> None:
    if found.maps is not None:
        name = f"attention-{figures.file_name(label)}"
        _write_json(found.maps.to_dict(), folder / f"{name}.json")
        figures.save(drawings.draw_maps(found.maps.layers, found.maps.mean), folder, name)
    for number, each in enumerate(found.sentences, start=1):
        name = f"sentence-{number}-{figures.file_name(label)}"
        _write_json(each.to_dict(), folder / f"{name}.json")
        figures.save(drawings.draw_maps(each.layers, each.maps, each.tokens), folder, name)


def _write_json(content: Any, path: Path) -> None:
    path.write_text(json.dumps(content, indent=1 if path.name == "analysis.json" else None) + "\n", encoding="utf-8")
