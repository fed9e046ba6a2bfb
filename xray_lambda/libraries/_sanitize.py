"""SQL as it may stand in a trace: every literal replaced by `?`, comments left out; in linear time.

Where a statement can be read in two ways, the one that hides more counts. What stands in a trace is for reading and
for grouping: lists of values are as short as one value, and it is no SQL to be run again.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from xray_lambda._values import clean
from xray_lambda.libraries._sql_places import Places
from xray_lambda.libraries._sql_tokens import dialect_of, has_open_names, tokens

# In characters: what the trace keeps of a statement, and the longest that is remembered: a megabyte in all.
_MAX_LENGTH = 10_000
_MAX_REMEMBERED = 2_000


def sanitized(statement: str, dialect: str = "") -> str:
    """Return a SQL statement without its literals, as it may stand in a trace.

    `dialect` is postgresql, mysql or sqlite; any other is read with more care, and may be hidden from some point on.
    """
    text = str.__str__(statement)  # a subclass may compare and hash as it likes
    if len(text) <= _MAX_REMEMBERED:
        return _remembered(text, dialect)
    return without_literals(text[:_MAX_LENGTH], dialect_of(dialect))


@lru_cache(maxsize=256)
def _remembered(text: str, dialect: str) -> str:
    return without_literals(text, dialect_of(dialect))


def without_literals(text: str, dialect: str) -> str:
    """Return a statement of any length without its literals; one that was cut off hides the literal it ends in."""
    names_are_open = '"' in text and has_open_names(dialect)
    upper = text.upper()
    pattern = tokens(dialect, every=names_are_open or any(word in upper for word in _WATCHED))
    places = Places(strict=dialect == "") if names_are_open else None
    return clean(_shortened(_Reader(text, pattern, places).read()))


def _shortened(text: str) -> str:
    """Return a statement with one row of VALUES and one value of IN, so that those that differ in number are one."""
    if "),(" in text or "), (" in text:
        text = _rows().sub(r"\1", text)
    upper = text.upper()
    return _lists().sub(r"\1", text) if "," in text and any(word in upper for word in _LISTED) else text


_WATCHED = ("IDENTIFIED", "STDIN", "ESCAPE")
_LISTED = ("IN(", "IN (", "ARRAY")
_VALUE = r"(?:\?|[$:@]\w+|%s|%\(\w+\)s)"


@cache
def _rows() -> re.Pattern[str]:
    row = rf"\( ?{_VALUE}(?: ?, ?{_VALUE})* ?\)"
    return re.compile(rf"({row})(?: ?, ?{row})+")


@cache
def _lists() -> re.Pattern[str]:
    return re.compile(rf"\b((?:IN ?\(|ARRAY ?\[) ?{_VALUE})(?: ?, ?{_VALUE})+(?= ?[)\]])", re.IGNORECASE)


class _Reader:
    """Reads a statement token by token, and writes down what may be shown."""

    __slots__ = ("_copies", "_identified", "_last", "_next", "_place", "_places", "_secret", "_shown", "_text")

    def __init__(self, text: str, pattern: re.Pattern[str], places: Places | None) -> None:
        self._text = text
        self._next = pattern.match
        self._place = 0
        self._shown = [" "]
        self._last = ""  # the word before this token, in upper case
        self._places = places
        self._identified = self._secret = False  # within IDENTIFIED ..., and right after its BY
        self._copies = False  # after COPY ... FROM STDIN

    def read(self) -> str:
        """Return what may be shown."""
        length = len(self._text)
        while self._place < length:
            match = self._next(self._text, self._place)
            self._place = match.end()  # type: ignore[union-attr]  # `other` matches anything
            kind, token = match.lastgroup, match[0]  # type: ignore[union-attr, index]
            if self._secret and kind not in ("space", "comment"):
                self._secret = False
                kind = kind if kind in _HIDDEN else "password"
            _TAKE[kind](self, token)  # type: ignore[index]
        return _SPACES.sub(" ", "".join(self._shown)).strip()

    def space(self, token: str) -> None:  # noqa: ARG002
        self._shown.append(" ")

    def comment(self, token: str) -> None:
        """Go to the end of a comment in which others may be nested."""
        depth, end = 1, len(self._text)
        for edge in _COMMENT_EDGE.finditer(self._text, self._place):
            depth += 1 if edge[0] == token else -1
            if not depth:
                end = edge.end()
                break
        self._place = end
        self.space(token)

    def literal(self, token: str) -> None:  # noqa: ARG002
        self._shown.append("?")
        self._last = ""
        if self._places is not None:
            self._places.operand()

    def number(self, token: str) -> None:
        """Hide a number, and the sign of one that nothing can be subtracted from."""
        if self._shown[-1] == "-" and ("".join(self._shown[-3:-1]).rstrip() or "(")[-1] in "(,=<>":
            self._shown.pop()
        self.literal(token)

    def dollar(self, token: str) -> None:
        """Go to the end of a dollar-quoted string."""
        end = self._text.find(token, self._place)
        self._place = len(self._text) if end < 0 else end + len(token)
        self.literal(token)

    def plain(self, token: str) -> None:
        self._shown.append(token)

    def marker(self, token: str) -> None:
        self.literal(token)
        self._shown[-1] = token

    def name(self, token: str) -> None:
        self._shown.append(token)
        self._last = ""
        if self._places is not None:
            self._places.operand(name=True)

    def either(self, token: str) -> None:
        """Show what is a name, as what has a dot beside it always is."""
        places = self._places
        dotted = "".join(self._shown[-2:]).rstrip()[-1:] == "." or _DOT.match(self._text, self._place)
        if dotted or (places is not None and places.shows(token)):
            self.name(token)
        else:
            self.literal(token)

    def word(self, token: str) -> None:
        self._shown.append(token)
        word = token.upper()
        if word == "IDENTIFIED":
            self._identified = True
        elif word in ("BY", "REPLACE") and self._identified:
            self._secret = True
        elif word == "STDIN" and self._last == "FROM":
            self._copies = True
        elif word == "ESCAPE":
            self._escape()
        self._last = word
        if self._places is not None:
            self._places.word(word)

    def other(self, token: str) -> None:
        self._shown.append(token)
        self._last = ""
        if self._places is not None:
            self._places.other(token)
        if token == ";":  # noqa: S105 - of SQL
            self._identified = False
            if self._copies:
                self._data()

    def _escape(self) -> None:
        """Go over the one string that has a backslash before its quote and ends there in any case."""
        backslash = _BACKSLASH.match(self._text, self._place)
        if backslash is not None:
            self._place = backslash.end()
            self._shown += (" ", "?")

    def _data(self) -> None:
        """Hide the rows that follow a COPY ... FROM STDIN in a script, and with them all the rest."""
        if self._text[self._place :].strip():
            self._shown += (" ", "?")
        self._place = len(self._text)

    def password(self, token: str) -> None:
        """Hide the password of IDENTIFIED BY, which Oracle takes as a word."""
        self._place = _WORD_END.match(self._text, self._place).end()  # type: ignore[union-attr]  # it matches nothing too
        self.literal(token)


_SPACES = re.compile(" {2,}")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_DOT = re.compile(r"\s*\.(?!\d)")
_BACKSLASH = re.compile(r"\s*'\\'(?!')")
_WORD_END = re.compile(r"[^\s;,]*")
_TAKE = {
    "space": _Reader.space, "comment": _Reader.comment, "literal": _Reader.literal, "number": _Reader.number,
    "rest": _Reader.literal, "unended": _Reader.literal, "dollar": _Reader.dollar, "marker": _Reader.marker,
    "name": _Reader.name, "either": _Reader.either, "word": _Reader.word, "other": _Reader.other,
    "password": _Reader.password, "plain": _Reader.plain,
}  # fmt: skip
_HIDDEN = ("literal", "rest", "unended", "dollar")
