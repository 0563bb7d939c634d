"""The winner's ancestors, edit by edit, as small drawings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autobertc.dsl.architecture import AttentionLayer, Layer
from autobertc.dsl.graph import Node, Program, print_roots
from autobertc.dsl.source import AbzError
from autobertc.runtime.drawing.canvas import text_width
from autobertc.runtime.drawing.card import draw_graph, node_width
from autobertc.runtime.drawing.layout import lay_out
from autobertc.runtime.drawing.palette import KERNELS, darker, on, program_colour
from autobertc.runtime.drawing.runs import letter, symbol
from autobertc.search.genome import Genome
from autobertc.search.report.data import Candidate, ReportData
from autobertc.search.report.drawing import Drawing
from autobertc.search.report.scene import Figure, Scene

MAX_STEPS, MAX_LAYERS, MAX_OPERATIONS, MAX_SLOTS = 60, 96, 24, 80


@dataclass(frozen=True)
class Change:
    """A program of a layer (from 1) that an edit changed: what it "was" or "becomes"; no graph where it is large."""

    layer: int
    verb: str
    text: str
    graph: Figure | None


@dataclass(frozen=True)
class Step:
    """One ancestor, the oldest first.

    Attributes:
        candidate: the trial.
        gain: of the first objective over its parent; None for the first.
        strip: its layers as a row of blocks, those that changed outlined.
        changes: the programs that changed.
    """

    candidate: Candidate
    gain: float | None
    strip: Figure | None
    changes: tuple[Change, ...]


def ancestors(data: ReportData) -> list[Candidate]:
    """The winner and, before it, its first parent, that one's, and so on: oldest first."""
    known = data.by_number()
    current = known.get(data.winner.number) if data.winner else None
    line: list[Candidate] = []
    while current is not None and current not in line:
        line.append(current)
        current = known.get(current.parents[0]) if current.parents else None
    return line[::-1]


def lineage(data: ReportData) -> list[Step]:
    """The steps from a random candidate to the winner; the latest `MAX_STEPS` of them."""
    line = ancestors(data)
    genomes = [_read(each.genome) for each in line]
    letters = _letters(genomes)
    steps = []
    for index, (candidate, genome) in enumerate(zip(line, genomes, strict=True)):
        before, parent = (genomes[index - 1], line[index - 1]) if index else (None, None)
        gain = candidate.values[0] - parent.values[0] if parent and parent.values and candidate.values else None
        changed = _changed(genome, before) if genome and before else []
        strip = _strip(genome, letters, changed, candidate.number) if genome else None
        programs = tuple(_programs(genome, before, changed, letters, candidate.number)) if genome else ()
        steps.append(Step(candidate, gain, strip, programs))
    return steps[-MAX_STEPS:]


def _read(text: str) -> Genome | None:
    try:
        return Genome.read(text) if text else None
    except AbzError:
        return None


def _letters(genomes: list[Genome | None]) -> dict[Node, int]:
    """A number for each program of the line, in the order in which they come up."""
    found: dict[Node, int] = {}
    for genome in genomes:
        for _, program in genome.programs() if genome else ():
            found.setdefault(program.root, len(found))
    return found


def _changed(genome: Genome, before: Genome) -> list[int]:
    """The layers that differ, from 0; every layer from the first difference on where their number does."""
    pairs = zip(genome.layers, before.layers, strict=False)
    found = [index for index, (new, old) in enumerate(pairs) if symbol(new) != symbol(old)]
    return found + list(range(len(before), len(genome)))


def _strip(genome: Genome, letters: dict[Node, int], changed: list[int], number: int) -> Figure:
    layers = genome.layers[:MAX_LAYERS]
    told = ", ".join(_describe(layer, letters) for layer in layers)

    def draw(scene: Scene, width: float) -> float:
        columns = max(1, min(len(layers), int((width - 4) // 27)))
        pitch = min(46.0, (width - 6) / columns)
        for index, layer in enumerate(layers):
            row, column = divmod(index, columns)
            corner = (3 + column * pitch, 3 + row * 32.0)
            scene.hover(f"layer {index + 1}: {_describe(layer, letters)}")
            _block(scene, layer, letters, corner, (pitch - 4, 26), index in changed)
        scene.hover("")
        return 32.0 * ((len(layers) - 1) // columns + 1) + 2

    return Figure(f"lineage-{number}", f"Layers of candidate {number}: {told}", draw, (560.0, 310.0))


def _describe(layer: Layer, letters: dict[Node, int]) -> str:
    if isinstance(layer, AttentionLayer):
        return f"attention {letter(letters[layer.program.root])}"
    return f"convolution {layer.kernel}"


def _block(
    scene: Scene,
    layer: Layer,
    letters: dict[Node, int],
    corner: tuple[float, float],
    size: tuple[float, float],
    changed: bool,
) -> None:
    if isinstance(layer, AttentionLayer):
        index = letters[layer.program.root]
        fill, name = program_colour(index), letter(index)
    else:
        fill, name = KERNELS[layer.kernel], str(layer.kernel)
    scene.box(corner, size, fill, "ink" if changed else darker(fill), radius=4, line=2.2 if changed else 0.6)
    middle = (corner[0] + size[0] / 2, corner[1] + size[1] / 2)
    scene.text(middle, name, 12, on(fill), bold=changed)


def _programs(
    genome: Genome, before: Genome | None, changed: list[int], letters: dict[Node, int], number: int
) -> Iterator[Change]:
    """The programs of the layers that changed, each behind what it was, if that was a program too."""
    for index in changed:
        for verb, source in (("was", before), ("becomes", genome)):
            layer = source.layers[index] if source and index < len(source) else None
            if isinstance(layer, AttentionLayer):
                lets, (expression,) = print_roots([layer.program.root])
                text = "".join(f"let {name} = {value}; " for name, value in lets) + expression
                name = f"lineage-{number}-layer-{index + 1}-{verb}"
                yield Change(index + 1, verb, text, _graph(layer.program, text, letters[layer.program.root], name))


def _graph(program: Program, text: str, index: int, name: str) -> Figure | None:
    operations = sum(1 for node in program.nodes() if node.operands)
    layout = lay_out(program.root, node_width, MAX_SLOTS) if operations <= MAX_OPERATIONS else None
    if layout is None:
        return None
    width = max(layout.width, text_width("output", 6.5) * 2) + 16

    def draw(scene: Scene, given: float) -> float:
        draw_graph(scene, layout, ((given - layout.width) / 2, 26), program_colour(index))
        return layout.height + 34

    return Figure(name, f"The program as a graph: {text}", draw, (width, width), Drawing)
