"""Long statements of generated source."""

import ast

import pytest

from autobertc.compiler.rendering import WIDTH, folded

SUM = " + ".join(["value"] * 40)


@pytest.mark.parametrize(
    ("line", "first"),
    [
        (f"x = {SUM}", "x = ("),
        (f"x = tl.sum({SUM}, axis=2)", "x = tl.sum("),
        (f"x, y = both({SUM})", "x, y = both("),
        (f"x += tl.sum({SUM}, axis=2)", "x += tl.sum("),
        (f"x += {SUM}", "x += ("),
        (f"x = -f({SUM})", "x = ("),
        (f"x = f({SUM}) * g({SUM})", "x = ("),
        (f"x = ({SUM}) * ({SUM})", "x = ("),
        (f"x = tl.where(x == 0.0, {SUM}, y)", "x = tl.where("),
        (f"store(x[:, None], ({SUM}), y=0)", "store("),
        (f"({SUM})[0]", "("),
    ],
)
def test_a_long_line_keeps_its_meaning(line: str, first: str) -> None:
    lines = folded(line, 4)
    assert lines[0] == first and lines[-1] == ")"
    assert all(len(part) + 4 <= WIDTH for part in lines)
    assert ast.dump(ast.parse("\n".join(lines))) == ast.dump(ast.parse(line))


def test_a_short_line_stays() -> None:
    assert folded("x = f(y) * (z)", 110 - 4) == ["x = f(y) * (z)"]
