"""The primitives, one file each. A new file in this folder is found by itself; code outside calls `register`."""

from importlib import import_module
from pkgutil import iter_modules

from autobertc.dsl.ops.base import (
    Add,
    Elementwise,
    ElementwiseBinary,
    Factor,
    Input,
    MatMul,
    Pairwise,
    Primitive,
    Rowwise,
    Transpose,
    lookup,
    primitives,
    register,
    registered,
)

__all__ = [
    "INPUTS",
    "Add",
    "Elementwise",
    "ElementwiseBinary",
    "Factor",
    "Input",
    "MatMul",
    "Pairwise",
    "Primitive",
    "Rowwise",
    "Transpose",
    "lookup",
    "primitives",
    "register",
    "registered",
]

INPUTS = {name: Input(name=name, formula=f"X W_{name}") for name in ("Q", "K", "V", "P")}

for _module in sorted(iter_modules(__path__), key=lambda module: module.name):
    import_module(f"{__name__}.{_module.name}")
