"""Kinds of calls: each opens the subsegment that stands for a call to an AWS service, an HTTP server, a database."""

from __future__ import annotations

from xray_lambda import _header
from xray_lambda._context import current
from xray_lambda._entities import Subsegment
from xray_lambda._entity import Entity, Untraced
from xray_lambda._recorder import active
from xray_lambda._sections import without_secrets
from xray_lambda.libraries._filters import ignores, sends_header_to

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from xray_lambda._entity import Namespace
    from xray_lambda.libraries._card import Call

# How high a library stands in its stack: one logical call is one subsegment, that of the highest library in it.
# boto3 calls urllib3, which calls http.client; SQLAlchemy calls a driver, whose executemany may call its execute.
LOWEST, MIDDLE, CLIENT, AWS = 1, 2, 3, 4

_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


class LibraryCall(Subsegment):
    """The subsegment of a call into a library; what the library calls in turn belongs to it."""

    __slots__ = ("layer", "message_of", "stack")

    def __init__(self, name: str, parent: Any, namespace: Namespace, stack: str, layer: int) -> None:
        super().__init__(name, parent, namespace)
        self.message_of = None
        self.stack = stack
        self.layer = layer


class Quiet(Untraced):
    """Stands for a call that is part of another one, or that the program wants ignored; so does all within."""

    __slots__ = ("_before",)

    def __init__(self, parent: Entity) -> None:
        super().__init__(parent.header())
        self._before: Entity | None = None

    def __enter__(self) -> Self:
        self._before = current.get()
        current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if current.get() is self:
            current.set(self._before)
            self._before = None


# A call within another one: nothing is to be done, the outer one has done it.
WITHIN = Entity()


def opened(call: Call, name: str, namespace: Namespace, stack: str, layer: int, what: str = "") -> Entity:
    """Return the subsegment for a call, not entered yet; one that is not sampled where nothing is to be recorded.

    `what` is matched against `ignore_calls` beside the name: a URL, or `SQS.SendMessage`.
    """
    parent = call.parent
    if parent.stack == stack and parent.layer >= layer:
        return WITHIN
    config = active().config
    if config.ignore_calls and ignores(config.ignore_calls, name, what):
        return Quiet(parent)
    return LibraryCall(name, parent, namespace, stack, layer) if parent.sampled else parent


def http(
    call: Call,
    method: str,
    url: str,
    headers: MutableMapping[str, Any] | None = None,
    *,
    layer: int = CLIENT,
) -> Entity:
    """Open the subsegment of an HTTP request, named after the host, and put the trace header into `headers`.

    `headers` must be the request's own, never the program's.
    """
    plain = without_secrets(url)
    name = host_of(plain)
    sub = opened(call, name, "remote", "http", layer, plain)
    if headers is not None:
        inject(sub, headers, name, plain)
    if sub.sampled:
        sub.http(method=method, url=plain)
    return sub


def inject(sub: Entity, headers: MutableMapping[str, Any], name: str, what: str) -> None:
    """Put the trace header of `sub` into a request's headers, unless the program wants none sent there."""
    if isinstance(sub, Quiet):
        return
    for key, value in outgoing(sub, name, what):
        headers[key] = value


def outgoing(sub: Entity, name: str, what: str) -> list[tuple[str, str]]:
    """Return the headers that carry the trace on to a service: none, `X-Amzn-Trace-Id`, `traceparent`, or both."""
    header = sub.header()
    config = active().config
    if header is None or not sends_header_to(config.inject_to, name, what):
        return []
    found = [(_header.NAME, str(header))] if "xray" in config.propagate else []
    parent = _header.traceparent(header) if "w3c" in config.propagate else None
    return found if parent is None else [*found, (_header.TRACEPARENT, parent)]


def host_of(url: str) -> str:
    """Return the host of a URL without userinfo, and its port where that is not the scheme's own."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    name, colon, port = host.rpartition(":")
    if colon and (not port or port == _DEFAULT_PORTS.get(scheme.lower())):
        host = name
    return host.lower() or "unknown"


def answered(sub: Entity, status: int, headers: Mapping[str, Any] | None = None) -> None:
    """Record the answer to an HTTP request; `traced` where the peer answered with our trace."""
    if headers is None:
        sub.status(status)
        return
    length = str(headers.get("Content-Length") or "")
    sub.status(status, int(length) if length.isascii() and length.isdigit() else None)
    peer = headers.get(_header.NAME)
    if isinstance(peer, str) and sub.trace_id is not None and _header.parse(peer).root == sub.trace_id:
        sub.http(traced=True)
