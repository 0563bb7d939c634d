"""The text that comes with Python: its reference manual's topics, and the docstrings of its standard library.

About 65,000 and 250,000 words of English, there wherever Python is; a topic and a module are a document each.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics

from datasets import Dataset

from autobertc.runtime.data.cache import cached, digest
from autobertc.runtime.data.reading import quiet

_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "pydoc_data", "__pycache__"}
_VERSION = 1  # of what this file makes of it


def _docstrings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield _prose(text)


def _prose(text: str) -> str:
    """Without its examples at the prompt."""
    return "\n\n".join(part for part in text.split("\n\n") if ">>>" not in part)


def _manual() -> Iterator[str]:
    for name in sorted(topics):
        yield _prose(topics[name])


def _library() -> Iterator[str]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        if _SKIPPED.isdisjoint(path.relative_to(root).parts):
            try:
                tree = ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):  # a file that is wrong on purpose
                continue
            yield "\n\n".join(_docstrings(tree))


PARTS: dict[str, Callable[[], Iterator[str]]] = {"manual": _manual, "docstrings": _library}
"""The two parts of the default corpus."""


def embedded_documents(part: str, cache: Path) -> Dataset:
    """The documents of a part, a column `text`; kept in the cache, as it takes seconds to read a thousand modules."""

    def build(folder: Path) -> None:
        texts = Dataset.from_dict({"text": [text for text in PARTS[part]() if text.strip()]})
        with quiet(progress=False):
            texts.save_to_disk(folder)

    return Dataset.load_from_disk(str(cached(cache / "embedded" / digest(part, sys.version, _VERSION), build)))
