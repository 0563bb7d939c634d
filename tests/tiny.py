"""Small architectures, and where the library may put what it loads of them."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache

from command_line import HEADER

from autobertc.dsl.architecture import Architecture
from autobertc.dsl.checker import check
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.source import Source

BERT = "softmax(scale(Q @ K.T)) @ V"
LAYERS = {
    "bert": f"repeat 2 {{ att: {BERT} }}\n",
    "mixed": f"conv: 3\natt: {BERT}\natt: Q @ (K.T @ V)\natt: logsigmoid(softmax(Q @ P.T))\nconv: 65\n",
    "convolutions": "conv: 3\nconv: 31\n",
    "linear": "att: Q @ (K.T @ V)\nconv: 7\n",
}


def architecture(layers: str, header: str = HEADER) -> Architecture:
    """An architecture of named, or of given, layers."""
    return check(parse_tree(Source("tiny.abz", header + LAYERS.get(layers, layers)))).architecture


@cache
def keep_code_away() -> None:
    """The library copies code that it loads from a folder: into a temporary place, not into the user's home."""
    import transformers.dynamic_module_utils as library

    place = tempfile.mkdtemp(prefix="autobertc-tests-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    library.HF_MODULES_CACHE = place
