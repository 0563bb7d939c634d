"""Weights to start a pre-training from: a model that was trained before, or whatever gives tensors by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from autobertc.dsl.architecture import Architecture
from autobertc.runtime.conversion import copy_weights, model_name, read_weights
from autobertc.runtime.data.cache import digest
from autobertc.runtime.data.corpus import plain
from autobertc.runtime.data.errors import DataError, reason
from autobertc.runtime.tokenizer import holds_tokenizer
from autobertc.runtime.training.recipes import TrainingError

_WEIGHTS = ("*.safetensors", "pytorch_model.bin")
_OF_WORDS = ("bert.embeddings.word_embeddings.weight", "cls.predictions.bias")
_SHOWN = 6


@dataclass(frozen=True)
class InitialWeights:
    """Where a model's first weights come from, before it is trained.

    Attributes:
        name: what a person calls it.
        digest: of what it holds, so that a resumed run can tell that it is the same.
        load: tensors for an architecture, by the names of its pre-training model. Called when a run begins.
        vocabulary: the digest of the tokenizer that they were trained with; None where it is not known.
    """

    name: str
    digest: str
    load: Callable[[Architecture], Mapping[str, Tensor]]
    vocabulary: str | None = None


def tokenizer_digest(tokenizer: PreTrainedTokenizerFast) -> str:
    """A hash of what a tokenizer does."""
    return digest(plain(tokenizer).to_str())


def holds_weights(path: Path) -> bool:
    """Whether there is a model's folder, or a file of its tensors."""
    return path.suffix == ".safetensors" if path.is_file() else any(list(path.glob(kind)) for kind in _WEIGHTS)


def from_folder(path: Path) -> InitialWeights:
    """The weights of a model folder, or of a safetensors file.

    Raises `TrainingError` where there are none; `load` raises `ConversionError` where they cannot be read.
    """
    if not holds_weights(path):
        raise TrainingError(f"{path} holds no weights: give a model folder, or a .safetensors file")
    files = [path] if path.is_file() else sorted(file for kind in _WEIGHTS for file in path.glob(kind))
    content = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            content.update(hashlib.file_digest(opened, "sha256").digest())
    return InitialWeights(str(path), content.hexdigest()[:32], lambda _: _read(path), _vocabulary_of(path))


def _read(path: Path) -> dict[str, Tensor]:
    if path.is_dir():
        found = read_weights(path)
    else:
        try:
            found = load_file(path)
        except Exception as error:  # the library raises many kinds for a broken file
            raise TrainingError(f"cannot read {path}: {reason(error)}") from error
    return {model_name(name): tensor for name, tensor in found.items()}


def _vocabulary_of(path: Path) -> str | None:
    if not path.is_dir() or not holds_tokenizer(path):
        return None
    try:
        return tokenizer_digest(AutoTokenizer.from_pretrained(path, local_files_only=True))
    except (OSError, ValueError, DataError):
        return None


def begin_from(
    model: Any,
    weights: InitialWeights,
    architecture: Architecture,
    tokenizer: PreTrainedTokenizerFast,
    say: Callable[[str], None],
) -> None:
    """Put weights into a model wherever names and shapes agree, and say what was taken and what was not.

    The vectors of words stay as they were drawn where the two tokenizers are known to differ: the same number would be
    another word. Raises `TrainingError` where nothing fits.
    """
    found = dict(weights.load(architecture))
    other_words = weights.vocabulary is not None and weights.vocabulary != tokenizer_digest(tokenizer)
    if other_words:
        found = {name: tensor for name, tensor in found.items() if name not in _OF_WORDS}
    copied = copy_weights(model, found)
    if not copied.copied:
        raise TrainingError(f"no weight of {weights.name} has a name and a shape of this model")
    state = model.state_dict()
    taken = sum(state[name].numel() for name in copied.copied)
    drawn = sum(state[name].numel() for name in (*copied.initial, *(name for name, _, _ in copied.mismatched)))
    say(f"weights: {len(copied.copied)} tensors of {weights.name}, {taken / (taken + drawn):.1%} of the parameters")
    if other_words:
        say(f"  its tokenizer is another: vectors of words are drawn anew (--tokenizer {weights.name} would keep them)")
    shapes = [f"{name} is {list(theirs)} there, {list(ours)} here" for name, ours, theirs in copied.mismatched]
    for title, lines in (
        ("drawn anew, of other shapes", shapes),
        ("drawn anew, not there", [name for name in copied.initial if not (other_words and name in _OF_WORDS)]),
        ("not used", copied.unused),
    ):
        if lines:
            more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
            say(f"  {title}: {', '.join(lines[:_SHOWN])}{more}")
