"""Pictures: they hold what they should, in bounded size, and are written whole or not at all."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from autobertc.dsl.architecture import Architecture, AttentionLayer, ConvolutionLayer, Layer, Sizes
from autobertc.dsl.checker import check
from autobertc.dsl.graph import Node, Program, make_node
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.source import Source
from autobertc.runtime import drawing
from autobertc.runtime.drawing import draw
from autobertc.runtime.drawing.canvas import fit, text_width, wrap_code
from autobertc.runtime.drawing.card import MAX_OPERATIONS, MAX_SLOTS
from autobertc.runtime.drawing.layout import NODE_GAP, Layout, lay_out
from autobertc.runtime.drawing.runs import describe_numbers, letter, summarize
from autobertc.runtime.files import OutputError
from tests.strategies import programs

AUTOBERT_ZERO = """
model autobert-zero-base { hidden: 768 }
conv: 65
att: matmul(softmax(scale(matmul(Q, neg(transpose(logsigmoid(neg(K))))))), add(K, Q))
conv: 9
att: matmul(softmax(scale(matmul(Q, neg(transpose(logsigmoid(add(logsigmoid(Q), add(Q, K)))))))), Q)
conv: 3
att: matmul(softmax(scale(matmul(Q, neg(transpose(logsigmoid(K)))))), Q)
conv: 7
att: matmul(softmax(scale(matmul(Q, neg(transpose(logsigmoid(K)))))), Q)
conv: 7
att: matmul(softmax(scale(matmul(Q, transpose(add(scale(K), add(softsign(scale(softsign(K))), V)))))), V)
conv: 3
att: matmul(softmax(scale(matmul(Q, transpose(add(scale(K), V))))), V)
"""


def read(text: str) -> Architecture:
    return check(parse_tree(Source("model.abz", text))).architecture


def texts(path: Path) -> list[str]:
    """What an SVG says, line by line."""
    root = ElementTree.fromstring(path.read_bytes())
    return ["".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")]


def chain(length: int) -> Program:
    node = make_node("Q")
    for index in range(length):
        node = make_node(("neg", "tanh", "relu")[index % 3], node)
    return Program(node)


def repeated(*layers: Layer, times: int = 1) -> Architecture:
    return Architecture("model", Sizes(), layers * times)


def test_svg_says_what_the_paper_shows(tmp_path: Path) -> None:
    draw(read(AUTOBERT_ZERO), tmp_path / "out.svg")
    said = texts(tmp_path / "out.svg")
    assert "autobert-zero-base" in said
    assert any("12 layers" in text and "12 heads of 64" in text for text in said)
    assert {"layer 2", "layer 4", "layers 6, 8", "layer 10", "layer 12"} <= set(said)
    # Letters stand on the card and on each layer; numbers from 1 to 12 over the layers.
    assert [said.count(name) for name in "ABCDE"] == [2, 2, 3, 2, 2]
    assert {str(number) for number in range(1, 13)} <= set(said)
    assert {"convolution 3", "convolution 7", "convolution 9", "convolution 65"} <= set(said)
    assert "convolution 5" not in said
    joined = "".join(said).replace(" ", "")
    assert "att:matmul(softmax(scale(matmul(Q,neg(transpose(logsigmoid(K)))))),Q)" in joined


def test_each_value_is_drawn_once(tmp_path: Path) -> None:
    draw(read("let a = add(Q, Q)\natt: matmul(softmax(a @ a.T), a)"), tmp_path / "out.svg")
    said = texts(tmp_path / "out.svg")
    assert [said.count(name) for name in ("Q", "add", "transpose", "softmax", "matmul")] == [1, 1, 1, 1, 2]
    # Operands of the products are numbered, those of the sum are not.
    assert said.count("2") == 2


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=programs())
def test_every_operation_is_named(program: Program, tmp_path: Path) -> None:
    draw(repeated(AttentionLayer(program)), tmp_path / "out.svg")
    said = texts(tmp_path / "out.svg")
    names = [node.op.name for node in program.nodes()]
    for name in names:
        assert said.count(name) >= names.count(name)


@settings(max_examples=25, deadline=None)
@given(program=programs())
def test_layout_is_legible(program: Program) -> None:
    layout = lay_out(program.root, lambda node: 40.0 + len(node.op.name), MAX_SLOTS)
    assert layout is not None
    assert {slot.node for row in layout.rows for slot in row if not slot.passing} == set(program.nodes())
    for row in layout.rows:
        assert len({slot.y for slot in row}) == 1
        for left, right in pairwise(row):
            assert right.x - right.width / 2 - left.x - left.width / 2 > NODE_GAP / 2
    for slot in (slot for row in layout.rows for slot in row):
        assert slot.x - slot.width / 2 >= -0.01 and slot.x + slot.width / 2 <= layout.width + 0.01
    check_wires(layout)


def check_wires(layout: Layout) -> None:
    """Each operand arrives, from the row below, and ordered ones from left to right."""
    ports: dict[Node, dict[int, float]] = {}
    for wire in layout.wires:
        assert wire.upper.row == wire.lower.row + 1 and wire.upper.y < wire.lower.y
        if wire.upper.passing:
            assert wire.upper.node is wire.lower.node
        else:
            assert wire.upper.node.operands[wire.number - 1] is wire.lower.node
            assert abs(wire.port) < wire.upper.width / 2
            ports.setdefault(wire.upper.node, {})[wire.number] = wire.port
    for node, by_number in ports.items():
        assert sorted(by_number) == list(range(1, len(node.operands) + 1))
        assert len(set(by_number.values())) == len(by_number)
        if node.op.name == "matmul":
            assert by_number[1] < by_number[2]


def test_png(tmp_path: Path) -> None:
    draw(read("att: softmax(matmul(Q, transpose(logsigmoid(K))))"), tmp_path / "out.PNG")
    data = (tmp_path / "out.PNG").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and b"IEND" in data[-12:]


def test_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg", "one.png", "two.png"):
        draw(read(AUTOBERT_ZERO), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert b"dc:date" not in (tmp_path / "one.svg").read_bytes()


@pytest.mark.parametrize("name", ["out.pdf", "out", "out.svg.gz"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(".svg, .png")):
        draw(repeated(ConvolutionLayer(3)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_failure_leaves_nothing(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    occupied = tmp_path / f"folder{suffix}"
    occupied.mkdir()
    with pytest.raises(OutputError):
        draw(repeated(ConvolutionLayer(3)), occupied)
    with pytest.raises(OutputError):
        draw(repeated(ConvolutionLayer(3)), tmp_path / "missing" / f"out{suffix}")
    before = tmp_path / f"before{suffix}"
    before.write_text("before")

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match="disk full"):
        draw(repeated(ConvolutionLayer(3)), before)
    assert before.read_text() == "before"
    assert sorted(tmp_path.iterdir()) == sorted([before, occupied])


def test_deep_models_are_summarized(tmp_path: Path) -> None:
    attention = AttentionLayer(chain(3))
    draw(repeated(ConvolutionLayer(15), attention, times=500), tmp_path / "out.svg")
    said = texts(tmp_path / "out.svg")
    assert {"× 500", "layers 1–1,000", "layers 2, 4, …, 1,000"} <= set(said)  # noqa: RUF001
    assert said.count("attention") == said.count("convolution") == 1
    draw(repeated(attention, times=10_000), tmp_path / "out.svg")
    assert "× 10,000" in texts(tmp_path / "out.svg")  # noqa: RUF001


def test_repetition_is_found() -> None:
    a, b = AttentionLayer(chain(1)), ConvolutionLayer(3)
    assert len(summarize([a] * 24)) == 24
    (run,) = summarize([a] * 25)[0].runs
    assert (run.first, run.count) == (1, 25)
    head, body = summarize([b, *([a, a, b] * 20)])[:2]
    groups = summarize([b, *([a, a, b] * 20)])
    assert sum(group.count for group in groups) == 61
    assert max(group.times for group in groups) == 20
    assert (head.first, body.first) == (1, groups[0].count + 1)


def test_many_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MAX_PROGRAMS", 2)
    draw(repeated(*(AttentionLayer(chain(length)) for length in range(1, 201))), tmp_path / "out.svg")
    said = texts(tmp_path / "out.svg")
    assert "and 198 further programs" in said
    assert "… and 104 further layers" in said


def test_large_programs_are_named_only(tmp_path: Path) -> None:
    draw(repeated(AttentionLayer(chain(1234)), AttentionLayer(chain(MAX_OPERATIONS))), tmp_path / "out.svg")
    said = texts(tmp_path / "out.svg")
    assert "1,234 operations on Q" in said
    assert any(text.startswith("program of 1,234 operations, too large") for text in said)
    assert said.count("tanh") == MAX_OPERATIONS // 3


def test_a_picture_has_room_for_so_many_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MAX_OPERATIONS_IN_ALL", 25)
    draw(repeated(*(AttentionLayer(chain(length)) for length in (10, 20, 15))), tmp_path / "out.svg")
    said = texts(tmp_path / "out.svg")
    assert [text for text in said if "no room" in text] == ["program of 20 operations, no room left to draw it"]
    assert said.count("output") == 2


def test_tangled_programs_are_named_only() -> None:
    nodes = [make_node("Q")]
    for _ in range(60):
        nodes.append(make_node("add", nodes[-1], make_node("tanh", nodes[-1])))
    root = nodes[-1]
    for node in nodes:
        root = make_node("add", root, node)
    assert lay_out(root, lambda node: 40.0, 300) is None


def test_wide_programs_stay_narrow() -> None:
    names = ("neg", "scale", "softmax", "logsigmoid", "softsign", "relu", "square", "exp", "sigmoid", "tanh")
    leaves = [make_node(name, make_node(source)) for name in names for source in "QKVP"]
    root = leaves[0]
    for leaf in leaves[1:]:
        root = make_node("add", root, leaf)
    layout = lay_out(root, lambda node: 40.0, MAX_SLOTS)
    assert layout is not None
    assert max(sum(not slot.passing for slot in row) for row in layout.rows) <= 8


def test_hostile_names(tmp_path: Path) -> None:
    name = "$x_1$ <b>&\n\x01\udc80 模型" + "n" * 5000
    architecture = Architecture(name, Sizes(), (ConvolutionLayer(5),))
    for suffix in ("svg", "png"):
        draw(architecture, tmp_path / f"out.{suffix}")
    assert texts(tmp_path / "out.svg")[-1:] and any(
        text.startswith("$x_1$ <b>&??? 模型") for text in texts(tmp_path / "out.svg")
    )


def test_words() -> None:
    assert [letter(index) for index in (0, 25, 26, 27, 701, 702)] == ["A", "Z", "AA", "AB", "ZZ", "AAA"]
    assert describe_numbers([3]) == "layer 3"
    assert describe_numbers([1, 2]) == "layers 1, 2"
    assert describe_numbers([1, 2, 3]) == "layers 1–3"  # noqa: RUF001
    assert describe_numbers(list(range(2, 25, 2))) == "layers 2, 4, …, 24"
    assert describe_numbers([1, *range(3, 1200)]) == "1,198 layers from 1 to 1,199"


def test_text_is_cut_and_wrapped() -> None:
    assert fit("short", 100, 8) == "short"
    cut = fit("w" * 5000, 100, 8)
    assert cut.endswith("…") and text_width(cut, 8) <= 100
    code = "matmul(softmax(scale(matmul(Q, transpose(K)))), V)"
    lines = wrap_code(code, 20, 9)
    assert all(len(line) <= 20 for line in lines) and "".join(lines).replace(" ", "") == code.replace(" ", "")
    assert wrap_code("neg(" * 10_000, 20, 3)[-1].endswith("…")
    assert len(wrap_code("x" * 50, 20, 9)) == 3
