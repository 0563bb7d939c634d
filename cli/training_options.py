"""Options that the commands share that pre-train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    list[str] | None,
    typer.Option(help="A source of text, [WEIGHT*]NAME[:CONFIG]; may be repeated.", show_default="default"),
]
Steps = Annotated[int | None, typer.Option(help="Steps, instead of the preset's length.", show_default=False)]
Epochs = Annotated[int | None, typer.Option(help="Readings of the data, instead.", show_default=False)]
Batch = Annotated[int | None, typer.Option(help="Sequences a step.", show_default=False)]
MicroBatch = Annotated[
    int | None, typer.Option(help="Sequences at a time on a device.", show_default="the batch", min=1)
]
Length = Annotated[int | None, typer.Option(help="Tokens of a sequence.", show_default=False)]
Dropout = Annotated[float | None, typer.Option(help="All rates of the model.", show_default=False)]
MaskRate = Annotated[float | None, typer.Option(help="The share of tokens masked.", show_default=False)]
Optimizer = Annotated[str | None, typer.Option(help="adamw, or muon for the layers' matrices.", show_default=False)]
Precision = Annotated[
    str | None, typer.Option(help="float32, bf16, or auto: bf16 where the device has it.", show_default=False)
]
Tokenizer = Annotated[
    Path | None,
    typer.Option(help="A tokenizer's folder, or text to train one on; by default the data.", show_default=False),
]
Vocab = Annotated[int | None, typer.Option(help="Entries of a tokenizer to train.", show_default="the header's")]
LogEvery = Annotated[int | None, typer.Option(help="Steps between logs, the points of curves.", min=1)]
Workers = Annotated[int | None, typer.Option(help="Processes that collate.", show_default=False, min=0)]
