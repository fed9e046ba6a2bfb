"""SQL in a trace, fuzzed: secrets planted wherever a literal or a comment can be, and any text at all."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xray_lambda.libraries._sanitize import sanitized, without_literals

DIALECTS = ("postgresql", "mysql", "sqlite", "")
WORD, NUMBER = "hunter2", "90210777"
NOISE = st.text(st.sampled_from("'\"`\\$[]/*-#;,(){}?:@%.=aA1eExXqQ_ \n\r\té"), max_size=6)
SECRET = st.builds("{}{}{}".format, NOISE, st.just(WORD), NOISE)
BACKSLASH = st.builds(lambda text: text.replace("\\", "\\\\").replace("'", "\\'"), SECRET)
COMMENT = SECRET.map(lambda text: text.replace("/*", "").replace("*/", "").strip("/*!M+"))
LINE = SECRET.map(lambda text: " " + text.replace("\n", "").replace("\r", "") + "\n")
PLAIN_STRING = SECRET.map(lambda text: "'" + text.replace("'", "''") + "'")


def tagged(tag: str, text: str) -> str:
    return f"${tag}${text.replace('$', '')}${tag}$"


def nested(first: str, second: str) -> str:
    return f"/*{first}/*{second}*/{first}*/"


NUMBERS = st.sampled_from([NUMBER, f"{NUMBER}.5", f".{NUMBER}", f"0x{NUMBER}", f"1.5e-{NUMBER}", f"-{NUMBER}"])
ANYWHERE = st.one_of(NUMBERS, st.just(f"IDENTIFIED BY {WORD} REPLACE {WORD}"))
PARTS = {
    "postgresql": st.one_of(
        PLAIN_STRING.filter(lambda text: "\\" not in text),
        st.builds("E'{}'".format, BACKSLASH),
        st.builds("'{}'".format, BACKSLASH),  # standard_conforming_strings = off
        PLAIN_STRING,
        st.builds(tagged, st.sampled_from(["", "a", "_b1", "ä"]), SECRET),
        st.builds(nested, COMMENT, COMMENT),
        LINE.map("--{}".format),
    ),
    "mysql": st.one_of(
        st.builds("'{}'".format, BACKSLASH),
        st.builds(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '""') + '"', SECRET),
        COMMENT.map("/*{}*/".format),
        st.builds("/*!50000 '{}' */".format, BACKSLASH),
        LINE.map("-- {}".format),
        LINE.map("#{}".format),
    ),
    "sqlite": st.one_of(
        PLAIN_STRING,
        COMMENT.map("/*{}*/".format),
        LINE.map("--{}".format),
        st.builds(lambda text: '= "' + text.replace('"', '""') + '"', SECRET),
        st.builds(lambda text: 'IN ("' + text.replace('"', '""') + '", 1)', SECRET),
        st.builds(lambda text: 'VALUES (1, "' + text.replace('"', '""') + '")', SECRET),
        st.builds(lambda text: 'f(a, "' + text.replace('"', '""') + '")', SECRET),
    ),
    "mssql": st.one_of(PLAIN_STRING, st.builds(nested, COMMENT, COMMENT), LINE.map("--{}".format)),
    "oracle": st.one_of(
        PLAIN_STRING,
        st.builds(lambda text: "q'{" + text.replace("}", "") + "}'", SECRET),
        COMMENT.map("/*{}*/".format),
        LINE.map("--{}".format),
    ),
}  # fmt: skip
NAMES = {
    "postgresql": ['"it\'s"', '"a""b"', "a$b$"],
    "mysql": ["`it's`", "$a$"],
    "sqlite": ["[it's]", "`it's`", '"t"."a"'],
    "mssql": ["[it's]", "[a]]b'c]", "[a--b]", "[a-- b]", "[a/*b]", "[a#b]", "#t"],
    "oracle": ['"a"', "a#b"],
}
FILLING = ["SELECT", "FROM t", "a", ",", "=", "(", ")", "AND", "-", "+", "*", "IN (", "VALUES (", ";", "%s", ":x", "b1"]


@st.composite
def statements(draw: st.DrawFn, dialect: str) -> str:
    filling = st.sampled_from([*FILLING, *NAMES[dialect]])
    parts = draw(st.lists(st.one_of(filling, filling, PARTS[dialect], ANYWHERE), min_size=1, max_size=12))
    return "".join(part + draw(st.sampled_from([" ", "\n", "  "])) for part in parts)


@pytest.mark.parametrize("dialect", sorted(PARTS))
@given(data=st.data())
def test_no_planted_secret_survives(dialect: str, data: st.DataObject) -> None:
    """Nor does one where the dialect is not known."""
    statement = data.draw(statements(dialect))
    for reader in (dialect, ""):
        shown = sanitized(statement, reader)
        assert WORD not in shown
        assert NUMBER not in shown


@pytest.mark.parametrize("dialect", DIALECTS)
@given(text=st.one_of(st.text(), st.text(st.sampled_from("'\"`\\$[]/*-#;,(). 1aeE?:@%\n!Mq")), *map(statements, PARTS)))
@example(text="\ud800'\udfff")
@example(text="-\x00-1")
def test_any_text_is_read_and_what_is_shown_reads_the_same(dialect: str, text: str) -> None:
    shown = sanitized(text, dialect)
    assert sanitized(shown, dialect) == shown
    assert len(shown) <= len(text)
    assert without_literals(text, dialect) == shown
