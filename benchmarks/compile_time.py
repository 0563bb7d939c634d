"""Text to model module in the process: parse, check, canonical form, lowering, rendering, execution."""

from __future__ import annotations

import re
from itertools import product
from statistics import median

from measure import EXAMPLES, Row, Section, Settings

from autobertc import parse
from autobertc.runtime.analysis.timing import interval, seconds
from autobertc.runtime.build import modeling_module

TARGET_MS = 150
GENOME = "autobert-zero-base"
WRAPPERS = ("tanh", "sigmoid", "relu", "softsign", "logsigmoid", "square", "exp")


def variants(text: str, count: int) -> list[str]:
    """The genome with its inputs wrapped in operations, every time others: no value of one is known from another."""
    wrappers = list(product(WRAPPERS, WRAPPERS))
    return [re.sub(r"\b([QKV])\b", rf"{outer}({inner}(\1))", text) for outer, inner in wrappers[:count]]


def compile_time(settings: Settings) -> Section:
    """The 12-layer base; a genome is compiled once, as the process keeps what it has compiled."""
    text = (EXAMPLES / f"{GENOME}.abz").read_text(encoding="utf-8")
    warm, *texts = variants(text, settings.pairs + 1)
    modeling_module(parse(warm))
    times = [1e3 * seconds(lambda text=text: modeling_module(parse(text))) for text in texts]  # type: ignore[misc]
    row = Row(GENOME, "", "ms", median(times), None, median(times), *interval(times), TARGET_MS)
    return Section("Text to model module, 12 layers, weights not counted", (row,))
