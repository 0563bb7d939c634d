"""Two identities of a program: by structure, and by what it computes.

The structural key is the digest of the canonical graph. The functional key is a hash of the program's values on fixed
inputs: programs that agree as functions share it, however they are written. A shared functional key is a strong hint,
not a proof; `same_function` confirms it by comparing the values themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import permutations

import numpy as np

from autobertc.compiler.canonical import canonicalise
from autobertc.compiler.reference import Array, evaluate_all
from autobertc.dsl.graph import Program
from autobertc.dsl.ops import INPUTS

# Two shapes with N and D apart in both directions, so that no formula agrees by an accident of one shape.
PROBE_SHAPES = ((5, 3), (4, 6))
PROBE_SEED = 20220222
SIGNIFICANT_DIGITS = 4
RELATIVE_TOLERANCE = 1e-9

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


def signatures(program: Program, relabelled: bool = False) -> list[Signature]:
    """The program's values on the probes: one signature for each way of naming its inputs by the first names of
    Q K V P, or, where not `relabelled`, for the names as they stand only."""
    used = program.inputs
    chosen = permutations(list(INPUTS)[: len(used)]) if relabelled else [used]
    orders = [dict(zip(used, names, strict=True)) for names in chosen]
    values: list[list[Array]] = [[] for _ in orders]
    for length, width in PROBE_SHAPES:
        probe = _probe(length, width)
        stacked = {name: np.stack([probe[order[name]] for order in orders]) for name in used}
        result = evaluate_all(program, stacked)[program.root]
        for index in range(len(orders)):
            values[index].append(result[index])
    return [tuple(value) for value in values]


def _hash(signature: Signature) -> str | None:
    hasher = blake2b(digest_size=16)
    for values in signature:
        largest = float(np.abs(values).max())
        if not np.isfinite(largest):
            return None
        hasher.update(f"{largest:.{SIGNIFICANT_DIGITS - 1}e}".encode())
        relative = values / largest if largest else values
        # Adding 0.0 turns -0.0 into 0.0.
        hasher.update((np.round(relative, SIGNIFICANT_DIGITS) + 0.0).tobytes())
    return hasher.hexdigest()


def keys(program: Program) -> Keys:
    """All keys of a program (in canonical form or not)."""
    canonical = canonicalise(program)
    functional = _hash(signatures(canonical)[0])
    hashes = [_hash(signature) for signature in signatures(canonical, relabelled=True)]
    relabelled = min((key for key in hashes if key is not None), default=None)
    return Keys(canonical.key, functional, relabelled)


def same_function(left: Program, right: Program, relabelled: bool = False) -> bool:
    """Whether two programs agree on the probes to nine digits: the confirmation of an equal functional key.

    `relabelled` allows any exchange of the names of inputs. Programs whose values are not finite agree with nothing.
    """
    finite = [
        signature
        for signature in signatures(canonicalise(left), relabelled)
        if all(np.isfinite(values).all() for values in signature)
    ]
    others = signatures(canonicalise(right), relabelled) if finite else []
    return any(
        all(
            np.abs(a - b).max() <= RELATIVE_TOLERANCE * max(np.abs(a).max(), np.abs(b).max())
            for a, b in zip(finite[0], other, strict=True)
        )
        for other in others
    )
