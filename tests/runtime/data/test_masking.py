"""Masks, on real text: ratios by binomial bounds, and the same for a seed whatever the workers."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from real_text import fits, is_share
from tiny import architecture
from torch.utils.data import DataLoader, SequentialSampler, Subset
from transformers import PreTrainedTokenizerFast, Trainer, TrainingArguments

from autobertc.runtime.build import build
from autobertc.runtime.data.corpus import Corpus
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.data.examples import PackedExamples, StreamedExamples
from autobertc.runtime.data.masking import IGNORED, Masking, MaskingCollator
from autobertc.runtime.data.packing import Packing
from autobertc.runtime.data.sources import TextSource

Batch = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def examples(corpus: Corpus, tokenizer: PreTrainedTokenizerFast, cache: Path) -> PackedExamples:
    return PackedExamples(corpus, tokenizer, epochs=2, cache=cache, progress=False)


@pytest.fixture(scope="module")
def rows(examples: PackedExamples) -> list[dict[str, Any]]:
    return [examples[number] for number in range(len(examples))]


def originals(batch: Batch) -> torch.Tensor:
    return torch.where(batch["labels"] == IGNORED, batch["input_ids"], batch["labels"])


@pytest.mark.parametrize("rate", [0.15, 0.3])
def test_ratios(rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerFast, rate: float) -> None:
    """15% of each example's tokens; of these 80% show the mask, 10% any word, 10% their own."""
    batch = MaskingCollator(tokenizer, Masking(rate))(rows)
    chosen = batch["labels"] != IGNORED
    special = torch.isin(originals(batch), torch.tensor(tokenizer.all_special_ids))
    lengths = batch["attention_mask"].sum(1)
    assert not (chosen & special).any() and not (chosen & (batch["attention_mask"] == 0)).any()
    for row, length, count in zip(rows, lengths.tolist(), chosen.sum(1).tolist(), strict=True):
        assert length == len(row["input_ids"])
        plain = sum(token not in tokenizer.all_special_ids for token in row["input_ids"].tolist())
        assert count == min(max(1, round(length * rate)), plain)
    assert (
        originals(batch)[batch["attention_mask"] == 1].numpy() == np.concatenate([r["input_ids"] for r in rows])
    ).all()

    shown, own = batch["input_ids"][chosen], batch["labels"][chosen]
    total, vocabulary = len(shown), len(tokenizer) - len(tokenizer.all_special_ids)
    assert total > 20_000
    masked = shown == tokenizer.mask_token_id
    assert is_share(masked.sum(), total, 0.8)
    assert is_share((shown == own).sum(), total, 0.1 + 0.1 / vocabulary)
    others = shown[~masked & (shown != own)]
    assert is_share(len(others), total, 0.1 * (1 - 1 / vocabulary))
    assert not torch.isin(others, torch.tensor(tokenizer.all_special_ids)).any()
    twentieths = np.bincount((others.numpy() - 5) * 20 // vocabulary, minlength=20)
    assert fits(twentieths.tolist(), [len(others) / 20] * 20)


def test_every_place_is_as_likely(rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerFast) -> None:
    batch = MaskingCollator(tokenizer)(rows)
    full = batch["attention_mask"].sum(1) == 128
    candidates = ~torch.isin(originals(batch), torch.tensor(tokenizer.all_special_ids)) & full[:, None]
    chosen = (batch["labels"] != IGNORED) & full[:, None]
    hits, chances = chosen.sum(0).double(), (candidates / candidates.sum(1, keepdim=True).clamp(min=1) * 19).sum(0)
    places = chances > 50
    assert places.sum() > 120
    assert fits(hits[places].tolist(), (chances[places] * hits[places].sum() / chances[places].sum()).tolist())


def test_whole_words(rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerFast) -> None:
    collate = MaskingCollator(tokenizer, Masking(whole_words=True))
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    pieces, wanted, given = 0, 0, 0
    for row in rows[:600]:
        _, labels = collate.mask_row(row)
        chosen = labels != IGNORED
        ids = row["input_ids"].tolist()
        for i in range(1, len(ids)):
            if tokens[ids[i]].startswith("##") and ids[i - 1] not in tokenizer.all_special_ids:
                assert chosen[i] == chosen[i - 1]
                pieces += 1
        count = max(1, round(len(ids) * 0.15))
        assert chosen.sum() <= count
        wanted, given = wanted + count, given + int(chosen.sum())
    assert pieces > 2000 and given > 0.98 * wanted


def test_a_piece_after_a_separator_begins_a_word(tokenizer: PreTrainedTokenizerFast) -> None:
    vocabulary = tokenizer.get_vocab()
    piece = next(number for word, number in vocabulary.items() if word.startswith("##"))
    row = {"input_ids": np.array([2, vocabulary["the"], 3, piece, piece, 3])}
    collate = MaskingCollator(tokenizer, Masking(0.34, whole_words=True))
    seen = {tuple(collate.mask_row(row | {"draw": 0, "example": i})[1] != IGNORED) for i in range(60)}
    assert seen == {(False, True, False, False, False, False), (False, False, False, True, True, False)}


def test_most_predictions(rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerFast) -> None:
    counts = (MaskingCollator(tokenizer, Masking(max_predictions=7))(rows)["labels"] != IGNORED).sum(1)
    assert counts.max() == 7 and (counts == 7).sum() > 500
    # BERT's bound at this length is that of its rate.
    assert max((MaskingCollator(tokenizer)(rows)["labels"] != IGNORED).sum(1)) == round(0.15 * 128) <= 20


@pytest.mark.parametrize("dynamic", [True, False])
def test_dynamic_or_fixed(corpus: Corpus, tokenizer: PreTrainedTokenizerFast, cache: Path, dynamic: bool) -> None:
    """Epochs 0 and 2 have the pairs of one duplicate: with masks of their own, or with the duplicate's."""
    settings: dict[str, Any] = {"epochs": 4, "duplicates": 2, "dynamic": dynamic}
    examples = PackedExamples(corpus, tokenizer, cache=cache, progress=False, **settings)
    collate = MaskingCollator(tokenizer)
    by_epoch: list[dict[int, Any]] = []
    for start, stop in itertools.pairwise(examples.starts.tolist()):
        by_epoch.append({row["example"]: row for row in (examples[i] for i in range(start, stop))})
    same = []
    for example, row in by_epoch[0].items():
        again = by_epoch[2][example]
        assert (row["input_ids"] == again["input_ids"]).all()
        same.append((collate.mask_row(row)[1] == collate.mask_row(again)[1]).all())
    assert all(same) if not dynamic else np.mean(same) < 0.1
    lengths = [[len(row["input_ids"]) for _, row in sorted(rows.items())] for rows in by_epoch]
    assert lengths[0] == lengths[2] != lengths[1] == lengths[3]


def batches(data: Any, collate: MaskingCollator, workers: int, size: int = 16) -> list[Batch]:
    return list(DataLoader(data, batch_size=size, collate_fn=collate, num_workers=workers))


def assert_equal(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second) > 3
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_same_whatever_the_workers(examples: PackedExamples, tokenizer: PreTrainedTokenizerFast) -> None:
    some = Subset(examples, range(700, 1000))
    alone = batches(some, MaskingCollator(tokenizer, seed=7), 0)
    for workers in (1, 2):
        assert_equal(alone, batches(some, MaskingCollator(tokenizer, seed=7), workers))
    other = batches(some, MaskingCollator(tokenizer, seed=8), 0)
    assert sum(torch.equal(a["labels"], b["labels"]) for a, b in zip(alone, other, strict=True)) == 0


def test_the_same_whatever_came_before(examples: PackedExamples, tokenizer: PreTrainedTokenizerFast) -> None:
    """Other batches, another start, another process: a row's masks are its own."""
    collate = MaskingCollator(tokenizer, length=128)
    together = collate([examples[i] for i in range(40, 80)])
    for i in range(79, 39, -1):
        alone = MaskingCollator(tokenizer, length=128)([examples[i]])
        assert all(torch.equal(alone[name][0], together[name][i - 40]) for name in alone)


def test_in_a_trainer(examples: PackedExamples, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    """The library's Trainer takes dataset and collator as they are."""

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return SequentialSampler(examples)

    model = build(architecture("bert"), vocab_size=len(tokenizer), max_position_embeddings=128)
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=3,
        per_device_train_batch_size=4,
        remove_unused_columns=False,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        save_strategy="no",
    )
    trainer = InOrder(model, arguments, train_dataset=examples, data_collator=MaskingCollator(tokenizer))
    assert 5 < trainer.train().training_loss < 12
    with pytest.raises(DataError, match="remove_unused_columns=False"):
        MaskingCollator(tokenizer)([{"input_ids": np.array([2, 7, 3])}])


def test_padding(examples: PackedExamples, tokenizer: PreTrainedTokenizerFast) -> None:
    short = sorted((examples[i] for i in range(200)), key=lambda row: len(row["input_ids"]))[:5]
    longest = len(short[-1]["input_ids"])
    assert MaskingCollator(tokenizer)(short)["input_ids"].shape == (5, longest)
    assert MaskingCollator(tokenizer, multiple=8)(short)["input_ids"].shape == (5, -(-longest // 8) * 8)
    batch = MaskingCollator(tokenizer, length=128)(short)
    assert batch["input_ids"].shape == (5, 128)
    empty = batch["attention_mask"] == 0
    assert (batch["input_ids"][empty] == tokenizer.pad_token_id).all() and (batch["labels"][empty] == IGNORED).all()
    assert batch["next_sentence_label"].tolist() == [row["next_sentence_label"] for row in short]


def test_streamed(tokenizer: PreTrainedTokenizerFast, cache: Path) -> None:
    """What is not stored is packed by the same rules, and any number of workers gives the same batches."""
    source = TextSource.parse("default:manual")

    def stream(**settings: Any) -> StreamedExamples:
        return StreamedExamples([source], tokenizer, Packing(64), batch_size=16, cache=cache, **settings)

    rows = list(stream(block=20))
    assert len(rows) > 1500 and sorted(row["example"] for row in rows) == list(range(len(rows)))
    assert all(len(row["input_ids"]) <= 64 for row in rows)
    alone = batches(stream(block=20), MaskingCollator(tokenizer), 0)
    assert_equal(alone, batches(stream(block=20), MaskingCollator(tokenizer), 2))
    endless = itertools.islice(stream(epochs=None, block=20), 2 * len(rows))
    assert [row["draw"] for row in endless][:: len(rows)] == [0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0.0}, "between 0 and 1"),
        ({"max_predictions": 0}, "1 prediction at least"),
        ({"mask": 0.8, "random": 0.3}, "at most 1 together"),
    ],
)
def test_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Masking(**settings)
