"""What a document says beyond its name and times, a line each: calls, annotations, exceptions, metadata."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from xray_lambda.cli.console import printable, shortened
from xray_lambda.cli.tree import dictionaries, dictionary, number, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from xray_lambda.cli.console import Console
    from xray_lambda.cli.receiver import Document

_FLAG_COLOURS = {"throttle": "magenta", "fault": "red", "error": "yellow"}
_AWS_FIELDS = (
    "operation",
    "region",
    "table_name",
    "queue_url",
    "topic_arn",
    "bucket_name",
    "key",
    "function_name",
)


def flags(document: Document) -> dict[str, str]:
    """Return the flags that are raised, each with its colour, the worst first."""
    return {flag: colour for flag, colour in _FLAG_COLOURS.items() if document.get(flag) is True}


def exceptions_by_id(documents: Iterable[Document]) -> dict[str, str]:
    """Say for each exception's id what and where it is: a document may name one that another recorded."""
    found = {}
    for document in documents:
        name = printable(document.get("name"), 80)
        for exception in dictionaries(dictionary(document, "cause").get("exceptions")):
            found[str(exception.get("id"))] = f'{_type(exception)}, as shown at "{name}"'
    return found


def details(document: Document, known: Mapping[str, str], console: Console, width: int) -> Iterator[str]:
    """Yield the lines to show below a document's own, at most `width` columns wide.

    `known` is what `exceptions_by_id` found in the whole trace.
    """
    colour = next(iter(flags(document).values()), "red")
    for line in (*_calls(document, console), _pairs(dictionary(document, "annotations"))):
        if line:
            yield shortened(line, width)
    for line in _cause(document, known, console):
        yield console.paint(shortened(line, width), colour)
    for line in _metadata(document):
        yield console.paint(shortened(line, width), "dim")


def _calls(document: Document, console: Console) -> Iterator[str]:
    http = dictionary(document, "http")
    request, response = dictionary(http, "request"), dictionary(http, "response")
    yield _words("", request, ("method", "url")) + _status(response, console)
    yield _words("aws ", dictionary(document, "aws"), _AWS_FIELDS)
    yield _words("sql ", dictionary(document, "sql"), ("database_type", "sanitized_query"))


def _words(start: str, fields: Document, names: tuple[str, ...]) -> str:
    words = [printable(fields[name]) for name in names if fields.get(name)]
    return start + " ".join(words) if words else ""


def _status(response: Document, console: Console) -> str:
    status = number(response, "status")
    arrow = "→" if console.unicode else "->"
    return "" if status is None else f" {arrow} {status:.0f}"


def _pairs(values: Document, prefix: str = "") -> str:
    return "  ".join(f"{printable(prefix + key)}={_value(value)}" for key, value in values.items())


def _value(value: object) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _metadata(document: Document) -> Iterator[str]:
    for namespace, values in dictionary(document, "metadata").items():
        prefix = "" if namespace == "default" else f"{namespace}."
        if isinstance(values, dict) and values:
            yield "metadata  " + _pairs(values, prefix)


def _cause(document: Document, known: Mapping[str, str], console: Console) -> Iterator[str]:
    mark = "✗" if console.unicode else "!"
    if reference := text(document, "cause"):
        yield f"{mark} {known.get(reference, f'exception {printable(reference)}, which never came')}"
    for place, exception in enumerate(dictionaries(dictionary(document, "cause").get("exceptions"))):
        message = printable(exception.get("message") or "")
        yield ((f"{mark} " if place == 0 else "  from ") + _type(exception) + (f": {message}" if message else ""))
        yield from (f"    {frame}" for frame in _innermost(exception))


def _type(exception: Document) -> str:
    return printable(exception.get("type") or "an exception", 200)


def _innermost(exception: Document) -> Iterator[str]:
    """Yield the frame that raised, which X-Ray puts first."""
    for frame in dictionaries(exception.get("stack"))[:1]:
        line = number(frame, "line")
        where = _shorter(printable(frame.get("path") or "?")) + ("" if line is None else f":{line:.0f}")
        yield f"{where} in {printable(frame.get('label') or '?')}"


def _shorter(path: str) -> str:
    """Write a path below the working directory relative to it."""
    here = os.path.join(os.getcwd(), "")  # noqa: PTH118, PTH109 - text in, text out: the path may not exist here
    return path.removeprefix(here)
