"""One call of the API: its JSON read and checked, its answer and its errors written as AWS does."""

from __future__ import annotations

import json
import math
import sqlite3
from typing import TYPE_CHECKING, Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from xray_lambda.viewer.filters import FilterError, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request

    from xray_lambda.viewer.serve import Viewer

    Body = dict[str, Any]
    Operation = Callable[[Viewer, Body], Body]


class Refused(Exception):
    """A call that AWS would refuse: its error code, what is wrong, and the HTTP status."""

    def __init__(self, message: str, code: str = "InvalidRequestException", status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


def endpoint(path: str, operation: Operation, viewer: Viewer) -> Route:
    """Return the route of an operation. It runs in a thread, since it waits for the store."""

    async def answer(request: Request) -> Response:
        try:
            body = _read(await request.body())
            return _json(await run_in_threadpool(operation, viewer, body))
        except Refused as refused:
            return _error(refused)
        except FilterError as fault:
            return _error(Refused(f"the filter expression cannot be read: {fault}"))
        except sqlite3.Error as fault:
            return _error(Refused(f"the store cannot be read or written: {fault}", "InternalFailure", 500))

    return Route(path, answer, methods=["POST"])


def unknown(operations: Iterable[str]) -> Route:
    """Return the route of all else, which says what there is."""
    known = ", ".join(path[1:] for path in operations)

    async def answer(request: Request) -> Response:
        said = f"{request.method} {request.url.path} is no operation of this viewer; it answers POST to: {known}"
        return _error(Refused(said, "UnknownOperationException", 404))

    return Route("/{path:path}", answer, methods=["GET", "POST", "PUT", "DELETE", "PATCH"])


def _read(body: bytes) -> Body:
    """Read a body; SDKs ask for sampling rules with none."""
    if not body.strip():
        return {}
    try:
        found = orjson.loads(body)
    except ValueError as fault:
        raise Refused(f"the body is no JSON: {fault}", "SerializationException") from None
    if not isinstance(found, dict):
        raise Refused("the body is no JSON object", "SerializationException")
    return found


def _json(answer: Body, status: int = 200) -> Response:
    return Response(orjson.dumps(answer), status, media_type="application/json")


def _error(refused: Refused) -> Response:
    answer = _json({"__type": refused.code, "message": refused.message}, refused.status)
    answer.headers["x-amzn-ErrorType"] = refused.code
    return answer


def listed(body: Body, name: str, kind: type, most: int, *, needed: bool = True) -> list[Any]:
    """Return a list of the call, of items of one kind. Raises Refused."""
    found = body.get(name)
    if found is None and not needed:
        return []
    if not isinstance(found, list) or not all(isinstance(item, kind) for item in found):
        raise Refused(f"{name}: expected a list of {_KINDS[kind]}")
    if len(found) > most:
        raise Refused(f"{name}: there are {len(found)}, over {most}")
    return found


_KINDS: dict[type, str] = {str: "texts", dict: "objects"}


def optional_text(body: Body, name: str) -> str | None:
    """Return a text of the call, or None. Raises Refused."""
    found = body.get(name)
    if found is not None and not isinstance(found, str):
        raise Refused(f"{name}: expected a text")
    return found or None


def time_range(body: Body) -> tuple[float, float]:
    """Return the start and the end of a call's time range, in seconds since the epoch. Raises Refused."""
    start, end = timestamp(body, "StartTime"), timestamp(body, "EndTime")
    if start > end:
        raise Refused("StartTime is after EndTime")
    return start, end


def timestamp(body: Body, name: str) -> float:
    """Return a time in seconds since the epoch, as AWS's clients send it. Raises Refused."""
    found = body.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise Refused(f"{name}: expected a time in seconds since the epoch")
    return float(found)


def expression(body: Body, name: str = "FilterExpression") -> Any:
    """Return the tree of the call's filter expression. Raises FilterError and Refused."""
    return parse(optional_text(body, name) or "")


def no_group(body: Body) -> None:
    """Refuse groups, except the one that every account has."""
    group = optional_text(body, "GroupName") or optional_text(body, "GroupARN")
    if group and group.rsplit("/", 1)[-1] != "Default":
        raise Refused(f"there is no group {group!r} here; put its filter expression into the call")


def token(value: list[Any]) -> str:
    """Write where a page ends as NextToken: hexadecimal, for it travels through command lines."""
    return json.dumps(value).encode().hex()


def read_token(body: Body, *kinds: type) -> list[Any] | None:
    """Return what `token` was given, checked by kind; None on the first page. Raises Refused."""
    given = optional_text(body, "NextToken")
    if given is None:
        return None
    try:
        found = json.loads(bytes.fromhex(given))
    except ValueError:
        found = None
    if not isinstance(found, list) or len(found) != len(kinds) or not all(map(isinstance, found, kinds)):
        raise Refused("NextToken: this is no token of ours")
    return found
