"""autobertc: a compiler and a search engine for language-model backbones.

    import autobertc

    architecture = autobertc.load("examples/autobert-zero-small.abz")
    model = autobertc.build(architecture, head="masked-lm")
    attention = autobertc.compile_attention("softmax(scale(Q @ K.T)) @ V")

Importing this module costs nothing: torch is loaded by what needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from autobertc import search
    from autobertc.dsl import AbzError, load, parse
    from autobertc.runtime.attention import compile_attention
    from autobertc.runtime.build import build
    from autobertc.runtime.emission import emit

__all__ = ["AbzError", "build", "compile_attention", "emit", "load", "parse", "search"]

_HOMES = {
    "AbzError": "autobertc.dsl",
    "parse": "autobertc.dsl",
    "load": "autobertc.dsl",
    "build": "autobertc.runtime.build",
    "emit": "autobertc.runtime.emission",
    "compile_attention": "autobertc.runtime.attention",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("autobertc")
    if name == "search":
        return import_module("autobertc.search")
    if name not in _HOMES:
        raise AttributeError(f"module 'autobertc' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
