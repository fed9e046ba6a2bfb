"""What stands between an ASGI app and its server for one request or WebSocket: it watches the messages go by.

Messages are passed on as they are, but for the one that begins an answer, whose copy has the trace's header.
"""

from __future__ import annotations

import sys

from xray_lambda._context import current
from xray_lambda._document import MARK
from xray_lambda._guard import swallow
from xray_lambda.web._exchange import HEADER
from xray_lambda.web._routes import template_of
from xray_lambda.web.wsgi import say_user

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from xray_lambda.web._exchange import Exchange
    from xray_lambda.web.asgi import Message, Receive, Scope, Send, User

_HEADER = HEADER.lower().encode()
# What frameworks and servers raise where the client is gone: Starlette the first and the last, uvicorn the second.
_DISCONNECTS = ("ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect")
# Of RFC 6455, section 7.4.1: closed as usual, without a code, without a word, and because of a fault.
_NORMAL, _NO_CODE, _ABNORMAL, _INTERNAL_ERROR = 1000, 1005, 1006, 1011
_LONGEST_LENGTH = 20  # digits, which say more than any disk holds
# What a server may raise of a file that it is asked to send.
_OF_FILES = (FileNotFoundError, PermissionError, IsADirectoryError)

_get_current = current.get
_set_current = current.set


class Connection:
    """What a request and a WebSocket have in common."""

    __slots__ = (
        "_broken", "_exchange", "_gone", "_last", "_receive", "_root_path", "_scope", "_send", "_user"
    )  # fmt: skip

    def __init__(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send, *, user: User) -> None:
        self._exchange = exchange
        self._scope = scope
        self._root_path = scope.get("root_path") or ""
        self._receive = receive
        self._send = send
        self._user = user
        self._gone = False  # the client is
        self._broken: BaseException | None = None  # what sending to it raised
        self._last = False  # the answer ends with this message

    async def receive(self) -> Message:
        """Pass on what the server has received."""
        message = await self._receive()
        kind = message.get("type")
        if kind == "http.disconnect" or kind == "websocket.disconnect":  # noqa: PLR1714 - a set costs twice that
            self._gone = True
            self._disconnected(message)
        return message

    def _disconnected(self, message: Message) -> None:
        """Note how the client went."""

    async def send(self, message: Message) -> None:
        """Pass on what the program sends; the exchange ends with what ends the answer."""
        try:
            message = self._noted(message)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
        gone = self._gone
        try:
            await self._send(message)
        except OSError as error:  # ASGI 2.4: the client is gone
            if not isinstance(error, _OF_FILES):
                self._gone, self._broken = True, error
            raise
        if self._last:
            self._gone = gone  # what a client does once it has its answer says nothing of it
            self._finish(None)

    def _noted(self, message: Message) -> Message:
        raise NotImplementedError

    def _begun(self, message: Message, status: object) -> Message:
        """Record how the request is answered, and return the message with the trace's header."""
        headers = message.get("headers") or ()
        if self._exchange.is_watched and isinstance(status, int):
            self._answered(status, headers)
        value = self._exchange.response_header()
        if value is None or any(name.lower() == _HEADER for name, _ in headers):
            return message
        return {**message, "headers": [*headers, (_HEADER, value.encode())]}

    def _answered(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Record a status, and the exception that an error page is for: it is sent while that is handled.

        Frameworks that end the exception there show it at no other time; others raise it again afterwards.
        """
        error = sys.exc_info()[1] if status >= 500 else None
        if error is not None and self._is_disconnect(error):
            return
        if error is not None:
            self._exchange.caught(error)
        self._exchange.answered(status, _content_length(headers))

    def ended(self, error: BaseException | None = None) -> None:
        """End the exchange if nothing has yet: the program has returned, or raised `error`. Never raises."""
        if self._exchange.ended:
            return
        try:
            if not self._exchange.is_answered and not self._gone and (error is None or isinstance(error, Exception)):
                self._exchange.answered(500)  # which is what servers answer then
            if error is not None and self._is_disconnect(error):
                error = None
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
        self._finish(error)

    def _is_disconnect(self, error: BaseException) -> bool:
        """Say whether an exception says no more than that the client is gone."""
        return self._gone and (error is self._broken or type(error).__name__ in _DISCONNECTS)

    def _finish(self, error: BaseException | None) -> None:
        """End the exchange; what the program does after its answer belongs to the request all the same."""
        if self._exchange.entity.sampled and not self._exchange.ended:
            try:
                self._describe()
            except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
                swallow(fault)
        self._broken = None  # its traceback has this connection's frames: a cycle, which would stay a while
        here = _get_current()
        _set_current(self._exchange.inside)
        self._exchange.end(error)
        _set_current(here)

    def _describe(self) -> None:
        """Record what is known at the end: the route, who asked, and whether the client was there to the end."""
        self._exchange.routed(template_of(self._scope, self._root_path))
        if self._user:
            say_user(self._exchange, self._user, self._scope, _name_of(self._scope.get("user")))


class Answer(Connection):
    """An HTTP request: it ends with the last message of its answer, trailers included."""

    __slots__ = ("_trailers",)

    def __init__(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send, *, user: User) -> None:
        super().__init__(exchange, scope, receive, send, user=user)
        self._trailers = False

    def _noted(self, message: Message) -> Message:
        kind = message.get("type")
        if kind == "http.response.start":
            self._trailers = bool(message.get("trailers"))
            return self._begun(message, message.get("status"))
        if kind == "http.response.body" or kind == "http.response.zerocopysend":  # noqa: PLR1714 - a set costs twice that
            self._last = not message.get("more_body") and not self._trailers
        elif kind == "http.response.pathsend":
            self._last = not self._trailers
        elif kind == "http.response.trailers":
            self._last = not message.get("more_trailers")
        return message

    def _describe(self) -> None:
        super()._describe()
        if self._gone:
            self._exchange.entity.metadata({"disconnected": True}, namespace=MARK)


class Conversation(Connection):
    """A WebSocket: it ends when the program closes it, or returns."""

    __slots__ = ("_code",)

    def __init__(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send, *, user: User) -> None:
        super().__init__(exchange, scope, receive, send, user=user)
        self._code: int | None = None

    def _disconnected(self, message: Message) -> None:
        if self._code is None:
            self._code = message.get("code", _NO_CODE)

    def _noted(self, message: Message) -> Message:
        kind = message.get("type")
        if kind == "websocket.accept":
            return self._begun(message, 101)
        if kind == "websocket.http.response.start":
            return self._begun(message, message.get("status"))
        if kind == "websocket.http.response.body":
            self._last = not message.get("more_body")
        elif kind == "websocket.close":
            self._closed(message)
        return message

    def _closed(self, message: Message) -> None:
        self._last = True
        if self._exchange.is_answered:
            self._code = message.get("code", _NORMAL)
            if self._code == _INTERNAL_ERROR:
                self._exchange.entity.flag("fault")
            return
        self._exchange.answered(403)  # which is what servers make of it before `accept`: ASGI, "Close"

    def _describe(self) -> None:
        super()._describe()
        code = self._code
        if code is None and self._gone:
            code = _ABNORMAL
        if code is not None:
            self._exchange.entity.metadata({"close_code": code}, namespace=MARK)


def _content_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    for name, value in headers:
        if len(name) == 14 and name.lower() == b"content-length":
            return int(value) if value.isdigit() and len(value) < _LONGEST_LENGTH else None
    return None


def _name_of(user: Any) -> str | None:
    """Return what an authentication middleware calls whom it found; None for nobody, or for what has no name."""
    if isinstance(user, str):
        return user
    if not _attribute(user, "is_authenticated"):
        return None
    names = (_attribute(user, name) for name in ("identity", "username", "display_name"))
    return next((name for name in names if isinstance(name, str) and name), None)


def _attribute(user: object, name: str) -> object:
    try:
        return getattr(user, name, None)
    except Exception:  # noqa: BLE001 - a property of the program's own; Starlette's `identity` raises by default
        return None
