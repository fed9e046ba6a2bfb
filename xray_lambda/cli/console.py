"""The terminal: colour where there is one, plain text in a pipe, and nothing on it that could steer it."""

from __future__ import annotations

import contextlib
import shutil
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

PIPE_WIDTH = 100
NARROWEST = 60
WIDEST = 140

_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}


class Problem(Exception):
    """What the user can put right; told in one line, without a traceback."""


class Console(NamedTuple):
    """What the place we write to can show."""

    colour: bool = False
    unicode: bool = True
    width: int = PIPE_WIDTH

    def paint(self, text: str, *styles: str) -> str:
        """Return `text` in the given styles (bold, dim, red ...) where colour shows, else as it is."""
        if not (self.colour and styles and text):
            return text
        codes = ";".join(str(_CODES[style]) for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"


def console_for(stream: TextIO, environ: Mapping[str, str]) -> Console:
    """Look at a stream: NO_COLOR is obeyed first, then FORCE_COLOR, then whether it is a terminal."""
    terminal = stream.isatty()
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns if terminal else PIPE_WIDTH
    return Console(
        _wants_colour(environ, terminal=terminal), _shows_unicode(stream), min(max(width, NARROWEST), WIDEST)
    )


def _wants_colour(environ: Mapping[str, str], *, terminal: bool) -> bool:
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (terminal and environ.get("TERM") != "dumb")


def _shows_unicode(stream: TextIO) -> bool:
    try:
        "├─█✗→".encode(stream.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def never_fail_to_encode(stream: TextIO) -> None:
    """Let a character that the stream's encoding lacks be written as an escape instead of raising."""
    with contextlib.suppress(AttributeError, ValueError):  # a stream of the caller's own making has no reconfigure
        stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]


def printable(value: object, limit: int = 1000) -> str:
    """Return a value as one line without control characters, at most `limit` characters long.

    What a document says came over the network: an escape sequence in it must not reach the terminal.
    """
    text = " ".join(str(value)[: 4 * limit].split())
    return shortened("".join(character for character in text if character.isprintable()), limit)


def shortened(text: str, limit: int) -> str:
    """Cut a text to `limit` columns, with three dots where something is missing."""
    if columns(text) <= limit:
        return text
    while columns(text) > max(limit - 3, 0):
        text = text[: min(len(text) - 1, max(limit - 3, 0))]
    return text + "..."[:limit]


def columns(text: str) -> int:
    """Count the columns a text takes on a terminal: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
