"""Tokenizers for emitted models: a given one, or a WordPiece vocabulary trained on given text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from autobertc.dsl.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# In BERT's order, so that the padding token is 0.
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# The library's own bound.
MAX_ALPHABET = 1000
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")


class TokenizerError(UserError):
    """A tokenizer that cannot be had, in words for a user."""


def holds_tokenizer(directory: Path) -> bool:
    """Whether a folder holds the files of a tokenizer."""
    return any((directory / name).exists() for name in _TOKENIZER_FILES)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TokenizerError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TokenizerError(f"cannot read {path}: not UTF-8 at byte {error.start}") from error


def _empty(vocabulary: dict[str, int] | None = None) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary or {}, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _alphabet(lines: list[str], tokenizer: Tokenizer, room: int) -> list[str]:
    """The commonest characters of a text, as entries that begin a word and that continue one, in a fixed order."""
    words = Counter(word for line in lines for word in tokenizer.normalizer.normalize_str(line).split())
    counts: Counter[str] = Counter()
    continuing = set()
    for word, count in words.items():
        for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(word):
            for character in piece:
                counts[character] += count
            continuing.update(piece[1:])
    begin: list[str] = []
    for character in sorted(counts, key=lambda character: (-counts[character], character))[:MAX_ALPHABET]:
        room -= 1 + (character in continuing)
        if room < 0:
            break
        begin.append(character)
    begin.sort()
    return [*begin, *(f"##{character}" for character in begin if character in continuing)]


def _vocabulary(lines: list[str], vocab_size: int) -> dict[str, int]:
    """A WordPiece vocabulary of a text, the same in every process.

    The library numbers characters in the order of a hash table that differs by process, and settles ties between
    pairs by these numbers. Characters that are special tokens of the training have theirs beforehand.
    """
    tokenizer = _empty()
    alphabet = _alphabet(lines, tokenizer, vocab_size - len(SPECIAL_TOKENS))
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *alphabet],
        limit_alphabet=0,
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator(lines, trainer)
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    return vocabulary


def train(files: list[Path], vocab_size: int, max_length: int) -> PreTrainedTokenizerFast:
    """`train_on` the lines of files. Raises `TokenizerError` also where a file cannot be read."""
    lines = [line for path in files for line in _read(path).splitlines()]
    return train_on(lines, vocab_size, max_length, where=", ".join(map(str, files)))


def train_on(lines: Iterable[str], vocab_size: int, max_length: int, where: str) -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer, BERT's kind, of at most `vocab_size` entries; equal texts, equal tokenizers.

    `where` names the text in messages. Raises `TokenizerError` where it has no words or nothing fits in the vocabulary.
    """
    from transformers import PreTrainedTokenizerFast

    if vocab_size <= len(SPECIAL_TOKENS):
        raise TokenizerError(f"a vocabulary of {vocab_size} has no room for words beside {', '.join(SPECIAL_TOKENS)}")
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise TokenizerError(f"no text to train a tokenizer on in {where}")
    tokenizer = _empty(_vocabulary(lines, vocab_size))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    cls, sep = SPECIAL_TOKENS.index("[CLS]"), SPECIAL_TOKENS.index("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name.strip('[]').lower()}_token": name for name in SPECIAL_TOKENS},
    )


def make_tokenizer(path: Path, vocab_size: int, max_length: int) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder that holds one, or one trained on a text file or on a folder's `.txt` files.

    Raises `TokenizerError` where there is none, or where it has more entries than the model's vocabulary.
    """
    path = Path(path)
    if path.is_file():
        tokenizer = train([path], vocab_size, max_length)
    elif not path.is_dir():
        raise TokenizerError(f"there is no tokenizer folder or text file {path}")
    elif holds_tokenizer(path):
        tokenizer = _load(path)
    elif files := sorted(path.glob("*.txt")):
        tokenizer = train(files, vocab_size, max_length)
    else:
        raise TokenizerError(
            f"{path} holds neither a tokenizer (one of {', '.join(_TOKENIZER_FILES)}) nor .txt files to train one on"
        )
    if len(tokenizer) > vocab_size:
        raise TokenizerError(
            f"the tokenizer of {path} has {len(tokenizer):,} entries, the model's vocabulary {vocab_size:,}: "
            f"set `vocab: {len(tokenizer)}` or more in the header"
        )
    return tokenizer


def _load(path: Path) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # the library raises many kinds for a broken folder
        raise TokenizerError(f"cannot load the tokenizer of {path}: {_reason(error)}") from error
    return tokenizer


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, directory: Path) -> None:
    """Write a tokenizer's files into a folder. Raises `TokenizerError`."""
    try:
        tokenizer.save_pretrained(directory)
    except OSError:
        raise
    except Exception as error:  # the library has no class of its own for a full disk
        raise TokenizerError(f"cannot write the tokenizer: {_reason(error)}") from error
