"""What goes back into the super-net at the end of a round."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from autobertc.search.biws.snapshots import tensors_digest
from autobertc.search.biws.write_back import Child, write_back


def tensors(**values: float) -> dict[str, Tensor]:
    return {name: torch.full((2,), float(value)) for name, value in values.items()}


BEFORE = tensors(shared=0, left=0, right=0, nobody=0)
CHILDREN = [
    Child(3, 0.5, tensors(shared=3, left=3)),
    Child(4, 0.9, tensors(shared=4, right=4)),
    Child(5, 0.7, tensors(shared=5, left=5)),
    Child(6, 0.7, tensors(shared=6, left=6)),
]


def values(after: dict[str, Tensor]) -> dict[str, float]:
    assert all(bool((tensor == tensor[0]).all()) for tensor in after.values())
    return {name: float(tensor[0]) for name, tensor in after.items()}


def test_each_tensor_from_the_best_that_used_it() -> None:
    after, counts = write_back(BEFORE, CHILDREN)
    assert values(after) == {"shared": 4, "left": 5, "right": 4, "nobody": 0}, "ties go to the lower number"
    assert counts == {4: 2, 5: 1}


def test_mean() -> None:
    after, counts = write_back(BEFORE, CHILDREN, "mean")
    assert values(after) == {"shared": 4.5, "left": pytest.approx(14 / 3), "right": 4, "nobody": 0}
    assert counts == {3: 2, 4: 2, 5: 2, 6: 2}


@pytest.mark.parametrize("rule", ["best", "mean"])
def test_the_order_of_arrival_changes_no_bit(rule: str) -> None:
    generator = torch.Generator().manual_seed(0)
    children = [
        Child(n, s, {"shared": torch.randn(2, generator=generator)}) for n, s in enumerate((0.1, 0.3, 0.3, 0.2))
    ]
    digests = {tensors_digest(write_back(BEFORE, order, rule)[0]) for order in permutations(children)}  # type: ignore[arg-type]
    assert len(digests) == 1


def test_no_children() -> None:
    after, counts = write_back(BEFORE, [])
    assert tensors_digest(after) == tensors_digest(BEFORE) and counts == {}


def test_what_goes_in_is_left_alone() -> None:
    after, _ = write_back(BEFORE, CHILDREN)
    for tensor in after.values():
        tensor.add_(100)
    assert values(BEFORE)["shared"] == 0 and float(CHILDREN[1].tensors["shared"][0]) == 4


def test_faults() -> None:
    with pytest.raises(ValueError, match="rule"):
        write_back(BEFORE, CHILDREN, "median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="candidate 1 has the score nan"):
        write_back(BEFORE, [Child(1, math.nan, {})])
    with pytest.raises(ValueError, match="does not fit"):
        write_back(BEFORE, [Child(1, 1.0, tensors(other=1))])
    with pytest.raises(ValueError, match="does not fit"):
        write_back(BEFORE, [Child(1, 1.0, {"shared": torch.zeros(3)})])
