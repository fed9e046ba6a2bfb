"""aiohttp's server: `Application(middlewares=[middleware])` makes each request a segment, to its answer's last byte."""

from __future__ import annotations

import asyncio
from functools import partial
from weakref import ref

from xray_lambda._callables import overload
from xray_lambda._context import current
from xray_lambda._document import MARK
from xray_lambda._guard import swallow
from xray_lambda.web._arrival import Arrival, as_in_url, of_server, without_default_port
from xray_lambda.web._door import Door
from xray_lambda.web._exchange import HEADER, KEY, NOTHING, Exchange
from xray_lambda.web._frameworks import not_installed
from xray_lambda.web.asgi import restore
from xray_lambda.web.wsgi import say_user

try:
    from aiohttp.web import HTTPException, StreamResponse, WebSocketResponse
except ImportError as error:
    raise not_installed("aiohttp", error) from error

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any

    from aiohttp.typedefs import Handler, Middleware
    from aiohttp.web import Request

    User = Callable[[Any], str | None]

__all__ = ["middleware"]

_ABNORMAL = 1006  # RFC 6455, section 7.4.1: the connection ended without a word

_door = Door()
# Past the warning of aiohttp's debug mode; to ask for `vars(request)` would make a dict of it, and reading it slower.
_put = object.__setattr__
_get_current = current.get
_set_current = current.set


@overload
def middleware(request: Request, handler: Handler) -> Awaitable[StreamResponse]: ...  # noqa: D103 - see below
@overload
def middleware(  # noqa: D103, F811 - the second overload
    *,
    service: str | None = None,
    hosts: str | None = None,
    ignore_paths: str | Iterable[str] = (),
    user_agent: bool = False,
    user: User | None = None,
) -> Middleware: ...
def middleware(  # noqa: F811 - what the overloads describe
    request: Request | None = None,
    handler: Handler | None = None,
    *,
    service: str | None = None,
    hosts: str | None = None,
    ignore_paths: str | Iterable[str] = (),
    user_agent: bool = False,
    user: User | None = None,
) -> object:
    """Trace a server's requests: `middlewares=[middleware]` or `[middleware(service="shop", ignore_paths="/health*")]`.

    `hosts="*.example.com"` lets those hosts name their segments; `user_agent=True` records that header, and
    `user=function` whom it returns for a request. First in the list, it sees what the others answer.
    """
    if request is not None and handler is not None:
        return _serve(_door, None, request, handler)
    return _middleware(Door(service=service, hosts=hosts, ignore_paths=ignore_paths, user_agent=user_agent), user)


def _middleware(door: Door, user: User | None) -> Middleware:
    async def xray_middleware(request: Request, handler: Handler) -> StreamResponse:
        return await _serve(door, user, request, handler)

    vars(xray_middleware).update(_NEW_STYLE)
    return xray_middleware


_NEW_STYLE = {"__middleware_version__": 1}  # what `@aiohttp.web.middleware` says of a function that takes a request
vars(middleware).update(_NEW_STYLE)


async def _serve(door: Door, user: User | None, request: Request, handler: Handler) -> StreamResponse:
    """Let the program answer a request with its segment current."""
    if getattr(request, KEY, None) is not None:
        return await handler(request)
    token = _set_current(_get_current())
    exchange = opened(door, request)
    _put(request, KEY, exchange)  # among its own keys, newer ones want a `RequestKey`, which older ones do not have
    watch = _Watch(exchange, request, user)
    try:
        return await handler(request)
    except HTTPException:
        raise
    except BaseException as error:
        watch.failed(error)
        raise
    finally:
        restore(token)


def opened(door: Door, request: Request) -> Exchange:
    """Return the exchange of a request as aiohttp has it; never raises."""
    try:
        arrival = arrival_of(request)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return NOTHING
    return door.open(arrival)


def arrival_of(request: Request) -> Arrival:
    """Read a request. Its `host` and `url` are left alone: the one may ask the DNS, the other fail."""
    get = request.headers.get
    host = get("Host")
    return Arrival(
        request.method,
        host,
        request.path,
        partial(_url, request, host),
        peer=request.remote,
        trace=get(HEADER),
        traceparent=get("traceparent"),
        forwarded=get("X-Forwarded-For"),
        agent=get("User-Agent"),
    )


def _url(request: Request, host: str | None) -> str:
    """Return the URL that was asked for, without its query."""
    scheme, path = request.scheme, as_in_url(request.path)
    if host is None:
        transport = request.transport
        address = None if transport is None else transport.get_extra_info("sockname")
        if not isinstance(address, tuple):  # a UNIX socket's path, which is no host
            return path
        host = of_server(*address[:2])
    return f"{scheme}://{without_default_port(scheme, host)}{path}"


class _Watch:
    """Sees an answer begin, whoever makes it, and aiohttp be done with the request.

    A middleware cannot connect to `on_response_prepare`, which is frozen when the first request comes: so the request
    is given what calls it. Its task is its own, and ends when the answer is sent, or when the client is gone.
    """

    __slots__ = ("_error", "_exchange", "_request", "_user", "_websocket")

    def __init__(self, exchange: Exchange, request: Request, user: User | None) -> None:
        self._exchange = exchange
        self._request = ref(request)  # which has us in its attributes
        self._user = user
        self._websocket: WebSocketResponse | None = None
        self._error: BaseException | None = None
        try:
            task = asyncio.current_task()
            if task is not None and exchange.is_watched:
                task.add_done_callback(partial(self._done, request))
            request._prepare_hook  # noqa: B018, SLF001 - there is no public place; tests hold it, oldest and newest
            _put(request, "_prepare_hook", self._prepare)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    async def _prepare(self, response: StreamResponse) -> None:
        """Record how the request is answered, with our header, before the program's own `on_response_prepare`."""
        try:
            self._begun(response)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
        request = self._request()
        if request is not None:
            await type(request)._prepare_hook(request, response)  # noqa: SLF001 - what we stand in front of

    def _begun(self, response: StreamResponse) -> None:
        if isinstance(response, WebSocketResponse):
            self._websocket = response  # which has the request, and so us: a cycle, until it is done
        self._exchange.answered(response.status, response.content_length)
        value = self._exchange.response_header()
        if value is not None:
            response.headers.setdefault(HEADER, value)

    def failed(self, error: BaseException) -> None:
        """Keep what the handler raised: aiohttp answers an exception with a 500 or a 504, if it can still answer."""
        if not isinstance(error, Exception):
            self._error = error  # cancelled: there will be no answer
        elif self._is_gone() and isinstance(error, ConnectionError):
            return
        elif not self._exchange.is_answered:
            self._exchange.caught(error)
        else:
            self._exchange.failed(error)

    def _is_gone(self) -> bool:
        request = self._request()
        return request is not None and (request.transport is None or request.transport.is_closing())

    def _done(self, request: Request, _task: object) -> None:
        try:
            self._describe(request)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
        error, self._error, self._websocket = self._error, None, None
        self._exchange.end(error)

    def _describe(self, request: Request) -> None:
        resource = request.match_info.route.resource
        self._exchange.routed(None if resource is None else resource.canonical)
        entity = self._exchange.entity
        if self._websocket is not None:
            code = self._websocket.close_code
            entity.metadata({"close_code": _ABNORMAL if code is None else code}, namespace=MARK)
        elif request.transport is None:
            entity.metadata({"disconnected": True}, namespace=MARK)
        if self._user is not None and entity.sampled:
            say_user(self._exchange, self._user, request, None)
