"""Django's middleware: one class for sync and async views, under WSGI and ASGI."""

from __future__ import annotations

import sys

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.signals import got_request_exception
from django.utils.functional import LazyObject

from xray_lambda._guard import guarded, swallow
from xray_lambda.web._exchange import HEADER, KEY, NOTHING, Exchange
from xray_lambda.web._wsgi_bodies import Chunks, Closing
from xray_lambda.web.django._streams import AsyncChunks
from xray_lambda.web.django.settings import door_of, install
from xray_lambda.web.wsgi import WSGIArrival

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["XRayMiddleware"]

_EXCHANGE = "_xray_lambda_exchange"


class XRayMiddleware:
    """Makes each request a segment: `MIDDLEWARE = ["xray_lambda.web.django.XRayMiddleware", ...]`, first in the list.

    What it is told stands in the settings: `XRAY = {"service": "shop", "ignore_paths": ["/health*"], "user": True}`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        options = install()
        project = str(getattr(settings, "ROOT_URLCONF", "")).partition(".")[0]
        self.door = door_of(options, project or "django")
        self.user = options.user
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        got_request_exception.connect(_tell, dispatch_uid="xray_lambda")

    def __call__(self, request: Any) -> Any:
        """Answer a request; under ASGI, return what will have been done then."""
        if self._is_async:
            return self._answer(request)
        exchange = self._opened(request)
        try:
            response = self.get_response(request)
        except BaseException as error:
            exchange.leave()
            exchange.end(error)
            raise
        exchange.leave()
        return self._finished(request, response, exchange)

    async def _answer(self, request: Any) -> Any:
        exchange = self._opened(request)
        try:
            response = await self.get_response(request)
        except BaseException as error:
            exchange.leave()
            exchange.end(error)
            raise
        exchange.leave()
        return self._finished(request, response, exchange)

    def _opened(self, request: Any) -> Exchange:
        """Return the exchange of a request; NOTHING where another door has opened for it already."""
        try:
            around = getattr(request, _EXCHANGE, None) or _around(request)
            if around is not None:
                setattr(request, _EXCHANGE, around)
                return NOTHING
            exchange = self.door.open(DjangoArrival(request))
            setattr(request, _EXCHANGE, exchange)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
            return NOTHING
        return exchange

    def _finished(self, request: Any, response: Any, exchange: Exchange) -> Any:
        """Record what the program has answered, and see to it that the exchange ends when that has been sent."""
        try:
            if exchange is NOTHING:
                _say_route(getattr(request, _EXCHANGE, None), request)
            else:
                self._describe(request, response, exchange)
                _end_when_sent(response, exchange)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            exchange.end()
            swallow(fault)
        return response

    def _describe(self, request: Any, response: Any, exchange: Exchange) -> None:
        value = exchange.response_header()
        if value is not None:
            response.headers.setdefault(HEADER, value)
        if not exchange.is_watched:
            return
        _say_route(exchange, request)
        if self.user:
            name = self.user(request) if callable(self.user) else _loaded_user(request)
            if name:
                exchange.entity.user(name)
        exchange.answered(response.status_code, _length_of(response))


def _around(request: Any) -> Any:
    """Return what a door of WSGI or ASGI around Django has opened for a request."""
    below = getattr(request, "environ", None) or getattr(request, "scope", None) or {}
    return below.get(KEY)


class DjangoArrival(WSGIArrival):
    """A request, asked for nothing that Django may refuse: a host that is not allowed, most of all."""

    __slots__ = ("_request",)

    def __init__(self, request: Any) -> None:
        super().__init__(request.META)
        self._request = request

    path = property(lambda self: self._request.path)
    scheme = property(lambda self: self._request.scheme)


def _say_route(exchange: Any, request: Any) -> None:
    match = getattr(request, "resolver_match", None)
    if exchange is None or match is None:
        return
    if isinstance(exchange, Exchange):
        exchange.routed(f"/{match.route}")
    else:
        exchange.route = f"/{match.route}"  # the door of ASGI records it at the end


def _loaded_user(request: Any) -> str | None:
    """Return the name of the user, if the program has looked who it is; never looks by itself."""
    known = vars(request)
    user = known.get("_cached_user") or known.get("_acached_user") or known.get("user")
    if user is None or isinstance(user, LazyObject) or not user.is_authenticated:
        return None
    return str(user.get_username())


def _length_of(response: Any) -> int | None:
    length = response.headers.get("Content-Length")
    if length is not None:
        return int(length) if length.isascii() and length.isdigit() else None
    return None if response.streaming else len(response.content)


def _end_when_sent(response: Any, exchange: Exchange) -> None:
    """End the exchange when the server closes the response; what is streamed meanwhile belongs to the request."""
    if response.streaming and getattr(response, "file_to_stream", None) is None:  # a file is the server's to send
        source = response.streaming_content
        make = AsyncChunks if hasattr(source, "__aiter__") else Chunks
        response.streaming_content = make(source, exchange)
    response._resource_closers.append(Closing(exchange))  # noqa: SLF001 - `close` itself is Django's to call


@guarded
def _tell(request: Any = None, **_: object) -> None:
    """Record an exception that Django makes a 500 of: a view's, or another middleware's."""
    exchange = getattr(request, _EXCHANGE, None)
    error = sys.exc_info()[1]
    if exchange is None or error is None:
        return
    exchange.failed(error)
    if (
        isinstance(exchange, Exchange) and exchange.is_answered
    ):  # by what nobody will see: a middleware further out failed
        exchange.answered(500)
        exchange.end()
