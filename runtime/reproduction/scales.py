"""How much is trained: from two minutes on one core to the paper's own experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autobertc.runtime.reproduction.backbones import Size, Widths


@dataclass(frozen=True)
class Scale:
    """A scale.

    Attributes:
        name: what the user calls it.
        what: what it is for, in words.
        rank: the greater, the nearer to the paper.
        widths: of models of each of the paper's sizes; None for the paper's own.
        text: sources of text for pre-training.
        pretraining: changes of the paper's preset of the size.
        held_out: the share of documents to score pre-training on.
        hub: whether GLUE and SQuAD are looked for in the Hugging Face Hub.
        stand_ins: tasks where they are not to be had.
        stand_in_text: sources of text that these are made of; none for the text that comes with Python.
        rows: training and evaluation rows of a task at most; None for all.
        finetuning: of `Finetuning`.
        spans: what of it differs for questions and answers.
        pairs: of sentences that token uniformity is the mean over.
        batch, passes: sequences of a latency measurement, and how many alternating pairs it has.
    """

    name: str
    what: str
    rank: int
    widths: Mapping[Size, Widths | None]
    text: tuple[str, ...]
    pretraining: Mapping[str, Any]
    held_out: float
    hub: bool
    stand_ins: tuple[str, ...]
    rows: tuple[int, int] | None
    finetuning: Mapping[str, Any]
    spans: Mapping[str, Any] = field(default_factory=dict)
    stand_in_text: tuple[str, ...] = ()
    pairs: int = 1280
    batch: int = 128
    passes: int = 15


_OWN: dict[Size, Widths | None] = {"small": None, "base": None, "large": None}

SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale(
            name="smoke",
            what="minutes on one core: that everything runs; its scores mean nothing",
            rank=0,
            widths={
                "small": Widths(32, 2, 64, 1024, 128, 16),
                "base": Widths(48, 3, 96, 1024, 128, 24),
                "large": Widths(64, 4, 128, 1024, 128, 32),
            },
            text=("default:manual",),
            pretraining={"steps": 12, "batch": 8, "length": 32, "learning_rate": 1e-3},
            held_out=0.05,
            hub=False,
            stand_ins=("shuffled", "next-sentence"),
            rows=(64, 64),
            finetuning={
                "learning_rates": (1e-3,),
                "weight_decays": (0.01,),
                "epochs": 1,
                "batch": 16,
                "length": 32,
            },
            spans={"length": 128},
            stand_in_text=("default:manual",),
            pairs=32,
            batch=2,
            passes=3,
        ),
        Scale(
            name="laptop",
            what="hours on a CPU: narrow models on the text that comes with Python, stand-in tasks",
            rank=1,
            widths={
                "small": Widths(64, 4, 256, 8192, 128, 32),
                "base": Widths(128, 4, 512, 8192, 128, 64),
                "large": Widths(192, 6, 768, 8192, 128, 96),
            },
            text=("default",),
            pretraining={"steps": 2000, "batch": 32, "length": 64, "learning_rate": 5e-4},
            held_out=0.05,
            hub=False,
            stand_ins=("shuffled", "corpus-of-origin", "bigram-shift", "next-sentence", "same-paragraph"),
            rows=(4000, 1000),
            finetuning={
                "learning_rates": (2e-4, 5e-4),
                "weight_decays": (0.01,),
                "epochs": 2,
                "batch": 32,
                "length": 64,
            },
            spans={"length": 128},
            batch=8,
            passes=7,
        ),
        Scale(
            name="gpu",
            what="a day on one GPU: the paper's sizes, 20,000 steps on WikiText-103, GLUE with two learning rates",
            rank=2,
            widths=_OWN,
            text=("Salesforce/wikitext:wikitext-103-raw-v1",),
            pretraining={"steps": 20_000, "precision": "auto"},
            held_out=0.005,
            hub=True,
            stand_ins=("shuffled", "corpus-of-origin", "bigram-shift", "next-sentence", "same-paragraph"),
            rows=None,
            finetuning={"learning_rates": (2e-5, 5e-5), "weight_decays": (0.01,)},
        ),
        Scale(
            name="paper",
            what="the paper's: 40 epochs of Wikipedia, GLUE over its whole grid; weeks on eight GPUs",
            rank=3,
            widths=_OWN,
            text=("wikimedia/wikipedia:20231101.en",),
            pretraining={},
            held_out=0.0,
            hub=True,
            stand_ins=("shuffled", "corpus-of-origin", "bigram-shift", "next-sentence", "same-paragraph"),
            rows=None,
            finetuning={
                "learning_rates": (1e-5, 1.5e-5, 2e-5, 3e-5, 4e-5, 5e-5),
                "weight_decays": (0.1, 0.01),
                "eval_every": 100,
            },
        ),
    )
}
"""By name, the smallest first."""
