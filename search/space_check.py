"""Spaces as tables of TOML, and what is wrong with those that hold nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from autobertc.dsl.architecture import KERNEL_SIZES
from autobertc.dsl.errors import UserError
from autobertc.dsl.ops import INPUTS, primitives
from autobertc.dsl.source import AbzError, did_you_mean
from autobertc.search.counting import count_using

if TYPE_CHECKING:
    from autobertc.search.space import Space

MAX_LENGTH = 32
MAX_LAYERS = 1024
# No set of primitives needs this many operations for its shortest program, unless it has none.
LONGEST_LEAST = 12
CHECK_DRAWS = 2000


def _fault(key: str, message: str) -> UserError:
    return UserError(f"space.{key}: {message}")


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    guess = did_you_mean(word, names)
    return f"did you mean `{guess}`?" if guess else f"known: {', '.join(names)}"


# ------------------------------------------------------------ what a space must be


def check(space: Space) -> None:
    """Raise `UserError` where a space holds nothing, or cannot be what it says."""
    _check_names(space)
    _check_numbers(space)
    _check_fixed(space)
    if any("attention" in space.kinds(index) and not space.is_settled(index) for index in range(space.layers)):
        _check_programs(space)


def _check_names(space: Space) -> None:
    known = [op.name for op in primitives()]
    for name in space.ops:
        if name not in known:
            raise _fault("ops", f"there is no operation `{name}`; {_nearest(name, known)}")
    for key, names in (("ops", space.ops), ("inputs", space.inputs), ("kernels", space.kernels)):
        if len(set(names)) != len(names):
            raise _fault(key, "something stands there twice; name each once")
    if not space.ops:
        raise _fault("ops", "name at least one operation, or leave the key out for the paper's ten")
    for name in space.inputs:
        if name not in INPUTS:
            raise _fault("inputs", f"there is no input `{name}`; the inputs are {', '.join(INPUTS)}")
    if not 2 <= len(space.inputs) <= len(INPUTS):
        raise _fault("inputs", f"a program needs 2 to {len(INPUTS)} inputs to choose from, found {len(space.inputs)}")
    for kernel in space.kernels:
        if kernel not in KERNEL_SIZES:
            raise _fault("kernels", f"{kernel} is no kernel size; they are {', '.join(map(str, KERNEL_SIZES))}")


def _check_numbers(space: Space) -> None:
    if not 1 <= space.least_inputs <= len(space.inputs):
        raise _fault(
            "least_inputs",
            f"a program can use 1 to {len(space.inputs)} of the inputs {', '.join(space.inputs)}, "
            f"not at least {space.least_inputs}",
        )
    shortest, longest = space.length
    if not 1 <= shortest <= longest <= MAX_LENGTH:
        raise _fault("length", f"give [fewest, most] with 1 <= fewest <= most <= {MAX_LENGTH}, found {[*space.length]}")
    if not 1 <= space.layers <= MAX_LAYERS:
        raise _fault("layers", f"give 1 to {MAX_LAYERS}, found {space.layers}")
    growths = ("linear", "quadratic", "cubic")
    if space.growth not in growths:
        raise _fault("growth", f"`{space.growth}` is none of {', '.join(growths)}; {_nearest(space.growth, growths)}")


def _check_fixed(space: Space) -> None:
    for index, _ in space.fixed:
        key = f"fixed.{index + 1}"
        if not 0 <= index < space.layers:
            raise _fault(key, f"there is no layer {index + 1}; layers are numbered from 1 to {space.layers}")
        try:
            fixed = space.settled[index]
        except AbzError as error:
            raise _fault(
                key, f'say "attention", "convolution" or a layer such as "conv: 7" or "att: EXPR":\n{error}'
            ) from error
        except ValueError as error:
            raise _fault(key, f"give one layer, found {error}") from error
        if fixed.layer is None and fixed.kind == "convolution" and not space.kernels:
            raise _fault(key, "a convolution needs a kernel size; name some in `kernels`")


def _check_programs(space: Space) -> None:
    """That there are programs at all."""
    shortest, longest = space.length
    inputs, least = len(space.inputs), space.least_inputs

    def some(sizes: Iterable[int]) -> bool:
        return any(count_using(space.primitives, inputs, least, [size], True) for size in sizes)

    whole = "that mixes tokens" + (f" and uses {least} inputs" if least > 1 else "")
    if not some(range(shortest, longest + 1)):
        needed = next((size for size in range(1, LONGEST_LEAST) if some([size])), None)
        if needed and needed > longest:
            raise _fault(
                "length", f"no program {whole} is that short: with these ops the shortest has {needed} operations"
            )
        raise _fault(
            "ops",
            f"no program {whole} can be made of {', '.join(space.ops)}: add `transpose` and `softmax`, or `matmul` "
            "with `transpose` or `cosine_similarity`",
        )
    if space.growth != "cubic" and not _has_legal(space):
        raise _fault(
            "growth",
            f"no program {whole} was found that grows no faster than {space.growth} in N; allow more or add ops",
        )


def _has_legal(space: Space) -> bool:
    """Whether one of a few draws, the first for nearly all spaces, is legal."""
    from autobertc.search.randomness import generator
    from autobertc.search.sampling import find_program

    return find_program(space, generator("is there a program"), CHECK_DRAWS) is not None


# ------------------------------------------------------------ tables


def read(table: Mapping[str, Any]) -> Space:
    """The space of a TOML table. Raises `UserError` for an unknown key, a value of another kind, an impossible space.

    Keys are the attributes of `Space`. `ops` may also be "paper" or "all", `inputs` a number, `length` one number, and
    `fixed` is a table from the number of a layer, from 1, to what is settled about it.
    """
    from autobertc.search.space import Space

    keys = [field.name for field in fields(Space)]
    for key in table:
        if key not in keys:
            raise _fault(key, f"unknown key; {_nearest(key, keys)}")
    values: dict[str, Any] = {key: _READERS[key](key, value) for key, value in table.items()}
    return Space(**values)


def written(space: Space) -> dict[str, Any]:
    """The table that reads back to the space."""
    return {
        "ops": list(space.ops),
        "inputs": list(space.inputs),
        "least_inputs": space.least_inputs,
        "length": list(space.length),
        "layers": space.layers,
        "kernels": list(space.kernels),
        "growth": space.growth,
        "fixed": {str(index + 1): text for index, text in space.fixed},
    }


def _integer(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _fault(key, f"give a whole number, found {value!r}")
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _fault(key, f"give a text, found {value!r}")
    return value


def _list(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _fault(key, f"give a list, found {value!r}")
    return list(value)


def _ops(key: str, value: Any) -> tuple[str, ...]:
    if value == "paper":
        return tuple(op.name for op in primitives("paper"))
    if value == "all":
        return tuple(op.name for op in primitives())
    if isinstance(value, str):
        raise _fault(key, f'give "paper", "all" or a list of operations, found {value!r}')
    return tuple(_text(key, name) for name in _list(key, value))


def _inputs(key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 2 <= value <= len(INPUTS):
            raise _fault(key, f"give 2 to {len(INPUTS)}, or a list of names, found {value}")
        return tuple(INPUTS)[:value]
    return tuple(_text(key, name) for name in _list(key, value))


def _length(key: str, value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return _integer(key, value), value
    numbers = [_integer(key, number) for number in _list(key, value)]
    if len(numbers) != 2:
        raise _fault(key, f"give [fewest, most], found {value!r}")
    return numbers[0], numbers[1]


def _fixed(key: str, value: Any) -> tuple[tuple[int, str], ...]:
    if not isinstance(value, Mapping):
        raise _fault(key, f"give a table from the number of a layer to what is settled, found {value!r}")
    found: dict[int, str] = {}
    for number, text in value.items():
        if not str(number).isdecimal():
            raise _fault(f"{key}.{number}", "give the number of a layer, from 1")
        if int(number) - 1 in found:
            raise _fault(f"{key}.{number}", "the layer stands there twice; name each once")
        found[int(number) - 1] = _text(f"{key}.{number}", text).strip()
    return tuple(sorted(found.items()))


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "ops": _ops,
    "inputs": _inputs,
    "least_inputs": _integer,
    "length": _length,
    "layers": _integer,
    "kernels": lambda key, value: tuple(_integer(key, size) for size in _list(key, value)),
    "growth": _text,
    "fixed": _fixed,
}
