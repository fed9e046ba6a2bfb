"""Quart: its signals tell the route of a request, and the exception that it answers with an error page."""

from __future__ import annotations

import sys

from xray_lambda._guard import swallow
from xray_lambda.web._exchange import KEY

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from typing import Any


def listen() -> None:
    """Connect to Quart's signals, which keep one receiver once; nothing where the program has not loaded it."""
    signals = sys.modules.get("quart.signals")
    if signals is not None:
        signals.request_started.connect(_request_matched)
        signals.websocket_started.connect(_websocket_matched)
        signals.got_request_exception.connect(_request_failed)


# Quart sends its signals with `send_async`, which would run plain functions in a thread.
async def _request_matched(_sender: object, **_more: object) -> None:
    _matched(sys.modules["quart"].request)


async def _websocket_matched(_sender: object, **_more: object) -> None:
    _matched(sys.modules["quart"].websocket)


def _matched(request: Any) -> None:
    try:
        exchange = request.scope.get(KEY)
        if exchange is not None and request.url_rule is not None:
            exchange.routed(request.url_rule.rule)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)


async def _request_failed(_sender: object, *, exception: BaseException, **_more: object) -> None:
    try:
        exchange = sys.modules["quart"].request.scope.get(KEY)
        if exchange is not None:
            exchange.caught(exception)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
