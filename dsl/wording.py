"""Kinds of token in the words of the language, for messages: no name out of the grammar is ever shown."""

from __future__ import annotations

import unicodedata

from lark import Token

from autobertc.dsl.source import shorten, visible
from autobertc.dsl.tokens import END, KEYWORDS

KEYWORD_KINDS = frozenset(KEYWORDS.values())

_LITERALS = {
    "COLON": "`:`",
    "EQUAL": "`=`",
    "COMMA": "`,`",
    "LPAR": "`(`",
    "LBRACE": "`{`",
    "RPAR": "`)`",
    "RBRACE": "`}`",
    "NEWLINE": "the end of the line",
    END: "the end of the file",
}

_PRODUCT = "a matrix product is written `@`"
_DASH = "the character looks like `-` but is another"
# What people write in formulas or in other languages, and what is written here.
_FOREIGN = {
    "*": _PRODUCT,
    "\N{MULTIPLICATION SIGN}": _PRODUCT,
    "\N{DOT OPERATOR}": _PRODUCT,
    "\N{MIDDLE DOT}": _PRODUCT,
    "//": "a comment starts with `#`",
    "/": "there is no division; `scale` divides by the square root of the head width",
    "^": "a transpose is written `.T`",
    "\N{MODIFIER LETTER CAPITAL T}": "a transpose is written `.T`",
    ";": "a statement ends with its line",
    "[": "arguments stand in parentheses: `op(...)`",
    "]": "arguments stand in parentheses: `op(...)`",
    "\N{MINUS SIGN}": _DASH,
    "\N{EN DASH}": _DASH,
    "\N{EM DASH}": _DASH,
    "\0": "the text holds a NUL character",
}
# Greek and Cyrillic letters that look like Latin ones, as escapes because they do.
_LETTERS = str.maketrans(
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03b1\u03bd\u03bf"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445",
    "ABEZHIKMNOPTYXavoABEKMHOPCTYXaeopcyx",
)


def shown(text: str) -> str:
    """A piece of source in backquotes, cut short and made visible."""
    return f"`{visible(shorten(text))}`"


def describe(token: Token) -> str:
    """A token as something that was found."""
    if token.type in ("NEWLINE", END):
        return _LITERALS[token.type]
    return f"the number {shown(token)}" if token.type == "NUMBER" else shown(token)


def expectation(kinds: frozenset[str], statement: str) -> str:
    """The kinds of token that would fit, as a phrase, in the statement that begins with a keyword."""
    rest = set(kinds)
    phrases = []
    if "WORD" in kinds and "LPAR" in kinds:
        phrases.append("an expression")
    elif "WORD" in kinds and "NUMBER" in kinds:
        phrases.append("a number or a word")
        rest.discard("NUMBER")
    elif "WORD" in kinds:
        phrases.append("a key" if "RBRACE" in kinds else "a name")
    if "NUMBER" in rest:
        phrases.append({"CONV": "a kernel width", "REPEAT": "a repeat count"}.get(statement, "a number"))
    if "MODEL_NAME" in kinds:
        phrases.append("a name for the model")
    if "PLUS" in kinds:
        phrases.append("an operator")
    if "CONV" in kinds:
        phrases.append("a statement")
    literals = [kind for kind in _LITERALS if kind in kinds]
    if phrases:  # not worth a mention beside what may stand before them
        literals = [kind for kind in literals if kind != "LPAR" and (kind != END or "NEWLINE" in kinds)]
    phrases += [_LITERALS[kind] for kind in literals]
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " or " + phrases[-1]


def advice_on(characters: str) -> str | None:
    """What to write in place of characters that the language does not have."""
    for foreign, advice in _FOREIGN.items():
        if characters.startswith(foreign):
            return advice
    first = characters[0]
    meant = unicodedata.normalize("NFKC", first).translate(_LETTERS)
    name = unicodedata.name(first, "")
    if meant != first and meant.isascii() and meant.isprintable() and not meant.isspace():
        return f"{shown(first)} is {name}, it only looks like `{meant}`"
    if first.isspace() or not first.isprintable():
        return f"remove the character {name or f'U+{ord(first):04X}'}"
    return None
