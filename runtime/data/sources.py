"""Where text comes from, as a user names it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from autobertc.runtime.data.embedded import PARTS
from autobertc.runtime.data.errors import DataError, unknown

DocumentKind = Literal["paragraph", "line", "file"]
"""What a document is in a text file: what stands between blank lines, a line, all of it."""
SentenceKind = Literal["split", "line"]
"""Where a document's sentences end: where the splitter says, or at line ends."""

_WEIGHTED = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\*(.+)", re.DOTALL)
DEFAULT = "default"


@dataclass(frozen=True)
class TextSource:
    """One source of documents.

    Attributes:
        name: `default`, the text that comes with Python; a file or folder; or a data set of the Hugging Face Hub.
        config: the Hub data set's configuration, or a part of the default (`manual`, `docstrings`).
        split: of the data set.
        column: the column that holds the text, in everything but text files.
        weight: among several sources, the share of documents that come from this one. If no source has a weight,
            every document comes once.
        documents, sentences: see `DocumentKind`, for text files only, and `SentenceKind`.
    """

    name: str
    config: str | None = None
    split: str = "train"
    column: str = "text"
    weight: float | None = None
    documents: DocumentKind = "paragraph"
    sentences: SentenceKind = "split"

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("kind of document", self.documents, get_args(DocumentKind)),
            ("kind of sentence", self.sentences, get_args(SentenceKind)),
        ):
            if value not in choices:
                raise unknown(what, value, choices)
        if self.weight is not None and not 0 < self.weight < float("inf"):
            raise DataError(f"the weight of {self.name} must be above 0, not {self.weight:g}")
        if self.embedded and self.config is not None and self.config not in PARTS:
            raise unknown(f"part of the {DEFAULT} corpus", self.config, PARTS)

    @classmethod
    def parse(cls, text: str, **settings: object) -> TextSource:
        """A source written `[WEIGHT*]NAME[:CONFIG]`: `default`, `notes.txt`, `0.7*wikimedia/wikipedia:20231101.en`.

        Raises `DataError`.
        """
        weighted = _WEIGHTED.fullmatch(text)
        if weighted and not Path(text).exists():
            settings["weight"], text = float(weighted[1]), weighted[2]
        name, colon, config = text.partition(":")
        if colon and not Path(text).exists():
            settings["config"], text = config, name
        if not text:
            raise DataError(f"a source has no name; write a path, a Hub data set, or `{DEFAULT}`")
        return cls(text, **settings)  # type: ignore[arg-type]

    @property
    def embedded(self) -> bool:
        """Whether it is the text that comes with Python."""
        return self.name == DEFAULT

    def __str__(self) -> str:
        return self.name if self.config is None else f"{self.name}:{self.config}"
