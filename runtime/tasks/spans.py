"""Questions and texts as features: a text longer than the room is seen through windows that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerFast

from autobertc.runtime.data.errors import DataError

Offsets = Sequence[tuple[int, int]]


def encode_questions(
    batch: dict[str, list[Any]],
    tokenizer: PreTrainedTokenizerFast,
    max_length: int,
    stride: int,
    max_question: int,
    training: bool,
) -> dict[str, Any]:
    """Features of a batch of rows, each `[CLS] question [SEP] a window of the context [SEP]`.

    `question` is its id; `offsets` the characters of the context that a token stands for, [-1, -1]
    outside it; `best_context` whether this is the window that sees most around the token (Devlin et al.'s code).
    """
    limit = min(max_question, (max_length - 3) // 2)
    if limit < 2:
        raise DataError(f"a length of {max_length} has no room for a question and a text")
    questions = _cut_questions(batch["question"], tokenizer, limit)
    features = tokenizer(
        questions,
        batch["context"],
        truncation="only_second",
        max_length=max_length,
        stride=min(stride, (max_length - 3 - limit) // 2),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    found = {name: features[name] for name in tokenizer.model_input_names if name in features}
    rows = features["overflow_to_sample_mapping"]
    offsets = [
        [place if part == 1 else (-1, -1) for place, part in zip(places, features.sequence_ids(i), strict=True)]
        for i, places in enumerate(features["offset_mapping"])
    ]
    if training:
        spans = [_span(batch["answers"][row], places) for row, places in zip(rows, offsets, strict=True)]
        return found | {"start_positions": [a for a, _ in spans], "end_positions": [b for _, b in spans]}
    best = _best_context(rows, offsets)
    return found | {"question": [batch["id"][row] for row in rows], "offsets": offsets, "best_context": best}


def _cut_questions(questions: Sequence[str], tokenizer: PreTrainedTokenizerFast, limit: int) -> list[str]:
    """Questions without the tokens beyond a number; white space in front would use up the room."""
    stripped = [question.strip() for question in questions]
    places = tokenizer(stripped, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [
        text[: place[limit - 1][1]] if len(place) > limit else text
        for text, place in zip(stripped, places, strict=True)
    ]


def _span(answers: dict[str, Any], offsets: Offsets) -> tuple[int, int]:
    """The first and the last token that cover the first answer; 0, 0 ([CLS]) where the window has not all of it."""
    if not answers["text"]:
        return 0, 0
    # White space at an answer's ends, which some have, is in no token.
    text = answers["text"][0]
    first = answers["answer_start"][0] + len(text) - len(text.lstrip())
    last = first + len(text.strip())
    inside = [i for i, (start, stop) in enumerate(offsets) if start >= 0 and start < last and stop > first]
    if not inside or offsets[inside[0]][0] > first or offsets[inside[-1]][1] < last:
        return 0, 0
    return inside[0], inside[-1]


def _best_context(rows: Sequence[int], offsets: Sequence[Offsets]) -> list[list[bool]]:
    """For each token whether no other window of its row has more on the shorter side of it (longer windows first)."""
    best: dict[tuple[int, int], tuple[float, int]] = {}
    contexts = [[i for i, (start, _) in enumerate(places) if start >= 0] for places in offsets]
    for window, (row, inside) in enumerate(zip(rows, contexts, strict=True)):
        for i in inside:
            room = min(i - inside[0], inside[-1] - i) + 0.01 * len(inside)
            known = best.get((row, offsets[window][i][0]))
            if known is None or room > known[0]:
                best[row, offsets[window][i][0]] = room, window
    return [
        [start >= 0 and best[row, start][1] == window for start, _ in places]
        for window, (row, places) in enumerate(zip(rows, offsets, strict=True))
    ]
