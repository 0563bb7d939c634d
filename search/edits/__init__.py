"""Edits of programs and genomes, each with its inverse.

A kind of edit of programs says where it can be done, which operations it can bring there and what can stand in the
place (`surroundings.Kind`); drawing, enumerating and undoing are the same for all.
"""

from autobertc.search.edits.children import Child, KernelWeights, LayerWeights, draw_between, draw_child, draw_within
from autobertc.search.edits.drawing import KINDS, Drawn, Weights, draw_edit, program_edits
from autobertc.search.edits.layer_edit import Edit, InLayer, LayerEdit
from autobertc.search.edits.program_edit import ProgramEdit, ProgramEditKind

__all__ = [
    "KINDS",
    "Child",
    "Drawn",
    "Edit",
    "InLayer",
    "KernelWeights",
    "LayerEdit",
    "LayerWeights",
    "ProgramEdit",
    "ProgramEditKind",
    "Weights",
    "draw_between",
    "draw_child",
    "draw_edit",
    "draw_within",
    "program_edits",
]
