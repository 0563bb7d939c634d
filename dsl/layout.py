"""Expressions as text: on one line where they fit, else one argument a line."""

from __future__ import annotations

from typing import TypeAlias

from autobertc.dsl.comments import Comments
from autobertc.dsl.tree import Call, Expression, Name, walk

LINE_WIDTH = 100
INDENT = "  "
# Deeper calls are neither indented further nor broken for their length: else the output would grow with the
# square of the depth.
MAX_DEPTH = 40

# A text; a line break, as the depth of the next line; an expression with its depth and the width of what
# follows on its line.
_Piece: TypeAlias = str | int | tuple[Expression, int, int]


def format_expression(expression: Expression) -> str:
    """The expression on one line, every operation as a call: `matmul(softmax(Q), V)`."""
    texts: list[str] = []
    stack: list[Expression | str] = [expression]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, Name):
            texts.append(item.text)
        else:
            texts.append(item.function + "(")
            stack.append(")")
            for index in range(len(item.arguments) - 1, -1, -1):
                stack.append(item.arguments[index])
                if index:
                    stack.append(", ")
    return "".join(texts)


def lay_out(prefix: str, expression: Expression, depth: int, comments: Comments) -> str:
    """A prefix and an expression, broken over lines where it is too long or has comments inside it.

    `depth` is the depth of the line that the prefix begins. Takes linear time.
    """
    widths = _flat_widths(expression)
    texts: list[str] = []
    column = len(INDENT) * depth
    stack: list[_Piece] = [(expression, depth, 0), prefix]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            texts.append(item)
            column += len(item)
        elif isinstance(item, int):
            texts.append("\n" + INDENT * min(item, MAX_DEPTH))
            column = len(INDENT) * min(item, MAX_DEPTH)
        else:
            node, level, following = item
            too_long = column + widths[id(node)] + following > LINE_WIDTH and level < MAX_DEPTH
            if isinstance(node, Call) and (comments.inside(node.span) or (too_long and node.arguments)):
                stack.extend(reversed(_broken(node, level, comments)))
            else:
                stack.append(format_expression(node))
    return "".join(texts)


def _flat_widths(expression: Expression) -> dict[int, int]:
    widths: dict[int, int] = {}
    for node in walk(expression):
        if isinstance(node, Name):
            widths[id(node)] = len(node.text)
        else:
            separators = 2 * max(0, len(node.arguments) - 1)
            arguments = sum(widths[id(argument)] for argument in node.arguments)
            widths[id(node)] = len(node.function) + 2 + separators + arguments
    return widths


def _broken(call: Call, depth: int, comments: Comments) -> list[_Piece]:
    """A call over several lines. A gap's first comment may end a line; the others have lines of their own."""
    gaps = comments.gaps(call)
    pieces: list[_Piece] = [call.function + "("]
    last = len(call.arguments)
    for index, gap in enumerate(gaps):
        if index:
            follows = index < last
            pieces += [depth + 1, (call.arguments[index - 1], depth + 1, int(follows))]
            pieces += [","] if follows else []
        for position, number in enumerate(gap):
            ends_line = position == 0 and not comments.own_line(number)
            pieces += ["  "] if ends_line else [depth + 1]
            pieces.append(comments.texts[number])
    return [*pieces, depth, ")"]
