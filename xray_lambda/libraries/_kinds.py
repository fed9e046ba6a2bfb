"""Kinds of calls: each opens the subsegment that stands for a call to an AWS service, an HTTP server, a database."""

from __future__ import annotations

from xray_lambda import _header
from xray_lambda._context import current
from xray_lambda._entities import Subsegment
from xray_lambda._entity import Entity, Untraced, flags_of
from xray_lambda._recorder import active
from xray_lambda._sections import without_secrets
from xray_lambda._values import clean
from xray_lambda.libraries._card import NotOurCall
from xray_lambda.libraries._filters import ignores, sends_header_to
from xray_lambda.libraries._urls import NOWHERE, host_of, message_of

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from xray_lambda._config import CallFilter
    from xray_lambda._entity import Ignored, Namespace
    from xray_lambda.libraries._card import Call

# How high a library stands in its stack: one logical call is one subsegment, that of the highest library in it.
# boto3 calls urllib3, which calls http.client; SQLAlchemy calls a driver, whose executemany may call its execute.
LOWEST, MIDDLE, CLIENT, AWS = 1, 2, 3, 4

_MAX_TEXT = 250
_MAX_DIGITS = 19
_OURS = frozenset((_header.NAME.lower(), _header.TRACEPARENT))


class LibraryCall(Subsegment):
    """The subsegment of a call into a library; what the library calls in turn belongs to it."""

    __slots__ = ("layer", "message_of", "stack")

    def __init__(self, name: str, parent: Any, namespace: Namespace, stack: str, layer: int) -> None:
        super().__init__(name, parent, namespace)
        self.message_of = None
        self.stack = stack
        self.layer = layer


class Quiet(Untraced):
    """Stands for a call that the program wants ignored; so does all within."""

    __slots__ = ("_before",)

    def __init__(self, parent: Entity) -> None:
        super().__init__(parent.header())
        self._before: Entity | None = None

    def child(self, name: str, namespace: Namespace | None = None, ignore: Ignored = ()) -> Untraced:  # noqa: ARG002
        return Quiet(self)  # not this one, which cannot be entered twice

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


class Passing(Quiet):
    """Stands for an HTTP call that is not recorded, but passes the trace on; what it calls in turn belongs to it."""

    __slots__ = ("layer",)

    stack = "http"

    def __init__(self, parent: Entity, layer: int) -> None:
        self._header = parent.header()
        self._before = None
        self.layer = layer

    def child(self, name: str, namespace: Namespace | None = None, ignore: Ignored = ()) -> Untraced:  # noqa: ARG002
        return Untraced(self._header)  # the program's own: what it calls is another call


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


def http(call: Call, method: str, url: object, *, layer: int = CLIENT) -> Entity:
    """Return the subsegment of an HTTP request, named after the host, not entered yet; see also `carrying`.

    `url` is a text, or something that is the URL as a text.
    Two clients never are part of each other: what one calls while another is at work, such as an authentication
    that fetches a token, is a call of its own.
    """
    parent = call.parent
    if parent.stack == "http" and parent.layer >= layer and not parent.layer == layer == CLIENT:
        return WITHIN
    if type(parent) is Quiet:
        return WITHIN
    ignored = active().config.ignore_calls
    if parent.sampled or ignored:
        return _recorded(parent, method, without_secrets(str(url)), layer, ignored)
    return Passing(parent, layer)


def _recorded(parent: Entity, method: str, url: str, layer: int, ignored: tuple[CallFilter, ...]) -> Entity:
    name = host_of(url)
    if name == NOWHERE:
        raise NotOurCall(url)
    if ignored and ignores(ignored, name, url):
        return Quiet(parent)
    if not parent.sampled:
        return Passing(parent, layer)
    sub = LibraryCall(name, parent, "remote", "http", layer)
    sub.message_of = message_of
    # As `sub.http` would have it, for a tenth of the time.
    request = {"method": clean(method[:_MAX_TEXT]), "url": clean(url[:_MAX_TEXT])}
    sub.details["http"] = {"request": request}  # type: ignore[index]  # it has its namespace
    return sub


def carrying(sub: Entity, headers: Any, url_of: Callable[..., str], *parts: object) -> Any:
    """Return a copy of a request's headers that carries the trace on, or those themselves where it is not to be.

    What the program has put there under the same names is left out: it came with another request. `url_of(*parts)`
    is only asked where the URL counts.
    """
    found = outgoing_to(sub, url_of, *parts)
    if not found:
        return headers
    copy = headers.copy()
    if isinstance(copy, dict):  # any other kind of headers does not care about case
        for key in [key for key in copy if isinstance(key, str) and key.lower() in _OURS]:
            del copy[key]
    for key, value in found:
        copy[key] = value
    return copy


def outgoing_to(sub: Entity, url_of: Callable[..., str], *parts: object) -> list[tuple[str, str]]:
    """Return what `outgoing` does, for a URL; nothing for an ignored call."""
    config = active().config
    if config.inject_to is not None:
        url = without_secrets(url_of(*parts))
        if not sends_header_to(config.inject_to, host_of(url), url):
            return []
    return [] if type(sub) is Quiet else _headers(sub, config.propagate)


def outgoing(sub: Entity, name: str, what: str) -> list[tuple[str, str]]:
    """Return the headers that carry the trace on to a service: none, `X-Amzn-Trace-Id`, `traceparent`, or both."""
    config = active().config
    return _headers(sub, config.propagate) if sends_header_to(config.inject_to, name, what) else []


def _headers(sub: Entity, propagate: tuple[str, ...]) -> list[tuple[str, str]]:
    header = sub.header()
    if header is None:
        return []
    found = [(_header.NAME, str(header))] if "xray" in propagate else []
    parent = _header.traceparent(header) if "w3c" in propagate else None
    return found if parent is None else [*found, (_header.TRACEPARENT, parent)]


def answered(sub: Any, status: object, headers: Mapping[str, Any]) -> None:
    """Record the answer to an HTTP request; `traced` where the peer answered with our trace."""
    if not isinstance(status, int) or sub.details is None:  # a stand-in of a test's, or closed meanwhile
        return
    fields = {"status": int(status)}
    length = headers.get("Content-Length")
    if isinstance(length, str) and length.isascii() and length.isdigit() and len(length) < _MAX_DIGITS:
        fields["content_length"] = int(length)
    section = sub.details["http"]
    section["response"] = fields  # as `sub.status` would have it, for a tenth of the time
    if status >= 400:
        sub.flag(*flags_of(status))
    peer = headers.get(_header.NAME)
    if isinstance(peer, str) and _header.parse(peer).root == sub.trace_id:
        section["request"]["traced"] = True
