"""Tokenizers for emitted models: a given one, or a WordPiece vocabulary trained on given text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from autobertc.dsl.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# In BERT's order, so that the padding token is 0.
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
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


def train(files: list[Path], vocab_size: int, max_length: int) -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer, BERT's kind, of at most `vocab_size` entries.

    Raises `TokenizerError` where a file cannot be read or the text has no words.
    """
    from transformers import PreTrainedTokenizerFast

    lines = [line for path in files for line in _read(path).splitlines() if line.strip()]
    if not lines:
        raise TokenizerError(f"no text to train a tokenizer on in {', '.join(map(str, files))}")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIAL_TOKENS), show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(lines, trainer)
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
        tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(path, local_files_only=True)
    except Exception as error:  # the library raises many kinds for a broken folder
        raise TokenizerError(f"cannot load the tokenizer of {path}: {str(error).splitlines()[0]}") from error
    return tokenizer
