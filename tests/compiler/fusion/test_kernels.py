"""Generated kernels: random programs, values and gradients, inside the budget."""

import pytest
import torch
from fused_kernels import fused_function
from hypothesis import given
from numerics import check
from strategies import CUBE, MANHATTAN, cases, fuzz, programs

from autobertc.dsl.ops import registered

DTYPES = (torch.float32, torch.bfloat16)


@fuzz(60, deep=60)
@given(programs(), cases(DTYPES))
def test_values_and_gradients_are_inside_the_budget(program, case):
    check(program, case, fused_function(program))


@pytest.mark.fuzz
def test_programs_with_primitives_from_outside():
    @fuzz(10, deep=10)
    @given(programs(), cases(DTYPES))
    def inside_the_budget(program, case):
        check(program, case, fused_function(program))

    with registered(CUBE), registered(MANHATTAN):
        inside_the_budget()
