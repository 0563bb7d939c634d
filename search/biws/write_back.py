"""The end of a round: what its children trained goes back into the super-net, the same whatever order they ended in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from autobertc.search.biws.supernet import Tensors

Rule = Literal["best", "mean"]
RULES: tuple[Rule, ...] = ("best", "mean")


@dataclass(frozen=True)
class Child:
    """A candidate of the round that was evaluated to the end.

    Attributes:
        number: its trial's.
        score: the first objective.
        tensors: what it trained, by the super-net's names.
    """

    number: int
    score: float
    tensors: Mapping[str, Tensor]


def write_back(
    tensors: Mapping[str, Tensor], children: Sequence[Child], rule: Rule = "best"
) -> tuple[Tensors, dict[int, int]]:
    """The super-net's tensors after a round, and how many of them came from each child, by its number.

    "best": each tensor is that of the best child that used it, ties to the lower number; so what all children share is
    the round's best child's. "mean": the mean of all children that used it. What nobody used stays.

    Raises `ValueError` for an unknown rule, a score that is no number, or a tensor that does not fit the super-net.
    """
    if rule not in RULES:
        raise ValueError(f"there is no rule {rule!r} to write back by; choose one of {', '.join(RULES)}")
    for child in children:
        if not math.isfinite(child.score):
            raise ValueError(f"candidate {child.number} has the score {child.score}: it is not one to write back")
        for name in child.tensors:
            if name not in tensors:
                raise _unfit(child, name)
    order = sorted(children, key=lambda child: (-child.score, child.number))
    result = {name: tensor.clone() for name, tensor in tensors.items()}
    contributions: Counter[int] = Counter()
    for name, before in tensors.items():
        # A child's tensors may lie in a file: only those that count are read.
        users = [child for child in order if name in child.tensors][: 1 if rule == "best" else None]
        taken = [child.tensors[name] for child in users]
        for child, tensor in zip(users, taken, strict=True):
            if tensor.shape != before.shape:
                raise _unfit(child, name)
        if taken:
            result[name] = taken[0].clone() if rule == "best" else _mean(taken)
            contributions.update(child.number for child in users)
    return result, dict(contributions)


def _unfit(child: Child, name: str) -> ValueError:
    return ValueError(f"candidate {child.number} has a tensor {name} that does not fit the super-net")


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """In double precision, in the order given."""
    total = torch.zeros_like(tensors[0], dtype=torch.float64)
    for tensor in tensors:
        total += tensor
    return (total / len(tensors)).to(tensors[0].dtype)
