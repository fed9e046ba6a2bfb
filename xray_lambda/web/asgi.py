"""Any ASGI app, Starlette, FastAPI and Quart among them: each request or WebSocket is a segment, to its last byte."""

from __future__ import annotations

from functools import partial

from xray_lambda._context import current
from xray_lambda._guard import swallow
from xray_lambda.web._arrival import Arrival, as_in_url, of_server, without_default_port
from xray_lambda.web._asgi_connections import Answer, Conversation
from xray_lambda.web._door import Door
from xray_lambda.web._exchange import KEY, NOTHING, Exchange
from xray_lambda.web._quart import listen

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping
    from typing import Any

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    User = bool | Callable[[Any], str | None]
    App = Callable[..., Awaitable[None]]  # frameworks differ in what they call the three things that it takes

__all__ = ["XRayMiddleware"]

_KINDS = {"http": Answer, "websocket": Conversation}

_get_current = current.get
_set_current = current.set
_reset = current.reset


class XRayMiddleware:
    """Wraps an ASGI app: `XRayMiddleware(app, service="shop")` or `app.add_middleware(XRayMiddleware, service="shop")`.

    `hosts="*.example.com"` lets those hosts name their segments; `ignore_paths="/health*"` leaves requests alone;
    `user_agent=True` records that header, `user=True` whom an authentication middleware found, `scope["user"]`, and
    `user=function` whom it returns for a scope.
    """

    def __init__(
        self,
        app: App,
        service: str | None = None,
        *,
        hosts: str | None = None,
        ignore_paths: str | Iterable[str] = (),
        user_agent: bool = False,
        user: User = False,
    ) -> None:
        self.app = app
        self.door = Door(service=service, hosts=hosts, ignore_paths=ignore_paths, user_agent=user_agent)
        self.user = user
        listen()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, a WebSocket, or a lifespan, which is left alone."""
        kind = _KINDS.get(scope.get("type", ""))
        if kind is None or KEY in scope:
            await self.app(scope, receive, send)
            return
        token = _set_current(_get_current())
        exchange = opened(self.door, scope)
        connection = kind(exchange, scope, receive, send, user=self.user)
        scope[KEY] = exchange
        try:
            await self.app(scope, connection.receive if exchange.entity.sampled else receive, connection.send)
        except BaseException as error:
            connection.ended(error)
            raise
        else:
            connection.ended()
        finally:
            scope.pop(KEY, None)
            restore(token)


def restore(token: Any) -> None:
    """Give the server back what was current; not where a coroutine that was forgotten is closed by somebody else."""
    try:
        _reset(token)
    except ValueError:
        return


def opened(door: Door, scope: Scope) -> Exchange:
    """Return the exchange of a request as ASGI has it; never raises."""
    try:
        arrival = arrival_of(scope)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return NOTHING
    return door.open(arrival)


def arrival_of(scope: Scope) -> Arrival:
    """Read a request's scope; of a header that came twice, the first counts."""
    headers = dict(reversed(scope["headers"]))
    get = headers.get
    client, server = scope.get("client"), scope.get("server")
    host = get(b"host")
    path = path_of(scope)
    return Arrival(
        scope.get("method") or "GET",
        host.decode("latin-1") if host else server[0] if server else None,
        path,
        partial(_url, scope, host, path),
        peer=client[0] if client else None,
        trace=_text(get(b"x-amzn-trace-id")),
        traceparent=_text(get(b"traceparent")),
        forwarded=_text(get(b"x-forwarded-for")),
        agent=_text(get(b"user-agent")),
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def path_of(scope: Scope) -> str:
    """Return the whole path that was asked for.

    `root_path` is part of `path` since ASGI 2.3 said so (uvicorn 0.26, Starlette 0.33); before, it stood apart.
    """
    path, root_path = scope.get("path") or "/", (scope.get("root_path") or "").rstrip("/")
    if not root_path or path == root_path or path.startswith(root_path + "/"):
        return path
    return root_path + path


def _url(scope: Scope, host: bytes | None, path: str) -> str:
    """Return the URL that was asked for, without its query."""
    scheme = scope.get("scheme") or ("http" if scope["type"] == "http" else "ws")
    path = as_in_url(path)
    if host:
        return f"{scheme}://{without_default_port(scheme, host.decode('latin-1'))}{path}"
    name, port = scope.get("server") or (None, None)
    if port is None:  # a UNIX socket's path, which is no host
        return path
    return f"{scheme}://{without_default_port(scheme, of_server(name, port))}{path}"
