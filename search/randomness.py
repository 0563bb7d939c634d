"""Random numbers by name: a draw depends on what it is for, never on when it is made.

So a search that was interrupted, or whose workers finish in another order, draws what it would have drawn.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def seed_of(*key: int | str) -> int:
    """A seed of 64 bits for a purpose, such as (study's seed, round, slot, "edit"). Equal keys, equal seeds."""
    text = "/".join(f"{type(part).__name__}:{part}" for part in key)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def generator(*key: int | str) -> np.random.Generator:
    """A generator of its own for a purpose."""
    return np.random.Generator(np.random.PCG64(seed_of(*key)))
