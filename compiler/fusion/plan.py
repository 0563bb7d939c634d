"""A plan: the stages of a program, what each computes and in which order they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from autobertc.dsl.graph import Node

StageKind = Literal["rows", "stream", "state", "square", "map", "library"]
"""What a stage owns, and what it streams.

    rows     owns a tile of tokens; nothing is streamed
    stream   owns a tile of tokens and streams all tokens past it (attention)
    state    streams tokens in pieces and sums over them: [D,D] states and statistics of features
    square   works on [D,D] values alone
    map      owns a tile of token pairs and writes an N x N map, for a library stage
    library  contracts two N x N maps: a call of PyTorch
"""


@dataclass(eq=False)
class Stage:
    """One kernel, or one library call.

    Attributes:
        name: what it computes.
        kind: see `StageKind`.
        targets: the values it completes, in order.
        reads: the values in memory that it reads.
        online: for the statistic of a softmax, the products with its weights that are summed in the same pass.
    """

    name: str
    kind: StageKind
    targets: list[Node]
    reads: list[Node] = field(default_factory=list)
    online: dict[Node, list[Node]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Plan:
    """The stages of one direction, in order.

    Attributes:
        stages: in an order in which each finds its operands.
        roots: the results by name; a node may be the result under several names, or an input as it stands.
        names: a name for each value in memory, inputs and what the forward pass kept among them.
        stored: the values that stages write: results, and what other stages or the backward pass read.
    """

    stages: tuple[Stage, ...]
    roots: Mapping[str, Node]
    names: Mapping[Node, str]
    stored: frozenset[Node]
