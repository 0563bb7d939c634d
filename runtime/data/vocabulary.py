"""A WordPiece tokenizer trained on sources of text, kept by content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from autobertc.runtime.data.cache import cached, default_cache, digest
from autobertc.runtime.data.documents import documents, fingerprint
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.tokenizer import save_tokenizer, train_on

MAX_CHARACTERS = 200_000_000
_VERSION = 1  # of what training makes of a text


def train_tokenizer(
    sources: Sequence[TextSource],
    vocab_size: int,
    max_length: int,
    *,
    cache: Path | None = None,
    characters: int = MAX_CHARACTERS,
) -> PreTrainedTokenizerFast:
    """BERT's kind of tokenizer, lower-casing, of at most `vocab_size` entries, for the text of sources.

    It is trained on the first `characters` of it, an equal share from each source, and trained once: equal texts give
    equal tokenizers. Raises `DataError`, and `TokenizerError` where there are no words or no room for any.
    """
    cache = default_cache() if cache is None else Path(cache)
    share = characters // len(sources)
    key = digest("vocabulary", _VERSION, [fingerprint(source, cache) for source in sources], vocab_size, share)

    def build(folder: Path) -> None:
        lines = (line for source in sources for line in _lines(source, cache, share))
        save_tokenizer(train_on(lines, vocab_size, max_length, ", ".join(map(str, sources))), folder)

    folder = cached(cache / "tokenizers" / key, build)
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.model_max_length = max_length
    return tokenizer


def _lines(source: TextSource, cache: Path, characters: int) -> Iterator[str]:
    with documents(source, cache) as table:
        for row in table:
            text = row["text"] or ""
            characters -= len(text)
            yield from text.splitlines()
            if characters <= 0:
                return
