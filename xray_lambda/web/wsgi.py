"""Any WSGI app: `app = XRayMiddleware(app, service="shop")` makes each request a segment, to its answer's last byte."""

from __future__ import annotations

from xray_lambda._guard import swallow
from xray_lambda.web._arrival import Arrival, as_in_url, of_server, without_default_port
from xray_lambda.web._door import Door
from xray_lambda.web._exchange import HEADER, KEY, NOTHING, Exchange
from xray_lambda.web._wsgi_bodies import Noting, until_sent

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType]
    Environ = dict[str, Any]
    StartResponse = Callable[..., Callable[[bytes], object]]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]
    Headers = list[tuple[str, str]]
    # What a framework knows of a request by the time that it is answered.
    Describe = Callable[[Environ, Exchange], None]
    User = bool | Callable[[Any], str | None]

__all__ = ["XRayMiddleware"]


class XRayMiddleware:
    """Wraps a WSGI app (PEP 3333). Example: `app = XRayMiddleware(app, service="shop", ignore_paths="/health*")`.

    `hosts="*.example.com"` lets those hosts name their segments; `user_agent=True` records that header, `user=True`
    the environ's REMOTE_USER, `user=function` what that returns for the environ.
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

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, as the app does."""
        return run(self.door, self.app, environ, start_response, self._describe if self.user else None)

    def _describe(self, environ: Environ, exchange: Exchange) -> None:
        say_user(exchange, self.user, environ, environ.get("REMOTE_USER"))


def say_user(exchange: Exchange, user: User, request: object, known: str | None) -> None:
    """Record who asked, where that is wanted: whom the server knows, or who `user(request)` says it is."""
    name = user(request) if callable(user) else known
    if name:
        exchange.entity.user(name)


def run(
    door: Door, app: App, environ: Environ, start_response: StartResponse, describe: Describe | None = None
) -> Iterable[bytes]:
    """Call a WSGI app through a door; not where another door has opened for this request already.

    `describe(environ, exchange)` adds what a framework knows of a sampled request by the time that it is answered.
    """
    around = environ.get(KEY)
    if around is not None and not around.ended:
        return app(environ, start_response)
    exchange = door.open(WSGIArrival(environ))
    if exchange is NOTHING:  # by a fault of ours
        return app(environ, start_response)
    environ[KEY] = exchange
    file_wrapper = _file_wrapper(environ)
    start = Start(exchange, start_response, describe, environ)
    try:
        body = app(environ, start)
    except BaseException as error:
        exchange.leave()
        start.describe()
        exchange.end(error)
        raise
    exchange.leave()
    return until_sent(body, file_wrapper, exchange)


def _file_wrapper(environ: Environ) -> object:
    """Return the server's file wrapper; in the place of one that is a function, what tells its results again."""
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is not None and not isinstance(wrapper, type):
        environ["wsgi.file_wrapper"] = wrapper = Noting(wrapper)
    return wrapper


class WSGIArrival(Arrival):
    """A WSGI request, read as far as somebody asks; nothing in the environ is taken for granted."""

    __slots__ = ("_get",)

    def __init__(self, environ: Environ) -> None:
        self._get = get = environ.get
        self.trace = get("HTTP_X_AMZN_TRACE_ID")
        self.traceparent = get("HTTP_TRACEPARENT")

    method = property(lambda self: self._get("REQUEST_METHOD") or "GET")
    host = property(lambda self: self._get("HTTP_HOST") or self._get("SERVER_NAME"))
    peer = property(lambda self: self._get("REMOTE_ADDR"))
    forwarded = property(lambda self: self._get("HTTP_X_FORWARDED_FOR"))
    agent = property(lambda self: self._get("HTTP_USER_AGENT"))
    scheme: Any = property(lambda self: self._get("wsgi.url_scheme"))

    @property
    def path(self) -> str:  # type: ignore[override]  # read when it is asked for
        """The whole path as text: PEP 3333 hands bytes over as latin-1, and they were UTF-8 most likely."""
        get = self._get
        path: str = (get("SCRIPT_NAME") or "") + (get("PATH_INFO") or "") or "/"
        return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")

    def url(self) -> str:
        """Return the URL that was asked for, without its query: PEP 3333, "URL Reconstruction"."""
        get = self._get
        scheme = self.scheme or "http"
        host = get("HTTP_HOST") or of_server(get("SERVER_NAME"), get("SERVER_PORT"))
        return f"{scheme}://{without_default_port(scheme, host)}{as_in_url(self.path)}"


class Start:
    """The `start_response` that the program is given: it begins the answer, with our header."""

    __slots__ = ("_describe", "_environ", "_exchange", "_start_response")

    def __init__(
        self, exchange: Exchange, start_response: StartResponse, describe: Describe | None, environ: Environ
    ) -> None:
        self._exchange = exchange
        self._start_response = start_response
        self._describe = describe
        self._environ = environ

    def __call__(self, status: str, headers: Headers, exc_info: ExcInfo | None = None) -> Callable[[bytes], object]:
        exchange = self._exchange
        try:
            if exchange.is_watched:
                self._record(status, headers, exc_info)
            value = exchange.response_header()
            if value is not None and not _has_it(headers):
                headers = [*headers, (HEADER, value)]
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
        if exc_info is None:  # a server takes two arguments or three
            return self._start_response(status, headers)
        return self._start_response(status, headers, exc_info)

    def _record(self, status: str, headers: Headers, exc_info: ExcInfo | None) -> None:
        self.describe()
        if exc_info is not None:  # the program answers with an error page for this exception
            self._exchange.failed(exc_info[1])
        code = status[:3]
        if code.isdigit():
            self._exchange.answered(int(code), _content_length(headers))

    def describe(self) -> None:
        """Have a framework's door say what it knows."""
        if self._describe is None or not self._exchange.entity.sampled:
            return
        try:
            self._describe(self._environ, self._exchange)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)


def _has_it(headers: Headers) -> bool:
    """Say whether the program has put a trace header into its answer by itself."""
    for name, _ in headers:  # noqa: SIM110 - `any` would make a generator, for ten times as long
        if len(name) == 15 and name.lower() == "x-amzn-trace-id":
            return True
    return False


def _content_length(headers: Headers) -> int | None:
    for name, value in headers:
        if len(name) == 14 and name.lower() == "content-length":
            return int(value) if value.isascii() and value.isdigit() else None
    return None
