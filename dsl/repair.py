"""What to say about a token that does not fit, and how to go on: the first rule that applies decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeAlias

from lark import Token

from autobertc.dsl.source import did_you_mean
from autobertc.dsl.tokens import END, KEYWORDS
from autobertc.dsl.wording import KEYWORD_KINDS, advice_on, describe, expectation, shown

_ALIASES = {
    "attention": "att",
    "attn": "att",
    "convolution": "conv",
    "loop": "repeat",
    "def": "let",
    "header": "model",
}
_CONTINUE = "an expression goes on over the end of a line only inside parentheses"
_AFTER_A_VALUE = {"COMMA", "RPAR", "PLUS", "AT", "TRANSPOSED", "LPAR", "EQUAL", "NEWLINE", END}


@dataclass(frozen=True, slots=True)
class Situation:
    """A token that does not fit, and what stands around it."""

    token: Token
    next: Token
    previous: Token
    expected: frozenset[str]  # the kinds of token that would fit
    open: list[tuple[str, Token]]  # the brackets that are open: "(", "header" or "repeat", with their tokens
    statement: str  # the keyword of the statement that is being read

    @property
    def innermost(self) -> str:
        return self.open[-1][0] if self.open else "file"

    @property
    def wants_expression(self) -> bool:
        return {"WORD", "LPAR", "MINUS"} <= self.expected

    @property
    def expected_found(self) -> str:
        # A `)` right after `f(` is allowed, but nobody means it.
        kinds = self.expected - {"RPAR"} if self.wants_expression else self.expected
        return f"expected {expectation(kinds, self.statement)}, found {describe(self.token)}"

    @property
    def wants_statement(self) -> bool:
        return "CONV" in self.expected


@dataclass(frozen=True, slots=True)
class Repair:
    """A message, and the kinds of token to put in; then the token is fed (`keep`), or dropped, or the rest of
    the statement is skipped (`skip`)."""

    message: str
    hint: str | None = None
    notes: tuple[str, ...] = ()
    at: Token | None = None  # where to point; the token itself if None
    insert: tuple[str, ...] = ()
    keep: bool = False
    skip: bool = False


Rule: TypeAlias = Callable[[Situation], Repair | None]


def repair_for(situation: Situation) -> Repair:
    """The message and the way on for a token that does not fit."""
    for rule in _RULES:
        if (repair := rule(situation)) is not None:
            return repair
    return Repair(situation.expected_found, skip=True)


def is_statement_start(token: Token, following: Token) -> bool:
    """Whether a keyword begins a statement here, rather than being misused as a name."""
    after: str = following.type
    match token.type:
        case "ATT" | "CONV":
            return after in ("COLON", "EQUAL", "NUMBER", "WORD")
        case "LET":
            return after == "WORD"
        case "REPEAT":
            return after in ("NUMBER", "LBRACE")
        case "MODEL":
            return after in ("MODEL_NAME", "LBRACE")
    return False


def _unclosed(s: Situation) -> Repair | None:
    starts = is_statement_start(s.token, s.next)
    if s.innermost == "(":
        named = s.token.type == "WORD" and s.next.type in ("COLON", "EQUAL")
        if s.token.type not in (END, "RBRACE") and not starts and not named:
            return None
    elif not (s.token.type == END and s.open) and not (s.innermost == "header" and starts and "RBRACE" in s.expected):
        return None
    bracket = s.open[-1][1]
    count = sum(1 for _ in takewhile(lambda entry: entry[0] == "(", reversed(s.open)))
    notes = (f"{count} parentheses are open there",) if count > 1 else ()
    before = "" if s.token.type == END else f" before {describe(s.token)}"
    return Repair(f"this `{bracket}` is never closed{before}", notes=notes, at=bracket, skip=True)


def _unmatched(s: Situation) -> Repair | None:
    opener = {"RPAR": "(", "RBRACE": "{"}.get(s.token.type)
    if opener is None or (opener == "(" and s.innermost == "(") or (opener == "{" and s.open):
        return None
    return Repair(f"unmatched `{s.token}`: no `{opener}` is open here")


def _not_a_token(s: Situation) -> Repair | None:
    """Characters that are never right. What they stand for is guessed, for the sake of what follows."""
    found, hint = describe(s.token), None
    match s.token.type:
        case "UNKNOWN":
            message, hint = f"unexpected {found}", advice_on(s.token)
        case "STRING":
            message, hint = "there are no strings in the language", "write the word without quotes"
        case "MALFORMED_NUMBER":
            message = f"malformed number {shown(s.token)}"
        case "DOT":
            message = f"unexpected {found}: only `.T`, transpose, is written with a dot"
            if s.token[1:].isdigit():
                message, hint = f"malformed number {found}", "a number begins with a digit: `0.5`"
        case _:
            return None
    for kind in ("WORD", "NUMBER", "PLUS", "COLON", "EQUAL"):
        if kind in s.expected and not (kind == "WORD" and s.wants_statement):
            fits = s.token.type != "DOT" or kind == "NUMBER"
            return Repair(message, hint, insert=(kind,) if fits else ())
    return Repair(message, hint)


def _misspelt_statement(s: Situation) -> Repair | None:
    if not s.wants_statement or s.token.type != "WORD":
        return None
    assigns = s.next.type in ("COLON", "EQUAL")
    if "PLUS" in s.expected and not assigns:
        return None
    message = f"unknown statement {shown(s.token)}"
    if s.next.type == "EQUAL":
        hint = f"a named expression is written {shown(f'let {s.token} = ...')}"
        return Repair(message, hint, insert=("LET",), keep=True, skip=bool(s.open))
    guess = did_you_mean(s.token, KEYWORDS | _ALIASES)
    if guess is not None:
        keyword = _ALIASES.get(guess, guess)
        return Repair(message, f"did you mean `{keyword}`?", insert=(KEYWORDS[keyword],))
    if s.next.type in _AFTER_A_VALUE and s.next.type != "COMMA":
        return Repair(message, "an attention layer is written `att: EXPRESSION`", insert=("ATT", "COLON"), keep=True)
    return Repair(message, "a statement begins with `att:`, `conv:`, `let` or `repeat`", skip=True)


def _continued_line(s: Situation) -> Repair | None:
    if not s.wants_statement or s.token.type not in ("PLUS", "AT", "TRANSPOSED"):
        return None
    return Repair(s.expected_found, _CONTINUE, skip=True)


def _missing_value(s: Situation) -> Repair | None:
    """In a header, the key after a key without a value was taken for the value."""
    if s.innermost != "header" or s.token.type != "COLON" or s.previous.type != "WORD":
        return None
    message = f"expected a number or a word before the key {shown(s.previous)}"
    return Repair(message, at=s.previous, insert=("WORD",), keep=True)


def _colon_or_equal(s: Situation) -> Repair | None:
    wanted = next((kind for kind in ("COLON", "EQUAL") if kind in s.expected), None)
    if wanted is None:
        return None
    after = f" after {describe(s.previous)}"
    replaces = s.token.type in ("COLON", "EQUAL")
    message = f"expected {expectation(frozenset({wanted}), s.statement)}{after}, found {describe(s.token)}"
    return Repair(message, insert=(wanted,), keep=not replaces)


def _not_an_expression(s: Situation) -> Repair | None:
    if not s.wants_expression:
        return None
    kind, message, hint = s.token.type, s.expected_found, None
    if kind == "NUMBER":
        return Repair(message, notes=("there are no scalars in the language",), insert=("WORD",))
    if kind in KEYWORD_KINDS and not is_statement_start(s.token, s.next):
        return Repair(f"{shown(s.token)} is a reserved word, it cannot name a value", insert=("WORD",))
    if kind == "RPAR" and s.previous.type == "COMMA":
        message, hint = (
            f"expected an expression after `,`, found {describe(s.token)}",
            "remove the last comma",
        )
    if kind == "NEWLINE" and s.previous.type in ("PLUS", "MINUS", "AT"):
        hint = _CONTINUE
    if kind in ("LBRACE", "COLON", "EQUAL"):
        return Repair(message, skip=True)
    return Repair(message, hint, insert=("WORD",), keep=True)


def _not_a_name(s: Situation) -> Repair | None:
    if "WORD" not in s.expected or s.token.type not in KEYWORD_KINDS or "NUMBER" in s.expected:
        return None
    return Repair(f"{shown(s.token)} is a reserved word, it cannot be a name", insert=("WORD",))


def _second_on_line(s: Situation) -> Repair | None:
    if "NEWLINE" not in s.expected:
        return None
    if s.token.type in KEYWORD_KINDS:
        hint = "write one statement a line"
        return Repair(s.expected_found, hint, insert=("NEWLINE",), keep=True)
    return None


def _missing_operator(s: Situation) -> Repair | None:
    if "PLUS" not in s.expected or s.token.type not in ("WORD", "LPAR", "NUMBER"):
        return None
    if s.token.type == "NUMBER":
        return Repair(s.expected_found, notes=("there are no scalars in the language",))
    return Repair(s.expected_found, insert=("PLUS",), keep=True)


def _only_one_fits(s: Situation) -> Repair | None:
    if len(s.expected) != 1 or s.expected & {"NEWLINE", END}:
        return None
    (wanted,) = s.expected
    hint = None
    if wanted == "MODEL_NAME":
        hint = "a header is written `model NAME { ... }`"
    if wanted == "LBRACE" and s.token.type == "NEWLINE":
        return Repair(s.expected_found, "put the `{` on the same line", skip=s.next.type != "LBRACE")
    keep = s.token.type not in ("WORD", "NUMBER", "MINUS", "PLUS", "AT", "COMMA")
    return Repair(s.expected_found, hint, insert=(wanted,), keep=keep)


_RULES: tuple[Rule, ...] = (
    _unclosed,
    _unmatched,
    _not_a_token,
    _misspelt_statement,
    _continued_line,
    _missing_value,
    _colon_or_equal,
    _not_an_expression,
    _not_a_name,
    _second_on_line,
    _missing_operator,
    _only_one_fits,
)
