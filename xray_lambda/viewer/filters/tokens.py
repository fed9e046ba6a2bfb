"""The text of a filter expression -> its tokens, each with its place."""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 5_000
_ESCAPES = {'"': '"', "'": "'", "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
_HALF = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])
  | (?P<word>[\w$][\w$.\-:/]*)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<json>\#(?=[\[{]))
  | (?P<mark><=|>=|!=|[=<>!(){}\[\],:])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class FilterError(ValueError):
    """A filter expression that cannot be understood. `position` counts characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} (at character {position + 1})")
        self.message = message
        self.position = position


class Token(NamedTuple):
    """A piece of an expression. `kind` is word, number, text, mark, json or end; `value` is what it says."""

    kind: str
    value: str
    position: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Split an expression; the last token is of the kind `end`. Raises FilterError."""
    if len(text) > LONGEST:
        raise FilterError(f"the expression has {len(text):,} characters, over {LONGEST:,}", LONGEST)
    half = _HALF.search(text)
    if half:
        raise FilterError("half of a surrogate pair is no character", half.start())
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise FilterError(_unknown(text, position), position)
        kind = str(match.lastgroup)
        end = match.end()
        if kind == "json":
            end = _end_of_json(text, end, position)
        if kind != "space":
            tokens.append(Token(kind, _value(kind, text[position:end]), position, end))
        position = end
    tokens.append(Token("end", "", len(text), len(text)))
    return tokens


def quoted(text: str) -> str:
    """Return a text as it stands in an expression, in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


def _unknown(text: str, position: int) -> str:
    if text[position] in "\"'":
        return "this text has no closing quotation mark"
    return f"{text[position]!r} means nothing here"


def _value(kind: str, text: str) -> str:
    if kind == "json":
        return text[1:]
    if kind != "text":
        return text
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text[1:-1], flags=re.DOTALL)


def _end_of_json(text: str, start: int, position: int) -> int:
    """Find where a JSON value ends that begins here: its brackets balanced, those within its texts aside."""
    depth = 0
    for match in re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL).finditer(text, start):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    raise FilterError("this JSON has no end", position)
