"""Feeding tokens to the parser, and going on after a syntax error, so that one run shows every error."""

from __future__ import annotations

from typing import Any

from lark import Token
from lark.exceptions import UnexpectedToken

from autobertc.dsl.repair import Repair, Situation, is_statement_start, repair_for
from autobertc.dsl.source import Diagnostic, Source, Span
from autobertc.dsl.tokens import END, TokenStream, end_of, new_parser, start_of, synthetic
from autobertc.dsl.wording import KEYWORD_KINDS

MAX_ERRORS = 1000
# To find out what would fit takes time linear in the depth at which an error is.
MAX_ERRORS_IN_STATEMENT = 10
MAX_REPEAT_DEPTH = 64

# The kinds that change what the reader knows; all others go straight to the parser.
_TRACKED = KEYWORD_KINDS | {"LPAR", "RPAR", "LBRACE", "RBRACE", "NEWLINE"}


_LONG_AGO = -2


class _Stop(Exception):
    """Nothing more can be learnt from the rest of the text."""


class Reader:
    """Reads a whole text. The value counts only if `errors` is empty afterwards.

    After an error the parser is given what was missing where that is clear (`repair.py`); else it is set up
    anew for the innermost open block and the rest of the statement is skipped. The tree is lost then, so
    nothing needs saving on the way.
    """

    def __init__(self, source: Source, start: str) -> None:
        self.errors: list[Diagnostic] = []
        self.stream = TokenStream(source)
        self._source = source
        self._start = start
        self._parser = new_parser(start)
        self._open: list[tuple[str, Token]] = []  # "(", "header" and "repeat", each with the token that opened it
        self._statement = ""  # the keyword of the statement that is being read
        self._seen: set[str] = set()  # the keywords read so far
        self._fresh = True  # at file level, before the first token of a statement
        self._previous = synthetic("NEWLINE", 0)
        self._pending: Token | None = None  # to be read again
        self._count = 0
        self._errors_in_statement = 0
        self._last_error = _LONG_AGO  # the number of the token at which an error was found last

    def read(self) -> Any:
        """The value of the text under the grammar's start rule."""
        result = None
        try:
            while True:
                token = self._advance()
                if token.type == "NEWLINE" and (self._open or self._fresh or self._start == "expression"):
                    continue
                if token.type == END:
                    result = self._finish(token)
                    break
                try:
                    self._feed(token)
                except UnexpectedToken:
                    self._recover(token)
        except _Stop:
            pass
        self.errors.sort(key=lambda error: error.span.start if error.span else len(self._source.text))
        return result

    def _advance(self) -> Token:
        token, self._pending = self._pending or self.stream.advance(), None
        self._count += 1
        return token

    def _finish(self, end: Token) -> Any:
        if not self._fresh and not self._open and self._start == "file":
            try:
                self._feed(synthetic("NEWLINE", start_of(end)))
            except UnexpectedToken:
                self._recover(end)
        try:
            return self._parser.feed_token(end)
        except UnexpectedToken:
            self._recover(end)
            return None

    def _feed(self, token: Token) -> None:
        self._parser.feed_token(token)
        self._previous = token
        kind = token.type
        if kind not in _TRACKED:
            return
        self._fresh = kind == "NEWLINE"
        if self._fresh:
            self._last_error = _LONG_AGO
        if self._fresh or kind in KEYWORD_KINDS:
            self._errors_in_statement = 0
        if kind == "LPAR":
            self._open.append(("(", token))
        elif kind == "LBRACE":
            self._open.append(("header" if self._statement == "MODEL" else "repeat", token))
            self._statement = ""
            if len(self._open) > MAX_REPEAT_DEPTH:
                self._report(token, f"blocks are nested more than {MAX_REPEAT_DEPTH} deep")
                raise _Stop
        elif kind == "RPAR" or kind == "RBRACE":
            self._open.pop()
            self._statement = self._statement if kind == "RPAR" else ""
        elif kind in KEYWORD_KINDS:
            self._enter_statement(token)

    def _enter_statement(self, token: Token) -> None:
        kind = token.type
        self._statement = kind
        if kind == "LET" and self._open:
            hint = "move it in front of the `repeat`"
            self._report(token, "`let` belongs at file level, not inside a block", hint)
        elif kind == "MODEL" and "MODEL" in self._seen:
            self._report(token, "a second header: a file has one at most")
        elif kind == "MODEL" and self._seen:
            self._report(token, "the header must come first, before every statement")
        self._seen.add(kind)

    def _report(self, token: Token, message: str, hint: str | None = None, notes: tuple[str, ...] = ()) -> None:
        if len(self.errors) >= MAX_ERRORS:
            note = Diagnostic("note", f"stopped after {MAX_ERRORS} errors", None, self._source)
            self.errors.append(note)
            raise _Stop
        span = Span(start_of(token), end_of(token))
        self.errors.append(Diagnostic("error", message, span, self._source, notes, hint))

    def _recover(self, token: Token) -> None:
        """Reports an error at a token and gets the parser past it."""
        follows_error = self._count - self._last_error <= 1
        self._last_error = self._count
        if follows_error:  # most likely the same mistake
            self._skip_statement(token)
            return
        situation = Situation(
            token=token,
            next=self.stream.peek(),
            previous=self._previous,
            expected=frozenset(self._parser.accepts()),
            open=self._open,
            statement=self._statement,
        )
        repair = repair_for(situation)
        self._report(repair.at or self._place(token), repair.message, repair.hint, repair.notes)
        self._errors_in_statement += 1
        if repair.skip or self._errors_in_statement >= MAX_ERRORS_IN_STATEMENT:
            self._skip_statement(token)
        else:
            self._apply(repair, token)

    def _apply(self, repair: Repair, token: Token) -> None:
        try:
            for kind in repair.insert:
                self._feed(synthetic(kind, start_of(token)))
            if repair.keep and token.type != END:
                self._feed(token)
        except UnexpectedToken:
            self._skip_statement(token)

    def _place(self, token: Token) -> Token:
        """Where to point for a token: what is missing at the end of a line is missing after its last word."""
        if token.type in ("NEWLINE", END) and self._previous.type != "NEWLINE":
            return synthetic(token.type, end_of(self._previous))
        return token

    def _skip_statement(self, token: Token) -> None:
        """Skips to where the next statement or header entry begins, the parser made ready for it."""
        if self._start == "expression":
            raise _Stop
        parens = 0
        while self._open and self._open[-1][0] == "(":
            self._open.pop()
            parens += 1
        self._restart()
        block = self._open[-1][0] if self._open else "file"
        at_line_start = False
        while token.type != END:
            following = self.stream.peek().type
            if is_statement_start(token, self.stream.peek()):
                if block == "header":  # it was not closed
                    self._open.pop()
                    self._restart()
                break
            if token.type == "LBRACE" and block != "header":
                self._open_block(token)
                return
            if token.type == "RBRACE" and block != "file":
                break
            if token.type == "NEWLINE" and block == "file" and not parens:
                return
            named = token.type == "WORD" and following in ("COLON", "EQUAL")
            if named and (block == "header" or at_line_start or parens):
                break
            parens = max(0, parens + (token.type == "LPAR") - (token.type == "RPAR"))
            at_line_start = token.type == "NEWLINE"
            token = self._advance()
        self._pending = token

    def _restart(self) -> None:
        """A new parser, brought to the beginning of a statement in the block that is open."""
        self._parser = new_parser(self._start)
        for kind, _ in self._open:
            for part in _prelude(kind):
                self._parser.feed_token(synthetic(part, 0))
            self._parser.feed_token(synthetic("LBRACE", 0))
        self._fresh = not self._open
        self._last_error = _LONG_AGO
        self._errors_in_statement = 0

    def _open_block(self, brace: Token) -> None:
        # The words before the brace were wrong; what is inside may be right.
        kind = "header" if self._statement == "MODEL" else "repeat"
        for part in _prelude(kind):
            self._parser.feed_token(synthetic(part, 0))
        self._feed(brace)


def _prelude(block: str) -> tuple[str, str]:
    return ("MODEL", "MODEL_NAME") if block == "header" else ("REPEAT", "NUMBER")
