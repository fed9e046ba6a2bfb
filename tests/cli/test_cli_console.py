"""What is printed suits the terminal, and nothing in it steers the terminal."""

from __future__ import annotations

import io
import os
import pty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_lambda.cli.console import Console, columns, console_for, never_fail_to_encode, printable, shortened

pytestmark = pytest.mark.full


@pytest.mark.parametrize(
    ("settings", "on_a_terminal", "in_a_pipe"),
    [
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colour_is_for_terminals_unless_told_otherwise(
    settings: dict[str, str], on_a_terminal: bool, in_a_pipe: bool
) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        assert console_for(terminal, settings).colour is on_a_terminal
    os.close(ours)
    assert console_for(io.StringIO(), settings).colour is in_a_pipe


@pytest.mark.parametrize(("encoding", "unicode"), [("utf-8", True), ("ascii", False), ("latin-1", False)])
def test_an_encoding_without_lines_and_blocks_gets_none(encoding: str, unicode: bool) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert console_for(stream, {}).unicode is unicode


def test_a_character_that_the_encoding_lacks_is_escaped() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    never_fail_to_encode(stream)
    stream.write("caf\xe9")
    stream.flush()
    assert written.getvalue() == b"caf\\xe9"


def test_paint_is_plain_where_no_colour_shows() -> None:
    assert Console(colour=False).paint("x", "red") == "x"
    assert Console(colour=True).paint("x", "red", "bold") == "\x1b[31;1mx\x1b[0m"
    assert Console(colour=True).paint("", "red") == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a\r\n\tb", "a b"),
        ("\x9b31m\x85x\x7f", "31m x"),
        ("\u202eevil\u2066\ufeff", "evil"),
        ("\ud800x", "x"),
        (7, "7"),
        (None, "None"),
    ],
)
def test_printable_leaves_no_control_character(text: object, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(max_size=60), st.integers(0, 20))
def test_printable_is_one_line_no_wider_than_asked(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert columns(shown) <= limit


def test_wide_and_combining_characters_count_as_the_terminal_counts_them() -> None:
    assert [columns(text) for text in ("abc", "日本", "e\u0301")] == [3, 4, 1]
    assert shortened("日本語日本語", 9) == "日本語..."
