"""Two identities of a program: by structure, and by what it computes.

The structural key is the digest of the canonical graph. The functional key is a hash of the program's values on fixed
inputs: programs that agree as functions share it, however they are written. A shared functional key is a strong hint,
not a proof; `same_function` confirms it by comparing the values themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from autobertc.compiler.canonical import canonical_root
from autobertc.compiler.reference import Array, apply
from autobertc.dsl.graph import Node, Program, post_order
from autobertc.dsl.ops import INPUTS

# Two shapes with N and D apart in both directions, so that no formula agrees by an accident of one shape.
PROBE_SHAPES = ((5, 3), (4, 6))
PROBE_SEED = 20220222
SIGNIFICANT_DIGITS = 4
RELATIVE_TOLERANCE = 1e-9
# Of probe values kept for programs to come, which share most of their parts in a search: some kilobytes each.
MAX_VALUES = 20_000
MAX_HASHES = 20_000

Signature = tuple[Array, ...]


@cache
def _probe(length: int, width: int) -> dict[str, Array]:
    """Fixed inputs, one per name, with values of both signs and of magnitude about 1."""
    generator = np.random.Generator(np.random.PCG64([PROBE_SEED, length, width]))
    return {name: generator.standard_normal((length, width)) for name in INPUTS}


@dataclass(frozen=True)
class Keys:
    """The keys of a program. A functional key is None where the probe values are not finite.

    Attributes:
        structural: the digest of the canonical graph.
        functional: equal for programs of one function with the inputs as named; weights can be inherited.
        relabelled: equal too for programs that differ by exchanging the names of inputs, which are interchangeable
            linear maps: one candidate of a search.
    """

    structural: str
    functional: str | None
    relabelled: str | None


@cache
def _orders(used: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Ways of naming inputs: as they stand, then the other arrangements of the first names of Q K V P."""
    return tuple(dict.fromkeys([used, *permutations(list(INPUTS)[: len(used)])]))


@cache
def _arrangements(used: tuple[str, ...]) -> tuple[int, ...]:
    """Which of the orders name the inputs by the first names."""
    first = set(list(INPUTS)[: len(used)])
    return tuple(index for index, order in enumerate(_orders(used)) if set(order) == first)


@dataclass(frozen=True, eq=False)
class _Probes:
    """The inputs of programs that use the same ones, `[orders, N, D]` for each shape, and values computed so far."""

    inputs: tuple[dict[str, Array], ...]
    values: dict[Node, Signature]


@cache
def _probes(used: tuple[str, ...]) -> _Probes:
    inputs = tuple(
        {name: np.stack([_probe(*shape)[order[place]] for order in _orders(used)]) for place, name in enumerate(used)}
        for shape in PROBE_SHAPES
    )
    return _Probes(inputs, {})


def _values(root: Node, used: tuple[str, ...]) -> Signature:
    """The values of a canonical expression, `[orders, N, D]` for each shape. Values of its parts are kept."""
    probes = _probes(used)
    known = probes.values
    found = known.get(root)
    if found is not None:
        return found
    if len(known) > MAX_VALUES:
        known.clear()
    with np.errstate(all="ignore"):
        for node in post_order(root):
            if node in known:
                continue
            if not node.operands:
                known[node] = tuple(given[node.op.name] for given in probes.inputs)
                continue
            operands = [known[operand] for operand in node.operands]
            known[node] = tuple(
                apply(node, [values[index] for values in operands], width)
                for index, (_, width) in enumerate(PROBE_SHAPES)
            )
    return known[root]


def signatures(program: Program, relabelled: bool = False) -> list[Signature]:
    """The program's values on the probes, computed from its canonical form: one signature for each way of naming its
    inputs by the first names of Q K V P, or, where not `relabelled`, for the names as they stand only."""
    used = program.inputs
    values = _values(canonical_root(program.root), used)
    return [tuple(value[index] for value in values) for index in (_arrangements(used) if relabelled else (0,))]


def _rounded(values: Signature) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A row for each order: of each shape the values divided by their largest, to so many digits, and the largest, as
    mantissa and exponent. Also which orders are finite."""
    sizes = [value[0].size for value in values]
    flat = np.concatenate([value.reshape(len(value), -1) for value in values], axis=1)
    with np.errstate(all="ignore"):
        largest = np.maximum.reduceat(np.abs(flat), np.cumsum([0, *sizes[:-1]]), axis=1)
        safe = np.where(largest == 0.0, 1.0, largest)
        exponent = np.floor(np.log10(safe))
        mantissa = np.round(largest / 10.0**exponent, SIGNIFICANT_DIGITS - 1)
        carried = mantissa >= 10.0
        relative = np.round(flat / np.repeat(safe, sizes, axis=1), SIGNIFICANT_DIGITS)
    table = np.concatenate([np.where(carried, 1.0, mantissa), exponent + carried, relative], axis=1)
    # Adding 0.0 turns -0.0 into 0.0.
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(largest).all(axis=1))
    return table + 0.0, finite


def _hash(row: bytes) -> str:
    return blake2b(row, digest_size=16).hexdigest()


@lru_cache(maxsize=MAX_HASHES)
def _functional(root: Node, used: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The functional and the relabelled key of a canonical expression: of its values under its own names, and of the
    first in order of its values under all names."""
    table, finite = _rounded(_values(root, used))
    rows = [row.tobytes() for row in table]
    arranged = [rows[index] for index in _arrangements(used) if finite[index]]
    return _hash(rows[0]) if finite[0] else None, _hash(min(arranged)) if arranged else None


def keys(program: Program) -> Keys:
    """All keys of a program (in canonical form or not)."""
    root = canonical_root(program.root)
    return Keys(root.digest.hex(), *_functional(root, program.inputs))


def same_function(left: Program, right: Program, relabelled: bool = False) -> bool:
    """Whether two programs agree on the probes to nine digits: the confirmation of an equal functional key.

    `relabelled` allows any exchange of the names of inputs. Programs whose values are not finite agree with nothing.
    """
    finite = [
        signature
        for signature in signatures(left, relabelled)
        if all(np.isfinite(values).all() for values in signature)
    ]
    others = signatures(right, relabelled) if finite else []
    return any(
        all(
            np.abs(a - b).max() <= RELATIVE_TOLERANCE * max(np.abs(a).max(), np.abs(b).max())
            for a, b in zip(finite[0], other, strict=True)
        )
        for other in others
    )
