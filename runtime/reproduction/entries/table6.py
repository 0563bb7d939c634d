"""Table 6: hyperparameters of pre-training, which are presets here."""

from __future__ import annotations

from autobertc.runtime.reproduction.backbones import example
from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.runtime.reproduction.paper import TABLE6
from autobertc.runtime.training.recipes import PRESETS

_EXAMPLES = {"small": "autobert-zero-small", "base": "autobert-zero-base", "large": "autobert-zero-large"}


def ours(size: str) -> dict[str, str]:
    """The rows of a size, out of its example and its preset."""
    architecture, preset = example(_EXAMPLES[size]), PRESETS[size]
    sizes = architecture.sizes
    return {
        "Layer": str(len(architecture.layers)),
        "Hidden dim": str(sizes.hidden),
        "Word embedding dim": str(sizes.embedding or sizes.hidden),
        "Intermediate layer dim": str(sizes.intermediate),
        "Attention heads": str(sizes.heads),
        "Head dim": str(sizes.head_dim),
        "Learning rate": f"{preset.learning_rate:.0e}".replace("e-0", "e-"),
        "Learning rate decay": preset.schedule.capitalize(),
        "Warm-up proportion": f"{preset.warmup:g}",
        "Adam beta 1": f"{preset.betas[0]:g}",
        "Adam beta 2": f"{preset.betas[1]:g}",
        "Dropout": f"{preset.dropout:g}",
        "Batch size": str(preset.batch),
        "Input sequence length": str(preset.length),
    }


def make(context: Context) -> Section:
    """Every number of the three presets beside the paper's."""
    found = [ours(size) for size in _EXAMPLES]
    rows = tuple(
        (name, *(cell for paper, each in zip(papers, found, strict=True) for cell in (paper, each[name])))
        for name, papers in TABLE6.items()
    )
    header = ("", *(title for size in _EXAMPLES for title in (f"{size}: paper", "ours")))
    differ = [name for name, *cells in rows if cells[::2] != cells[1::2]]
    return Section(
        done=("The presets of `autobertc pretrain` and the headers of examples/, read, not typed in.",),
        tables=(Table("Hyperparameters for pre-training", header, rows),),
        findings=(f"Different: {', '.join(differ)}." if differ else "All are the same.",),
        reasons=(
            "Word embeddings of the small models are 128 wide: with 256 they would have more than the 13M and 14M "
            "of Table 4.",
            "Epsilon 1e-6, weight decay 0.01 and clipping at 1 are BERT's; the paper does not say them.",
        ),
    )


ENTRIES = (Entry("table6", "hyperparameters of pre-training", make, exact=True, order=6),)
