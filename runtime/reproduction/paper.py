"""The paper's numbers, as its tables print them (Gao et al., AAAI 2022). Scores are percentages."""

from __future__ import annotations

from dataclasses import dataclass

GLUE = ("cola", "mrpc", "mnli", "mnli-mm", "stsb", "rte", "qqp", "qnli", "sst2")
"""The columns of Tables 2 and 5, MNLI's two apart, by the names that `metrics.glue` has for them."""
GLUE_TITLES = dict(
    zip(GLUE, ("CoLA", "MRPC", "MNLI-m", "MNLI-mm", "STS-B", "RTE", "QQP", "QNLI", "SST-2"), strict=True)
)


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        title: as the paper names it.
        example: the file of examples/ that is this backbone, None where it is not rebuilt.
        parameters: whole model, in millions.
        structure: of the attention structures, in millions.
        flops: of inference at length 128.
        scores: by column.
        average: over GLUE.
        note: what the example is where it is not the paper's own.
    """

    title: str
    example: str | None = None
    parameters: float | None = None
    structure: float | None = None
    flops: float | None = None
    scores: tuple[float, ...] = ()
    average: float | None = None
    note: str = ""


_VARIANT = "a variant made after the text: the figure with its layers is not available"
_ZERO = (64.5, 93.3, 85.5, 85.3, 90.8, 81.9, 88.9, 92.0, 94.2)
_BERT = (58.1, 89.7, 84.8, 85.2, 88.8, 69.0, 88.2, 91.5, 92.9)

TABLE2 = (
    Row("BERT-base (ours)", "bert-base", 110, None, 2.9e10, _BERT, 83.1),
    Row(
        "AutoBERT-att",
        "autobert-zero-three-attentions",
        104,
        None,
        2.3e10,
        (65.4, 92.2, 84.6, 85.0, 90.4, 81.6, 88.5, 91.8, 93.8),
        85.9,
        _VARIANT,
    ),
    Row(
        "AutoBERT-conv",
        "autobert-zero-three-convolutions",
        104,
        None,
        2.2e10,
        (63.8, 92.6, 84.4, 84.6, 90.1, 80.5, 88.3, 91.7, 93.5),
        85.5,
        _VARIANT,
    ),
    Row(
        "AutoBERT-w/o-desc",
        "autobert-zero-not-descending",
        104,
        None,
        2.3e10,
        (65.1, 92.8, 84.5, 85.0, 90.5, 78.7, 88.2, 91.6, 93.7),
        85.6,
        _VARIANT,
    ),
    Row("AutoBERT-Zero", "autobert-zero-base", 104, None, 2.3e10, _ZERO, 86.3),
)
"""The development set. The row that starts from the super-net is `TABLE2_STARRED`."""
TABLE2_STARRED = Row(
    "AutoBERT-Zero*", None, 104, None, 2.3e10, (67.3, 93.8, 86.4, 86.3, 90.8, 85.2, 91.7, 92.5, 95.2), 87.7
)
TABLE2_LARGE = (
    Row("BERT-Large", "bert-large", 340, None, 8.7e10),
    Row("AutoBERT-Zero-Large", "autobert-zero-large", 318, None, 6.8e10),
)
"""Sizes of the test set's rows that the development set's do not have; its labels are withheld."""

SQUAD = ("squad em", "squad f1", "squad_v2 em", "squad_v2 f1")
TABLE3 = (
    Row("BERT-base (ours)", "bert-base", structure=21.3, scores=(78.9, 86.7, 70.2, 72.8)),
    Row(
        "AutoBERT-att",
        "autobert-zero-three-attentions",
        structure=15.9,
        scores=(79.7, 87.5, 72.9, 75.7),
        note=_VARIANT,
    ),
    Row(
        "AutoBERT-conv",
        "autobert-zero-three-convolutions",
        structure=15.4,
        scores=(79.1, 86.5, 71.9, 74.6),
        note=_VARIANT,
    ),
    Row(
        "AutoBERT-w/o-desc",
        "autobert-zero-not-descending",
        structure=15.4,
        scores=(79.5, 87.0, 71.5, 73.9),
        note=_VARIANT,
    ),
    Row("AutoBERT-Zero", "autobert-zero-base", structure=15.4, scores=(79.9, 87.6, 72.5, 75.0)),
)

TABLE4 = (
    Row("BERT-small", "bert-small", 14, None, 3.7e9, average=75.1),
    Row("AutoBERT-Zero-small", "autobert-zero-small", 13, None, 2.9e9, average=80.5),
    Row("BERT-large", "bert-large", 340, None, 8.7e10, average=84.4),
    Row("AutoBERT-Zero-large", "autobert-zero-large", 318, None, 6.8e10, average=87.9),
)
"""Those that are rebuilt; ELMO, GPT, ELECTRA-small and ConvBERT-small are not."""

TABLE5 = (
    Row("BERT-base", "bert-base", structure=21.3, scores=_BERT, average=83.1),
    Row(
        "Att-only",
        "autobert-zero-attention-only",
        structure=16.5,
        scores=(60.0, 92.1, 84.9, 84.1, 90.6, 79.4, 88.3, 91.5, 92.5),
        average=84.8,
    ),
    Row(
        "Conv-only",
        "autobert-zero-convolution-only",
        structure=15.4,
        scores=(53.7, 82.9, 69.0, 66.1, 81.0, 64.2, 82.0, 75.7, 86.7),
        average=73.3,
    ),
    Row("AutoBERT-Zero", "autobert-zero-base", structure=15.4, scores=_ZERO, average=86.3),
)

TABLE6: dict[str, tuple[str, str, str]] = {
    "Layer": ("12", "12", "24"),
    "Hidden dim": ("256", "768", "1024"),
    "Word embedding dim": ("256", "768", "1024"),
    "Intermediate layer dim": ("1024", "3072", "4096"),
    "Attention heads": ("4", "12", "16"),
    "Head dim": ("64", "64", "64"),
    "Learning rate": ("1e-4", "1e-4", "1e-4"),
    "Learning rate decay": ("Linear", "Linear", "Linear"),
    "Warm-up proportion": ("0.01", "0.01", "0.02"),
    "Adam beta 1": ("0.9", "0.9", "0.9"),
    "Adam beta 2": ("0.999", "0.999", "0.999"),
    "Dropout": ("0.1", "0.1", "0.1"),
    "Batch size": ("320", "160", "80"),
    "Input sequence length": ("128", "128", "128"),
}
"""Pre-training: small, base, large."""


@dataclass(frozen=True)
class Cost:
    """A row of Table 7: FLOPs, latency over QNLI's training set in seconds, memory in gigabytes, on a V100."""

    title: str
    example: str
    flops: float
    latency: float
    memory: float
    parameters: float
    average: float


TABLE7 = (
    Cost("BERT-base", "bert-base", 2.9e10, 29.3, 2.5, 110, 83.1),
    Cost("AutoBERT-Zero", "autobert-zero-base", 2.3e10, 27.2, 2.1, 104, 86.3),
)

FIGURE7 = "conv 65, att, conv 9, att, conv 3, att, conv 7, att, conv 7, att, conv 3, att"
"""The layers of AutoBERT-Zero, read off the figure."""
