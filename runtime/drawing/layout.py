"""The graph of a program on the plane: inputs at the bottom, the result on top, data flowing upwards.

The usual layered method (Sugiyama): values go to rows, long wires get a slot in each row they pass,
rows are ordered for few crossings, then every row gets coordinates. Lengths are points, y grows downwards.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np

from autobertc.dsl.graph import Node, post_order

ROW_LIMIT = 8
"""Values in a row; further ones move up."""
NODE_HEIGHT = 27.0
NODE_GAP = 16.0
PASSING_WIDTH = 4.0
_RESTARTS, _SWEEPS = 12, 10


@dataclass(eq=False)
class Slot:
    """A place in a row, centred at `x`, `y`: a value, or a wire of that value on its way to a higher row."""

    node: Node
    row: int
    width: float
    passing: bool = False
    x: float = 0.0
    y: float = 0.0


@dataclass(eq=False)
class Wire:
    """A wire from a slot to one in the row above, where it is operand `number`, from 1 (0: it only passes).

    It ends `port` right of the upper slot's centre.
    """

    lower: Slot
    upper: Slot
    number: int = 0
    port: float = 0.0


@dataclass(frozen=True)
class Layout:
    """Slots row by row from the bottom, and the wires between neighbouring rows."""

    rows: list[list[Slot]]
    wires: list[Wire]
    width: float
    height: float


def is_ordered(node: Node) -> bool:
    """Whether exchanging the node's operands changes its value."""
    return len(node.operands) > 1 and not getattr(node.op, "commutative", False)


def lay_out(root: Node, width: Callable[[Node], float], max_slots: int) -> Layout | None:
    """Positions for every value below `root`, each `width(node)` points wide; None where that takes more than
    `max_slots` slots."""
    rows, wires = _rows(root, width, max_slots)
    if sum(map(len, rows)) > max_slots:
        return None
    _order(rows, wires)
    _fan_out(rows, wires)
    _place(rows, wires)
    left = min(slot.x - slot.width / 2 for row in rows for slot in row)
    for slot in (slot for row in rows for slot in row):
        slot.x = round(slot.x - left, 2)
    height = _stack(rows, wires)
    return Layout(rows, wires, max(slot.x + slot.width / 2 for row in rows for slot in row), height)


def _levels(root: Node) -> dict[Node, int]:
    """The row of each value: above its operands, and at most `ROW_LIMIT` operations in a row."""
    levels: dict[Node, int] = {}
    filled: Counter[int] = Counter()
    for node in post_order(root):
        level = max((levels[operand] + 1 for operand in node.operands), default=0)
        while node.operands and filled[level] >= ROW_LIMIT:
            level += 1
        levels[node] = level
        filled[level] += 1
    return levels


def _rows(root: Node, width: Callable[[Node], float], max_slots: int) -> tuple[list[list[Slot]], list[Wire]]:
    """Slots and wires, unplaced. A value has one wire up to its highest user; users below branch off it.

    Stops early, with more than `max_slots` slots, where the graph needs more.
    """
    levels = _levels(root)
    rows: list[list[Slot]] = [[] for _ in range(levels[root] + 1)]
    wires: list[Wire] = []
    trunks: dict[Node, list[Slot]] = {}
    count = 0
    for node in sorted(levels, key=levels.__getitem__):
        slot = Slot(node, levels[node], width(node))
        rows[slot.row].append(slot)
        trunks[node] = [slot]
        for number, operand in enumerate(node.operands, 1):
            trunk = trunks[operand]
            while trunk[-1].row < slot.row - 1:
                trunk.append(Slot(operand, trunk[-1].row + 1, PASSING_WIDTH, passing=True))
                rows[trunk[-1].row].append(trunk[-1])
                wires.append(Wire(trunk[-2], trunk[-1]))
                count += 1
            wires.append(Wire(trunk[slot.row - 1 - trunk[0].row], slot, number))
        count += 1
        if count > max_slots:
            break
    _set_ports(wires)
    return rows, wires


def _set_ports(wires: Sequence[Wire]) -> None:
    """Spread the wires that end in one value along its lower edge, in the order of `wires`."""
    for slot, ending in _by_slot(wires, lambda wire: wire.upper).items():
        step = min(34.0, 0.84 * slot.width) / max(1, len(ending) - 1)
        for index, wire in enumerate(ending):
            wire.port = (index - (len(ending) - 1) / 2) * step


def _by_slot(wires: Iterable[Wire], end: Callable[[Wire], Slot]) -> dict[Slot, list[Wire]]:
    result: dict[Slot, list[Wire]] = {}
    for wire in wires:
        result.setdefault(end(wire), []).append(wire)
    return result


def _order(rows: list[list[Slot]], wires: list[Wire]) -> None:
    """Reorder each row in place: barycentre sweeps from several starts, the fewest crossings win."""
    above, below = _by_slot(wires, lambda wire: wire.lower), _by_slot(wires, lambda wire: wire.upper)
    random = Random(0)
    best: tuple[float, list[list[Slot]]] | None = None
    for start in range(_RESTARTS):
        for row in rows if start else ():
            random.shuffle(row)
        for sweep in range(_SWEEPS):
            _sweep(rows, above if sweep % 2 else below, downwards=bool(sweep % 2))
            cost = _crossings(rows, below)
            if best is None or cost < best[0]:
                best = cost, [list(row) for row in rows]
        if best is not None and not best[0]:
            break
    if best is not None:
        rows[:] = best[1]


def _reach(wire: Wire) -> float:
    """Where a wire ends inside its upper slot, in slots. Operands that may be exchanged end in the middle."""
    return wire.port / 100.0 if is_ordered(wire.upper.node) and not wire.upper.passing else 0.0


def _sweep(rows: list[list[Slot]], neighbours: dict[Slot, list[Wire]], downwards: bool) -> None:
    """Sort each row by the mean place of its neighbours in the row before it."""
    place = {slot: float(index) for row in rows for index, slot in enumerate(row)}
    for row in reversed(rows) if downwards else rows:

        def wanted(slot: Slot) -> float:
            wires = neighbours.get(slot, ())
            if not wires:
                return place[slot]
            if downwards:
                return sum(place[wire.upper] + _reach(wire) for wire in wires) / len(wires)
            return sum(place[wire.lower] for wire in wires) / len(wires)

        row.sort(key=wanted)
        place.update({slot: float(index) for index, slot in enumerate(row)})


def _crossings(rows: list[list[Slot]], below: dict[Slot, list[Wire]]) -> int:
    """How many pairs of wires cross."""
    place = {slot: index for row in rows for index, slot in enumerate(row)}
    total = 0
    for row in rows:
        ends: list[tuple[int, float]] = []
        for slot in row:
            ends.extend((place[wire.lower], place[slot] + _reach(wire)) for wire in below.get(slot, ()))
        # Inversions: among the wires that start further left, those that end further right.
        seen: list[float] = []
        for _, end in sorted(ends):
            total += sum(1 for other in seen[bisect_left(seen, end) :] if other > end)
            insort(seen, end)
    return total


def _fan_out(rows: list[list[Slot]], wires: list[Wire]) -> None:
    """Give operands that may be exchanged the ports that cross least."""
    place = {slot: index for row in rows for index, slot in enumerate(row)}
    free = [wire for wire in wires if not is_ordered(wire.upper.node)]
    _set_ports(sorted(free, key=lambda wire: place[wire.lower]))


def _place(rows: list[list[Slot]], wires: list[Wire]) -> None:
    """Coordinates along the rows: wires as straight as they can be while no two slots of a row overlap.

    The sum of the bends is what is made small, so that a wire bends in few places: least squares, repeated
    with the weight of each bend divided by its last length.
    """
    slots = [slot for row in rows for slot in row]
    index = {slot: position for position, slot in enumerate(slots)}
    lower = np.array([index[wire.lower] for wire in wires])
    upper = np.array([index[wire.upper] for wire in wires])
    ports = np.array([wire.port for wire in wires])
    stiffness = np.array(_stiffness(wires))
    places = np.zeros(len(slots))
    weights = stiffness
    for _ in range(_REWEIGHTINGS):
        system = np.eye(len(slots)) * 1e-4
        np.add.at(system, (upper, upper), weights)
        np.add.at(system, (lower, lower), weights)
        np.add.at(system, (upper, lower), -weights)
        np.add.at(system, (lower, upper), -weights)
        pull = np.zeros(len(slots))
        np.add.at(pull, upper, -weights * ports)
        np.add.at(pull, lower, weights * ports)
        places = _least_squares(system, pull, rows, places)
        weights = stiffness / (np.abs(places[upper] + ports - places[lower]) / 4.0 + 0.25)
    for slot, place in zip(slots, places, strict=True):
        slot.x = float(place)
    _straighten(wires)


_REWEIGHTINGS, _ROUNDS = 4, 80


_SLACK = 3.0


def _straighten(wires: list[Wire]) -> None:
    """Make straight, in place, what is nearly so: slots move by `_SLACK` at most, far less than the gap."""
    chains: dict[Slot, list[tuple[Slot, float]]] = {}
    for wire in sorted(wires, key=lambda wire: wire.upper.row):
        chain = chains.setdefault(wire.lower, [(wire.lower, 0.0)])
        offset = wire.port + chain[-1][1]
        near = abs(wire.upper.x + offset - chain[0][0].x) < _SLACK
        if near and chain[-1][0] is wire.lower and wire.upper not in chains:
            chain.append((wire.upper, offset))
            chains[wire.upper] = chain
    for chain in {id(chain): chain for chain in chains.values()}.values():
        mean = sum(slot.x + offset for slot, offset in chain) / len(chain)
        for slot, offset in chain:
            slot.x = mean - offset


def _stiffness(wires: list[Wire]) -> list[float]:
    """How much a bend of each wire costs: most inside a long wire, little where wires part or meet."""
    leaving, ending = Counter(wire.lower for wire in wires), Counter(wire.upper for wire in wires)
    inside = [wire.lower.passing + wire.upper.passing for wire in wires]
    alone = [leaving[wire.lower] == ending[wire.upper] == 1 for wire in wires]
    return [(4.0 if alone else 1.0, 3.0, 40.0)[passing] for alone, passing in zip(alone, inside, strict=True)]


def _least_squares(system: Any, pull: Any, rows: list[list[Slot]], places: Any) -> Any:
    """Minimise `x system x / 2 - pull x` where no two slots of a row overlap.

    By alternating directions (ADMM): solve for bends alone, move each row apart, carry the difference over.
    """
    step = float(np.median(np.diag(system)))
    inverse = np.linalg.inv(system + step * np.eye(len(pull)))
    carried = np.zeros(len(pull))
    offsets = [_offsets(row) for row in rows]
    for _ in range(_ROUNDS):
        free = inverse @ (pull + step * (places - carried))
        wanted = iter((free + carried).tolist())
        places = np.array([x for each in offsets for x in _separate(each, [next(wanted) for _ in each])])
        carried += free - places
    return places


def _offsets(row: list[Slot]) -> list[float]:
    """The places of a row's slots, packed as tight as may be, the first at 0."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + NODE_GAP)
    return offsets


def _separate(offsets: list[float], wanted: list[float]) -> list[float]:
    """The places nearest to the wanted ones with a row's order and gaps: isotonic regression."""
    if len(wanted) == 1:
        return wanted
    blocks: list[tuple[float, int]] = []
    for place, offset in zip(wanted, offsets, strict=True):
        total, count = place - offset, 1
        while blocks and blocks[-1][0] * count > total * blocks[-1][1]:
            previous = blocks.pop()
            total, count = total + previous[0], count + previous[1]
        blocks.append((total, count))
    means = [total / count for total, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _stack(rows: list[list[Slot]], wires: list[Wire]) -> float:
    """Set the heights of the rows and return the total: a gap is higher where wires go far aside."""
    aside = [0.0] * len(rows)
    for wire in wires:
        distance = abs(wire.upper.x + wire.port - wire.lower.x)
        aside[wire.upper.row] = max(aside[wire.upper.row], distance)
    y = NODE_HEIGHT / 2
    for number in range(len(rows) - 1, -1, -1):
        for slot in rows[number]:
            slot.y = round(y, 2)
        y += NODE_HEIGHT + min(44.0, 15.0 + 0.14 * aside[number])
    return rows[0][0].y + NODE_HEIGHT / 2
