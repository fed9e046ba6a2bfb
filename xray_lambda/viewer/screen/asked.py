"""What a request asks for, and how it is answered: the traces in view as SQL, JSON, faults in words."""

from __future__ import annotations

import functools
import math
import sqlite3
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from starlette.responses import Response

from xray_lambda.viewer import filters
from xray_lambda.viewer.screen.pages import HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

LONGEST_FILTER = 10_000


class BadRequest(ValueError):
    """A parameter that makes no sense; the text says which."""


class View(NamedTuple):
    """The traces in view: a condition over the table `traces`, and a range of time in seconds since the epoch."""

    where: str = "1"
    parameters: tuple[object, ...] = ()
    since: float | None = None
    until: float | None = None

    @property
    def scope(self) -> tuple[str, tuple[object, ...]]:
        """The condition with the range of time in it, and its values."""
        parts, values = [f"({self.where})"], [*self.parameters]
        for sign, value in ((">=", self.since), ("<=", self.until)):
            if value is not None:
                parts.append(f"traces.start {sign} ?")
                values.append(value)
        return " AND ".join(parts), tuple(values)


def view_of(request: Request) -> View:
    """Return what a request has in view. Raises FilterError, and BadRequest for numbers that are none."""
    where, parameters = filters.where(filters.parse(filter_of(request)))
    sql, values = [f"({where})"], [*parameters]
    for name, sign in (("slower", ">="), ("faster", "<")):
        duration = number_of(request, name)
        if duration is not None:
            sql.append(f"traces.duration {sign} ?")
            values.append(duration)
    return View(" AND ".join(sql), tuple(values), number_of(request, "since"), number_of(request, "until"))


def filter_of(request: Request) -> str:
    """Return the filter expression of a request, empty where it has none."""
    text = request.query_params.get("filter", "")
    if len(text) > LONGEST_FILTER:
        raise BadRequest(f"the filter is {len(text):,} characters long, over {LONGEST_FILTER:,}")
    return text


def number_of(request: Request, name: str) -> float | None:
    """Return a parameter that is a number, None where it is missing. Raises BadRequest."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadRequest(f"{name}={text[:40]!r} is not a number")
    return value


def whole_of(request: Request, name: str, default: int, most: int) -> int:
    """Return a parameter that is a whole number from 0 to `most`. Raises BadRequest."""
    value = number_of(request, name)
    if value is None:
        return default
    if value != int(value) or not 0 <= value <= most:
        raise BadRequest(f"{name}={value:g} is not a whole number from 0 to {most}")
    return int(value)


def json(value: Any, status: int = 200) -> Response:
    """Answer with JSON; what orjson does not know is a fault of ours."""
    content = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return Response(content, status, {**HEADERS, "Cache-Control": "no-store"}, "application/json")


def answered(answer: Callable[[Request], Any]) -> Callable[[Request], Response]:
    """Make a route of a function that returns what is to be answered; a fault is answered in words."""

    @functools.wraps(answer)
    def route(request: Request) -> Response:
        try:
            value = answer(request)
        except filters.FilterError as fault:
            return json({"filter_error": {"message": fault.message, "position": fault.position}})  # typing is no error
        except BadRequest as fault:
            return json({"message": str(fault)}, 400)
        except sqlite3.Error as fault:
            return json({"message": f"The store cannot be read: {fault}"}, 500)
        return value if isinstance(value, Response) else json(value)

    return route
