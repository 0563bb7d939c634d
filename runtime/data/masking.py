"""Masked language modelling's masks (Devlin et al. 2019, section 3.1), drawn by seed, epoch and example.

Never by arrival: a row has the same masks in whatever batch and by whatever worker it is collated, and in a run that
was stopped and resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from autobertc.runtime.data.corpus import plain
from autobertc.runtime.data.errors import DataError

IGNORED = -100  # the label of a position that is not predicted
Array = NDArray[np.int64]
_MASKS = 0  # keeps the draws of masks apart from those of orders


@dataclass(frozen=True)
class Masking:
    """What is masked.

    Attributes:
        rate: of an example's tokens (special tokens count, and are never masked); one at least.
        max_predictions: of an example; None for no bound but the rate. BERT's 20 at length 128 is that of its rate.
        whole_words: mask all pieces of a word or none (WordPiece only). A word that would exceed the number is
            passed over.
        mask, random: the share of masked positions that show [MASK], and a random word; the others show their own.
    """

    rate: float = 0.15
    max_predictions: int | None = None
    whole_words: bool = False
    mask: float = 0.8
    random: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise DataError(f"the mask rate must be between 0 and 1, not {self.rate:g}")
        if self.max_predictions is not None and self.max_predictions < 1:
            raise DataError(f"an example must have 1 prediction at least, not {self.max_predictions}")
        if min(self.mask, self.random) < 0 or self.mask + self.random > 1:
            raise DataError("the shares of masks and of random words must be at least 0, and at most 1 together")

    def count(self, length: int) -> int:
        """How many of an example's tokens are masked, where it has so many."""
        wanted = max(1, round(length * self.rate))
        return wanted if self.max_predictions is None else min(wanted, self.max_predictions)


class MaskingCollator:
    """Batches of rows of `PackedExamples`: `input_ids`, `token_type_ids`, `attention_mask`, `labels` `[batch, N]`
    and `next_sentence_label` `[batch]`. `labels` has the right word where one is masked, -100 elsewhere.

    Rows need `input_ids`, `draw` and `example`; `token_type_ids` and `next_sentence_label` go along where they are.

    Args:
        tokenizer: with a mask and a padding token.
        multiple: N is the longest row's length, rounded up to a multiple of this.
        length: N, if all batches shall have one.

    Raises `DataError` where the tokenizer has no mask token, or is no WordPiece and whole words are asked for.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        masking: Masking | None = None,
        *,
        seed: int = 0,
        multiple: int = 1,
        length: int | None = None,
    ) -> None:
        if tokenizer.mask_token_id is None or tokenizer.pad_token_id is None:
            raise DataError("the tokenizer has no mask token or no padding token: it is not one for masked models")
        self.masking, self.seed, self.multiple, self.length = masking or Masking(), seed, multiple, length
        self.mask_id, self.pad_id = tokenizer.mask_token_id, tokenizer.pad_token_id
        self.special = np.zeros(len(tokenizer), bool)
        self.special[tokenizer.all_special_ids] = True
        self.words = np.flatnonzero(~self.special)
        self.continues = _continuing(tokenizer) if self.masking.whole_words else None

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        if missing := {"draw", "example"} - set(rows[0]):
            raise DataError(
                f"rows have no {' and '.join(sorted(missing))}: give PackedExamples, and `remove_unused_columns=False`"
            )
        longest = max(len(row["input_ids"]) for row in rows)
        length = self.length or -(-longest // self.multiple) * self.multiple
        shape = (len(rows), length)
        batch = {
            "input_ids": np.full(shape, self.pad_id),
            "token_type_ids": np.zeros(shape, np.int64),
            "attention_mask": np.zeros(shape, np.int64),
            "labels": np.full(shape, IGNORED),
        }
        for number, row in enumerate(rows):
            size = len(row["input_ids"])
            shown, labels = self.mask_row(row)
            batch["input_ids"][number, :size], batch["labels"][number, :size] = shown, labels
            batch["token_type_ids"][number, :size] = row.get("token_type_ids", 0)
            batch["attention_mask"][number, :size] = 1
        if "next_sentence_label" in rows[0]:
            batch["next_sentence_label"] = np.array([row["next_sentence_label"] for row in rows])
        return {name: torch.from_numpy(values.astype(np.int64, copy=False)) for name, values in batch.items()}

    def mask_row(self, row: dict[str, Any]) -> tuple[Array, Array]:
        """What a row shows, and its labels, both `[length]`."""
        ids = np.asarray(row["input_ids"], np.int64)
        rng = np.random.default_rng([self.seed, _MASKS, row["draw"], row["example"]])
        chosen = self._choose(ids, self.masking.count(len(ids)), rng)
        kind, words = rng.random(len(chosen)), rng.choice(self.words, len(chosen))
        shown, labels = ids.copy(), np.full(len(ids), IGNORED)
        labels[chosen] = ids[chosen]
        masked, replaced = kind < self.masking.mask, kind >= 1 - self.masking.random
        shown[chosen[masked]] = self.mask_id
        shown[chosen[replaced]] = words[replaced]
        return shown, labels

    def _choose(self, ids: Array, count: int, rng: np.random.Generator) -> Array:
        candidates = np.flatnonzero(~self.special[ids])
        if self.continues is None:
            return rng.permutation(candidates)[:count]
        # A piece that continues a word does so only next to it: not after [SEP], where a text was cut.
        begins = ~self.continues[ids[candidates]]
        begins[np.diff(candidates, prepend=-2) > 1] = True
        starts = np.flatnonzero(begins).tolist()
        sizes = np.diff([*starts, len(candidates)]).tolist()
        chosen: list[int] = []
        for word in rng.permutation(len(sizes)).tolist():
            if sizes[word] <= count - len(chosen):
                chosen += range(starts[word], starts[word] + sizes[word])
        return candidates[chosen]


def _continuing(tokenizer: PreTrainedTokenizerFast) -> NDArray[np.bool_]:
    prefix = getattr(plain(tokenizer).model, "continuing_subword_prefix", None)
    if not prefix:
        raise DataError(
            "whole words can be masked with a WordPiece tokenizer only: this one does not mark their pieces"
        )
    continues = np.zeros(len(tokenizer), bool)
    for word, number in tokenizer.get_vocab().items():
        continues[number] = word.startswith(prefix)
    return continues
