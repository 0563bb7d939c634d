"""What every pass owes: a valid graph in, a valid graph out."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec

from autobertc.dsl.graph import Program, verify

Options = ParamSpec("Options")
Pass = Callable[Concatenate[Program, Options], Program]


def verified(rewrite: Pass[Options]) -> Pass[Options]:
    """A pass that verifies its program before and after. Raises `InvalidGraph` where one of them is broken."""

    def checked(program: Program, /, *args: Options.args, **kwargs: Options.kwargs) -> Program:
        verify(program)
        result = rewrite(program, *args, **kwargs)
        verify(result)
        return result

    update_wrapper(checked, rewrite)
    return checked
