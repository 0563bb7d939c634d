"""Figure 7: the architecture of AutoBERT-Zero."""

from __future__ import annotations

from autobertc.dsl.architecture import AttentionLayer
from autobertc.dsl.graph import print_program
from autobertc.runtime.drawing import draw
from autobertc.runtime.reproduction.backbones import example
from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.runtime.reproduction.paper import FIGURE7

_NAME = "autobert-zero-base"


def make(context: Context) -> Section:
    """The published backbone drawn, and its layers in words."""
    architecture = example(_NAME)
    for suffix in ("png", "svg"):
        draw(architecture, context.figures / f"backbone.{suffix}")
    kinds, rows = [], []
    for number, layer in enumerate(architecture.layers, start=1):
        attention = isinstance(layer, AttentionLayer)
        kinds.append("att" if isinstance(layer, AttentionLayer) else f"conv {layer.kernel}")
        text = print_program(layer.program) if isinstance(layer, AttentionLayer) else kinds[-1]
        rows.append((str(number), f"`{' '.join(text.split())}`" if attention else text))
    same = ", ".join(kinds) == FIGURE7
    return Section(
        done=(f"The layers of examples/{_NAME}.abz. That a search finds them is Figure 6's matter.",),
        tables=(Table("Layers", ("layer", "what"), tuple(rows)),),
        figures=("backbone.png",),
        findings=(f"Kinds and widths of layers are {'the' if same else 'not the'} paper's: {FIGURE7}.",),
        reasons=("Layers 2 and 12 are also printed as formulas in the text; the others are read off the figure.",),
    )


ENTRIES = (Entry("figure7", "the architecture of AutoBERT-Zero", make, exact=True, order=17),)
