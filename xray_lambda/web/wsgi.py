"""Any WSGI app: `app = XRayMiddleware(app, service="shop")` makes each request a segment, to its answer's last byte."""

from __future__ import annotations

from functools import partial

from xray_lambda._guard import swallow
from xray_lambda.web._arrival import Arrival, without_default_port
from xray_lambda.web._door import Door
from xray_lambda.web._exchange import HEADER, Exchange

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType]
    Environ = dict[str, Any]
    StartResponse = Callable[..., Callable[[bytes], object]]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]

__all__ = ["XRayMiddleware"]


class XRayMiddleware:
    """Wraps a WSGI app (PEP 3333). Example: `app = XRayMiddleware(app, service="shop", ignore_paths="/health*")`.

    `hosts="*.example.com"` lets those hosts name their segments; `user_agent=True` records that header.
    """

    def __init__(
        self,
        app: App,
        service: str | None = None,
        *,
        hosts: str | None = None,
        ignore_paths: str | Iterable[str] = (),
        user_agent: bool = False,
    ) -> None:
        self.app = app
        self.door = Door(service=service, hosts=hosts, ignore_paths=ignore_paths, user_agent=user_agent)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return run(self.door, self.app, environ, start_response)


def run(door: Door, app: App, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Call a WSGI app through a door."""
    exchange = opened(door, environ)
    try:
        body = app(environ, partial(_start, exchange, start_response))
    except BaseException as error:
        exchange.end(error)
        raise
    exchange.leave()
    return Body(body, exchange)


def opened(door: Door, environ: Environ) -> Exchange:
    """Return the exchange of a request as WSGI has it."""
    return door.open(arrival_of(environ))


def arrival_of(environ: Environ) -> Arrival:
    """Read a WSGI request; nothing in the environ is taken for granted."""
    get = environ.get
    return Arrival(
        get("REQUEST_METHOD") or "GET",
        get("HTTP_HOST") or get("SERVER_NAME"),
        (get("SCRIPT_NAME") or "") + (get("PATH_INFO") or "") or "/",
        partial(url_of, environ),
        peer=get("REMOTE_ADDR"),
        trace=get("HTTP_X_AMZN_TRACE_ID"),
        traceparent=get("HTTP_TRACEPARENT"),
        forwarded=get("HTTP_X_FORWARDED_FOR"),
        agent=get("HTTP_USER_AGENT"),
    )


def url_of(environ: Environ) -> str:
    """Return the URL that was asked for, without its query: PEP 3333, "URL Reconstruction"."""
    get = environ.get
    scheme = get("wsgi.url_scheme") or "http"
    host = get("HTTP_HOST") or f"{get('SERVER_NAME')}:{get('SERVER_PORT')}"
    path = (get("SCRIPT_NAME") or "") + (get("PATH_INFO") or "")
    # PEP 3333 hands bytes over as latin-1 text; they were UTF-8 most likely.
    path = path.encode("latin-1", "replace").decode("utf-8", "replace") or "/"
    return f"{scheme}://{without_default_port(scheme, host)}{path}"


def _start(
    exchange: Exchange,
    start_response: StartResponse,
    status: str,
    headers: list[tuple[str, str]],
    exc_info: ExcInfo | None = None,
) -> Callable[[bytes], object]:
    """Begin the answer, with our header; a server takes two arguments or three."""
    try:
        headers = answered(exchange, status, headers)
        if exc_info is not None:  # the program answers with an error page for this exception
            exchange.failed(exc_info[1])
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
    return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)


def answered(exchange: Exchange, status: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Record an answer's status line and length; return its headers with the trace's, in a list of their own."""
    if exchange.entity.sampled:
        exchange.answered(int(status[:3]), _content_length(headers))
    value = exchange.response_header()
    return headers if value is None else [*headers, (HEADER, value)]


def _content_length(headers: list[tuple[str, str]]) -> int | None:
    for name, value in headers:
        if len(name) == 14 and name.lower() == "content-length":
            return int(value) if value.isascii() and value.isdigit() else None
    return None


class Body:
    """An answer's body: each bit of it is made with the request current, and its end is the request's."""

    __slots__ = ("_body", "_chunks", "_exchange")

    def __init__(self, body: Iterable[bytes], exchange: Exchange) -> None:
        self._body = body
        self._chunks: Iterator[bytes] | None = None
        self._exchange = exchange

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        exchange.resume()
        try:
            if self._chunks is None:
                self._chunks = iter(self._body)
            return next(self._chunks)
        except StopIteration:
            raise
        except BaseException as error:
            exchange.end(error)
            raise
        finally:
            exchange.leave()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]  # servers ask, and take TypeError for a no

    def close(self) -> None:
        """Close the program's own body, and the exchange: PEP 3333 has the server call it however the request ends."""
        exchange = self._exchange
        exchange.resume()
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            exchange.end(error)
            raise
        finally:
            exchange.end()
            exchange.leave()

    def __del__(self) -> None:
        """End the exchange of a server that forgets to close."""
        try:
            self._exchange.end()
        except AttributeError:  # never made in full
            return
