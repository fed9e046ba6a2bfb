"""Arrivals: what a door reads of a request before the program does, the same for every protocol."""

from __future__ import annotations

# The C part of `socket`, which reads an address in a tenth of what `ipaddress` takes.
import _socket
from functools import lru_cache

from xray_lambda import _header
from xray_lambda._header import TraceHeader

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_ADDRESS = 100
_DEFAULT_PORTS = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}


class Arrival:
    """A request as it came in; `path` has no query, `trace` and the other texts are header values, or None.

    `url` is called only for a request that is recorded; what it returns loses userinfo and query there.
    """

    __slots__ = ("agent", "forwarded", "host", "method", "path", "peer", "trace", "traceparent", "url")

    def __init__(
        self,
        method: str,
        host: str | None,
        path: str,
        url: Callable[[], str],
        *,
        peer: str | None = None,
        trace: str | None = None,
        traceparent: str | None = None,
        forwarded: str | None = None,
        agent: str | None = None,
    ) -> None:
        self.method = method
        self.host = host
        self.path = path
        self.url = url
        self.peer = peer
        self.trace = trace
        self.traceparent = traceparent
        self.forwarded = forwarded
        self.agent = agent

    def header(self) -> TraceHeader:
        """Return the trace that the request belongs to: by `X-Amzn-Trace-Id`, else by `traceparent`, else none."""
        if self.trace:
            header = _header.parse(self.trace)
            if header.root is not None or not self.traceparent:
                return header
        return _header.parse_traceparent(self.traceparent) if self.traceparent else TraceHeader()

    def client(self) -> dict[str, object]:
        """Return the client's address: the first hop of `X-Forwarded-For`, marked as such, else the peer's."""
        forwarded, peer = self.forwarded, self.peer
        if forwarded:
            first = address(forwarded[:_MAX_ADDRESS].partition(",")[0])
            if first is not None:
                return {"client_ip": first, "x_forwarded_for": True}
        known = address(peer[:_MAX_ADDRESS]) if peer else None
        return {} if known is None else {"client_ip": known}


@lru_cache(maxsize=1024)
def address(text: str) -> str | None:
    """Return an IP address without the port that some proxies put behind it; None for anything else.

    `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1`, `[2001:db8::1]:4711`: RFC 7239, section 6.
    """
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    try:
        _socket.inet_pton(family, host)
    except (OSError, ValueError):
        return None
    return host


def as_in_url(path: str) -> str:
    """Return a path, unquoted as servers hand it over, so that a `?` or `#` in it begins no query and no fragment."""
    return path.replace("?", "%3F").replace("#", "%23")


def of_server(name: str | None, port: object) -> str:
    """Return a server's name and port as the host of a URL, where the request names none."""
    return f"[{name}]:{port}" if name and ":" in name else f"{name or 'localhost'}:{port}"


def without_default_port(scheme: str, host: str) -> str:
    """Return a host as it is written in a URL: without the port that its scheme has anyway."""
    return host.removesuffix(_DEFAULT_PORTS.get(scheme, ""))
