"""Datagrams are read as X-Ray's daemon reads them, and what X-Ray would not take is refused in one line."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.viewer.made import TRACE, alone, segment
from xray_lambda.viewer.documents import LARGEST_DOCUMENT, Rejected, parse, unframe

HEADER = b'{"format": "json", "version": 1}\n'


def reason(datagram: bytes) -> str:
    with pytest.raises(Rejected) as refused:
        parse(unframe(datagram))
    return refused.value.reason


@pytest.mark.parametrize(
    "header",
    [
        b'{"format": "json", "version": 1}',
        b'{"format":"json","version":1}',
        b'{"format":"JSON","version":1}',
        b'{"format":"jSoN","version":1.0}',
        b'{"version":1,"format":"json","more":[1,2]}',
        b'  {"format" : "json" , "version" : 1 }  \r',
    ],
)
def test_a_header_is_read_leniently(header: bytes) -> None:
    assert unframe(header + b"\n{}") == b"{}"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"[]",
        b"json",
        b'{"format":"json"}',
        b'{"version":1}',
        b'{"format":"json","version":"1"}',
        b'{"format":"json","version":2}',
        b'{"format":"json","version":true}',
        b'{"format":"xml","version":1}',
        b'{"format":null,"version":1}',
        b'{"format":"json","version":NaN}',
        b'\xff{"format":"json","version":1}',
        b"[" * 5_000,
        b'{"format":"json","version":1,"more":"' + b"x" * 5_000 + b'"}',
    ],
)
def test_another_header_is_refused(header: bytes) -> None:
    assert reason(header + b"\n" + json.dumps(segment()).encode()).startswith("the datagram begins with ")


@pytest.mark.parametrize(
    ("datagram", "words"),
    [
        (b"", 'the datagram has no newline after its header {"format": "json", "version": 1}'),
        (HEADER[:-1], 'the datagram has no newline after its header {"format": "json", "version": 1}'),
        (HEADER, "the datagram has a header and no document"),
        (HEADER + b"\r\n \n", "the datagram has a header and no document"),
        (HEADER + b"not json", "the document is not JSON: invalid literal, expected 'null', line 1, column 1"),
        (HEADER + b"[]", "the document is JSON, but no object"),
        (HEADER + b"[{}]", "the document is JSON, but no object: send each by itself"),
        (HEADER + b"17", "the document is JSON, but no object: send each by itself"),
        (HEADER + b'{"a": "\xff"}', "the document is not UTF-8: byte 8 is 0xff"),
        (HEADER + b"[" * 60_000, "the document is nested too deeply"),
        (HEADER + b'{"a":' * 10_000, "the document is nested too deeply"),
        (
            HEADER + b"T1SAAAAbase64+/==",
            "the document is OpenTelemetry's (T1S...), which only Lambda's own daemon reads",
        ),
        (HEADER + b"M1AAAA", "the document is OpenTelemetry's (T1S...), which only Lambda's own daemon reads"),
    ],
)
def test_what_is_no_document_is_refused_in_one_line(datagram: bytes, words: str) -> None:
    assert reason(datagram) == words


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": 1} {"b": 2}', '{"a": "\\ud800"}', "{'a': 1}"])
def test_what_only_some_parsers_take_for_json_is_refused(text: str) -> None:
    assert reason(HEADER + text.encode()).startswith("the document is not JSON: ")


def test_two_documents_in_a_datagram_are_refused() -> None:
    text = json.dumps(segment()).encode()
    assert reason(HEADER + text + b"\n" + text).startswith("the document is not JSON: ")


def test_the_first_newline_ends_the_header_and_more_of_them_do_no_harm() -> None:
    body = segment()
    text = json.dumps(body, indent=2) + "\n"
    document = parse(unframe(HEADER + text.encode()))
    assert document == (body["trace_id"], body["id"], body, text)


def test_a_document_beyond_all_limits_is_not_even_parsed() -> None:
    assert reason(HEADER + b" " * LARGEST_DOCUMENT + b"{}").startswith("the document is 1,000,002 long")


def test_who_was_refused_is_told_where_it_can_be() -> None:
    body = segment()
    del body["name"]
    with pytest.raises(Rejected) as refused:
        parse(json.dumps(body))
    assert refused.value.id == body["id"]


def test_a_subsegment_comes_alone_with_its_parent() -> None:
    body = alone("53995c3f42cd8ad8", "DynamoDB", namespace="aws")
    assert parse(json.dumps(body)).body == body


def test_a_reason_shows_little_of_what_it_refuses() -> None:
    body = segment(name="x" * 10_000)
    assert len(reason(HEADER + json.dumps(body).encode())) < 200


def outcome(datagram: bytes) -> str:
    """Say why a datagram is refused, or whose it is."""
    try:
        return parse(unframe(datagram)).trace_id
    except Rejected as rejected:
        return rejected.reason


@given(st.binary(max_size=200))
def test_no_datagram_does_harm(datagram: bytes) -> None:
    for said in (outcome(datagram), outcome(HEADER + datagram)):
        assert said
        assert "\n" not in said


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_keys = st.sampled_from(
    ("name", "id", "trace_id", "parent_id", "type", "start_time", "end_time", "in_progress", "fault", "error",
     "throttle", "cause", "annotations", "metadata", "subsegments", "namespace", "precursor_ids", "http", "aws",
     "sql", "user", "origin", "resource_arn", "service", "links")
)  # fmt: skip


@given(st.dictionaries(_keys, _json, max_size=6))
def test_no_value_of_any_key_does_harm(more: dict[str, Any]) -> None:
    said = outcome(HEADER + json.dumps({**segment(), **more}).encode())
    assert said
    assert len(said) < 300


@given(st.text(alphabet=string.printable, max_size=40))
def test_a_trace_id_has_one_form(text: str) -> None:
    with pytest.raises(Rejected):
        parse(json.dumps({**segment(), "trace_id": text}))
    assert parse(json.dumps({**segment(), "trace_id": TRACE.upper()})).trace_id == TRACE.upper()
