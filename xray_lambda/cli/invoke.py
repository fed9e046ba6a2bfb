"""`xray-lambda invoke`: one invocation in the real runtime client, its result and its trace."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from xray_lambda import _config, _header, _ids
from xray_lambda.cli.console import console_for, printable
from xray_lambda.cli.drawing import draw, milliseconds
from xray_lambda.cli.outcome import NOT_SET_UP, STOPPED, invoke
from xray_lambda.cli.request import request_from

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from xray_lambda.cli.console import Console
    from xray_lambda.cli.outcome import Outcome
    from xray_lambda.cli.receiver import Document
    from xray_lambda.cli.request import Request

MOST_RESULT_LINES = 40


def run(arguments: argparse.Namespace) -> int:
    """Invoke as the command line says, print what came of it, and return the exit code."""
    request = request_from(arguments)
    return report(request, invoke(request), as_json=arguments.json)


def report(request: Request, outcome: Outcome, *, as_json: bool) -> int:
    """Print an outcome, as one JSON object or for people, and return the exit code."""
    if as_json:
        print(json.dumps(_as_json(request, outcome)))
    else:
        for line in _lines(request, outcome, console_for(sys.stdout, os.environ)):
            print(line)
    for refusal in dict.fromkeys(outcome.refusals):
        count = outcome.refusals.count(refusal)
        print(f"dropped, as the daemon would drop it ({count} x): {printable(refusal)}", file=sys.stderr)
    return outcome.exit_code


def _as_json(request: Request, outcome: Outcome) -> dict[str, object]:
    return {
        "result": outcome.result,
        "error": outcome.error,
        "trace_id": _header.parse(request.trace_header).root,
        "documents": outcome.documents,
    }


def _lines(request: Request, outcome: Outcome, console: Console) -> Iterator[str]:
    yield from _error(request, outcome, console) if outcome.error else _result(request, outcome, console)
    yield ""
    count = len(outcome.documents)
    if not count:
        yield f"No document arrived: {_why_none(request, outcome)}"
        return
    root = lambda_segment(request, outcome)
    yield f"Trace {root['trace_id']}, {count} document{'s' if count > 1 else ''}:"
    yield from draw(outcome.documents, root, console)


def _result(request: Request, outcome: Outcome, console: Console) -> Iterator[str]:
    yield console.paint(f"{request.handler} returned", "green", "bold") + _took(outcome, "in")
    lines = json.dumps(outcome.result, indent=2, ensure_ascii=False).splitlines()
    for line in lines[:MOST_RESULT_LINES]:
        indent = len(line) - len(line.lstrip(" "))
        yield line[:indent] + printable(line, console.width * 4)
    if len(lines) > MOST_RESULT_LINES:
        yield console.paint(f"... and {len(lines) - MOST_RESULT_LINES} more lines; --json prints them all", "dim")


def _error(request: Request, outcome: Outcome, console: Console) -> Iterator[str]:
    error = outcome.error or {}
    message, error_type = printable(error.get("errorMessage")), printable(error.get("errorType"))
    if outcome.exit_code == NOT_SET_UP:
        yield console.paint(f"{request.handler} could not be loaded", "red", "bold") + f": {message}"
        yield f"Looked in {request.directory} (--directory says where) and among this Python's packages."
    else:
        yield console.paint(f"{request.handler} failed", "red", "bold") + _took(outcome, "after")
        yield console.paint(f"{error_type}: {message}" if message else error_type, "red")


def _took(outcome: Outcome, preposition: str) -> str:
    if outcome.started is None:
        return f" {preposition} {milliseconds(outcome.ended - outcome.launched)}, while starting"
    running, starting = outcome.ended - outcome.started, outcome.started - outcome.launched
    return f" {preposition} {milliseconds(running)} (cold start: {milliseconds(starting)})"


def lambda_segment(request: Request, outcome: Outcome) -> Document:
    """Make up the segment that Lambda itself would send; subsegments name it as their parent."""
    header = _header.parse(request.trace_header)
    return {
        "name": request.function_name,
        "id": header.parent or _ids.new_id(),
        "trace_id": header.root or "(the trace header has no Root)",
        "start_time": outcome.launched if outcome.started is None else outcome.started,
        "end_time": outcome.ended,
        "fault": outcome.error is not None,
    }


def _why_none(request: Request, outcome: Outcome) -> str:
    """Guess why no document arrived, the surest guess first."""
    header = _header.parse(request.trace_header)
    if outcome.started is None:
        return "the handler was never called."
    if not _config.load({**os.environ, **request.environment}).enabled:
        return "AWS_XRAY_SDK_ENABLED switches tracing off."
    if header.root is None or header.parent is None:
        return "the trace header lacks a valid Root or Parent, so there is no segment to hang subsegments under."
    if header.sampled != "1":
        said = "no Sampled" if header.sampled is None else f"Sampled={header.sampled}"
        return f"the trace header says {said}, and only Sampled=1 is recorded."
    if outcome.error and outcome.error.get("errorType") in STOPPED:
        return "subsegments are sent as they end, and the process ended first; or @traced_handler is missing."
    return "is the handler decorated with @traced_handler, or does it open a subsegment?"
