"""What a trained model folder says of itself: its card, drawing and curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autobertc import __version__
from autobertc.dsl.architecture import Architecture, print_architecture, safe_name
from autobertc.runtime.drawing import draw

_CARD = """\
---
library_name: transformers
pipeline_tag: fill-mask
tags: [autobertc]
---

# {name}

A language-model backbone compiled and pre-trained by autobertc {version}.

![the backbone](architecture.svg)

```
{genome}```

```python
from transformers import pipeline

fill = pipeline("fill-mask", model="path/to/this/folder", trust_remote_code=True)
```

## Data

{data}; {held_out:.3g} of the documents held out. Seed {seed}.

## Recipe

| | |
|---|---|
{recipe}

## Metrics

Losses are in nats a masked token, or a pair, in the last {log_every} steps and on what was held out.

| | |
|---|---|
{metrics}

Curves and settings are in `training.json`.
"""


def write_card(
    folder: Path,
    architecture: Architecture,
    settings: dict[str, Any],
    metrics: dict[str, Any],
    curves: Sequence[dict[str, Any]],
) -> None:
    """Write `README.md`, `architecture.svg` and `training.json` into a model folder."""
    name = safe_name(architecture.name)
    draw(architecture, folder / "architecture.svg")
    card = _CARD.format(
        name=name,
        version=__version__,
        genome=print_architecture(architecture, name),
        data=", ".join(settings["sources"]),
        held_out=settings["held_out"],
        seed=settings["seed"],
        log_every=settings["log_every"],
        recipe=_rows(
            _said({"begun_from": settings.get("begun_from"), **settings["recipe"], "steps": settings["steps"]})
        ),
        metrics=_rows(metrics),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    whole = {"settings": settings, "metrics": metrics, "curves": list(curves)}
    (folder / "training.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def _said(recipe: dict[str, Any]) -> dict[str, Any]:
    """What a recipe has: nothing that is not there, or that is left out."""
    return {
        name: value for name, value in recipe.items() if value is not None and value is not False and name != "epochs"
    }


def _rows(values: dict[str, Any]) -> str:
    shown = {
        name.replace("_", " "): f"{value:.4g}" if isinstance(value, float) else str(value)
        for name, value in values.items()
    }
    return "\n".join(f"| {name} | {value} |" for name, value in shown.items())
