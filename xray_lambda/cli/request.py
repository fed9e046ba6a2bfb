"""What is to be invoked: handler, event, trace header, surroundings, all checked."""

from __future__ import annotations

import json
import re
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from xray_lambda import _header, _ids
from xray_lambda.cli.console import Problem

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

_HANDLER = re.compile(r"[^\s:.]+(\.[^\s:.]+)+")
_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_TIMEOUT = 24 * 60 * 60


class Request(NamedTuple):
    """One invocation as the user asked for it."""

    handler: str
    directory: Path
    event: bytes
    trace_header: str
    function_name: str
    timeout: float
    tenant_id: str | None
    environment: dict[str, str]
    request_id: str


def request_from(arguments: argparse.Namespace) -> Request:
    """Check the arguments of `xray-lambda invoke`; the first wrong one is a Problem."""
    handler = _handler(arguments.handler)
    return Request(
        handler=handler,
        directory=_directory(arguments.directory),
        event=_event(arguments.event),
        trace_header=_trace_header(arguments.header),
        function_name=_function_name(arguments.function_name or handler.split(".")[-2].rpartition("/")[2]),
        timeout=_timeout(arguments.timeout),
        tenant_id=_tenant_id(arguments.tenant_id),
        environment=_environment(arguments.env),
        request_id=str(uuid.uuid4()),
    )


def _handler(name: str) -> str:
    if not _HANDLER.fullmatch(name) or name.endswith(".py"):
        raise Problem(
            f"the handler {name!r} is not of the form module.function: "
            "write app.handler for the function `handler` in app.py"
        )
    return name


def _directory(name: str) -> Path:
    directory = Path(name)
    if not directory.is_dir():
        raise Problem(f"--directory {name!r} is not a directory: name the one that holds the handler's module")
    return directory.resolve()


def _event(name: str | None) -> bytes:
    if name is None:
        return b"{}"
    text = _event_text(name)
    source = "the event on standard input" if name == "-" else f"the event {name!r}"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise Problem(f"{source} is not JSON: {error.msg}, line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Problem(f"{source} is nested too deeply to be read") from None
    return text.encode()


def _event_text(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return raw.decode("utf-8-sig")  # editors on Windows write the mark, and JSON readers refuse it
    except FileNotFoundError:
        raise Problem(f"there is no event file {name!r}: name a JSON file, or - for standard input") from None
    except OSError as error:
        raise Problem(f"the event file {name!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Problem(
            f"the event {name!r} is not UTF-8 text: byte {error.start + 1} is {raw[error.start]:#04x}"
        ) from None


def _trace_header(text: str | None) -> str:
    if text is None:
        return f"Root={_ids.new_trace_id(int(time.time()))};Parent={_ids.new_id()};Sampled=1"
    if not (text.isascii() and text.isprintable()) or len(text) > _header.MAX_LENGTH:
        raise Problem(
            f"--header {text[:80]!r} cannot be an HTTP header: write printable ASCII, at most 4096 characters"
        )
    return text


def _function_name(name: str) -> str:
    if not _FUNCTION_NAME.fullmatch(name):
        raise Problem(f"the function name {name!r} is not one that Lambda takes: 1 to 64 letters, digits, - and _")
    return name


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise Problem(f"--timeout {text!r} is not a number of seconds above 0 and up to {_LONGEST_TIMEOUT}")
    return seconds


def _tenant_id(text: str | None) -> str | None:
    if text is not None and not (text and text.isascii() and text.isprintable() and len(text) <= 256):
        raise Problem(f"--tenant-id {text[:80]!r} is not one that Lambda takes: 1 to 256 printable ASCII characters")
    return text


def _environment(settings: Iterable[str]) -> dict[str, str]:
    environment = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals) or "\0" in setting:
            raise Problem(f"--env {setting!r} is not of the form NAME=VALUE")
        environment[name] = value
    return environment
