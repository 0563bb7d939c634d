"""The planner and the derivatives, proved on random programs: every plan run tile by tile in NumPy.

`tests/deep_fuzz.py` does the same with many more.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numerics import check
from stage_executor import executed
from strategies import CUBE, MANHATTAN, Case, cases, fuzz, programs

from autobertc.compiler.fusion.tile_program import Blocks
from autobertc.dsl.checker import check_expression
from autobertc.dsl.ops import registered

blocks = st.builds(
    Blocks, owned=st.sampled_from([16, 32, 64]), streamed=st.sampled_from([16, 32]), pieces=st.integers(1, 3)
)


@fuzz(1700, deep=1700)
@given(programs(), cases(), blocks)
def test_values_and_gradients_are_inside_the_budget(program, case, blocks):
    check(program, case, executed(program, blocks))


@pytest.mark.fuzz
def test_programs_with_primitives_from_outside():
    @fuzz(300, deep=300)
    @given(programs(), cases(), blocks)
    def inside_the_budget(program, case, blocks):
        check(program, case, executed(program, blocks))

    with registered(CUBE), registered(MANHATTAN):
        inside_the_budget()


def test_the_checks_see_a_fault():
    program = check_expression("softmax(scale(Q @ K.T)) @ V")
    case = Case(2, 2, 40, 16, ((True,) * 30 + (False,) * 10,) * 2, 1e30, torch.float32, 0)
    check(program, case, executed(program))
    for wrong in ("softmax(scale(scale(Q @ K.T))) @ V", "softmax(scale(K @ Q.T)) @ V"):
        with pytest.raises(AssertionError):
            check(program, case, executed(check_expression(wrong)))
