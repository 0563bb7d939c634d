"""Every program is reached from every other by edits, through programs that may be longer.

By way of one of them: all programs of up to 3 operations over 3 inputs lead to it and are led to. A sample here, all of
them where FUZZ is set.
"""

from __future__ import annotations

import os

import pytest
from edit_paths import all_programs, reaches

from autobertc.dsl.checker import check_expression
from autobertc.search.randomness import generator
from autobertc.search.sampling import sample_program
from autobertc.search.space import Space

DEEP = bool(os.environ.get("FUZZ"))
SPACE = Space(inputs=("Q", "K", "V"), least_inputs=1, length=(1, 14))


def of_length(shortest: int, longest: int) -> Space:
    return Space(inputs=("Q", "K", "V"), least_inputs=1, length=(shortest, longest))


@pytest.mark.fuzz
def test_programs_of_up_to_3_operations_are_strongly_connected():
    programs = all_programs(of_length(1, 3), 3)
    assert len(programs) == 3309
    hub = check_expression("matmul(cosine_similarity(Q, K), V)").root
    assert hub in programs
    for root in programs if DEEP else programs[::50]:
        assert reaches(SPACE, root, hub), root
        assert reaches(SPACE, hub, root), root


@pytest.mark.fuzz
def test_random_pairs_of_4_operations_are_connected():
    space = of_length(4, 4)
    rng = generator(9, "pairs")
    for _ in range(1000 if DEEP else 40):
        start, goal = sample_program(space, rng).root, sample_program(space, rng).root
        assert reaches(SPACE, start, goal), (start, goal)


def test_what_no_edit_does_is_not_a_path():
    """That the search for paths can fail: in a space too short for the way, and without the operation it takes."""
    hub = check_expression("matmul(cosine_similarity(Q, K), V)").root
    far = check_expression("transpose(softmax(transpose(Q)))").root
    assert reaches(SPACE, hub, far)
    assert not reaches(of_length(1, 3), hub, far)
    without = Space(ops=("transpose", "softmax", "matmul", "cosine_similarity"), least_inputs=1)
    assert not reaches(without, hub, far)
