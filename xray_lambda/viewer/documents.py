"""Datagram -> document: the daemon's framing, JSON within bounds, and what X-Ray asks of a segment document."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from xray_lambda.viewer import requirements

LARGEST_DATAGRAM = 65_535
# X-Ray takes 64 kB a document; one that came in no datagram (an import, PutTraceSegments) may be a little larger.
LARGEST_DOCUMENT = 1_000_000
_LONGEST_HEADER = 1_000
_OTLP = re.compile(rb"[TM]1[SU]?[A-Za-z0-9+/]+=*\s*")


class Document(NamedTuple):
    """A segment, or a subsegment sent on its own; `text` is its JSON as it came."""

    trace_id: str
    id: str
    body: dict[str, Any]
    text: str


class Rejected(ValueError):
    """X-Ray would not take it. `reason` says why in one line, `id` whose it was, where that can be told."""

    def __init__(self, reason: str, id: str | None = None) -> None:  # noqa: A002 - X-Ray's name
        super().__init__(reason)
        self.reason = reason
        self.id = id


def unframe(datagram: bytes) -> bytes:
    """Return the document of a datagram: all that follows the first newline, if a valid header stands before it.

    The daemon reads the header leniently (its Header.IsValid): `format` is json in any case, `version` the number 1,
    and other keys, spaces and a carriage return do no harm. Raises Rejected.
    """
    header, newline, document = datagram.partition(b"\n")
    if not newline:
        raise Rejected('the datagram has no newline after its header {"format": "json", "version": 1}')
    if not _is_header(header):
        raise Rejected(f'the datagram begins with {_shown(header)}, not with {{"format": "json", "version": 1}}')
    if not document.strip():
        raise Rejected("the datagram has a header and no document")
    return document


def parse(text: str | bytes) -> Document:
    """Read one document and check what X-Ray requires of it. Raises Rejected."""
    if len(text) > LARGEST_DOCUMENT:
        raise Rejected(f"the document is {len(text):,} long, over {LARGEST_DOCUMENT:,}")
    body = _object(text)
    if fault := requirements.fault_in(body):
        id = body.get("id")  # noqa: A001 - X-Ray's name
        raise Rejected(fault, id if isinstance(id, str) else None)
    return Document(body["trace_id"], body["id"], body, text if isinstance(text, str) else text.decode())


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Rejected(_why_no_json(text, error)) from None
    if not isinstance(body, dict):
        raise Rejected("the document is JSON, but no object" + (": send each by itself" if body else ""))
    return body


def _why_no_json(text: str | bytes, error: orjson.JSONDecodeError) -> str:
    if isinstance(text, bytes):
        if _OTLP.fullmatch(text[:200]):
            return "the document is OpenTelemetry's (T1S...), which only Lambda's own daemon reads"
        try:
            text.decode()
        except UnicodeDecodeError as fault:
            return f"the document is not UTF-8: byte {fault.start + 1} is {text[fault.start]:#04x}"
    if "depth" in error.msg:  # in other words in each version
        return "the document is nested too deeply"
    return f"the document is not JSON: {error.msg.partition(': line')[0]}, line {error.lineno}, column {error.colno}"


def _is_header(line: bytes) -> bool:
    if len(line) > _LONGEST_HEADER:
        return False
    try:
        header = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(header, dict) and str(header.get("format")).lower() == "json" and _is_one(header.get("version"))


def _is_one(value: object) -> bool:
    """Say whether a value is the number 1; JSON's true, which Python finds equal to it, is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 1


def _shown(line: bytes) -> str:
    text = line[:60].decode(errors="backslashreplace")
    return repr(text + ("..." if len(line) > 60 else ""))
