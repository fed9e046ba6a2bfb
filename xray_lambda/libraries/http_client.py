"""http.client: each request with its response is a remote subsegment named after the host, until the headers are there.

What is sent goes through `putrequest` and `endheaders`, whether the program calls `request` or these.
"""

from __future__ import annotations

from functools import wraps
from weakref import WeakKeyDictionary

from xray_lambda._context import current
from xray_lambda._guard import swallow
from xray_lambda._header import NAME, TRACEPARENT
from xray_lambda.libraries._bodies import ending, keep_open, taken, until_read
from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import AWS, LOWEST, answered, http, outgoing_to
from xray_lambda.libraries._targets import replacing
from xray_lambda.libraries._urls import url_of

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPConnection
    from typing import Any

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call, Steps

_STARTS = {NAME: b"x-amzn-trace-id:", TRACEPARENT: b"traceparent:"}

# The calls whose headers are not sent yet.
_begun: WeakKeyDictionary[HTTPConnection, Entity] = WeakKeyDictionary()
_any_begun: dict[Any, Any] = vars(_begun)["data"]


@card("http.client:HTTPConnection.putrequest(self, method, url)", part_of=("http", LOWEST))
def putrequest(call: Call) -> Steps:
    connection = call["self"]
    sub = http(call, call["method"], _url(connection, call["url"]), layer=LOWEST)
    _begun[connection] = sub
    until = until_read(connection)
    del call, connection  # or the program could not drop it
    yield sub
    response = yield until
    if response is not None:
        answered(sub, response.status, response.headers)


def _url(connection: Any, target: str) -> str:
    scheme = "https" if connection.default_port == 443 else "http"
    host, port = connection._tunnel_host, connection._tunnel_port  # noqa: SLF001 - nothing else says so
    return url_of(scheme, host or connection.host, port if host else connection.port, target or "/")


@replacing("http.client:HTTPConnection.endheaders(self)")
def endheaders(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the end of a request's headers: here those of urllib3 and requests can be seen too, and are the last."""

    @wraps(original)
    def carry_on(self: Any, *args: Any, **kwargs: Any) -> Any:
        _carry_on(self)
        done = taken(self)
        if done is None:
            return original(self, *args, **kwargs)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            done(error)
            raise
        keep_open(self, done)
        return result

    return carry_on


def _carry_on(connection: Any) -> None:
    try:
        sub = _begun.pop(connection, None) if _any_begun else None
        if sub is None:
            sub = current.get()
            if sub is None or sub.stack != "http" or sub.layer >= AWS:  # AWS has seen to that itself
                return
        _put(connection._buffer, outgoing_to(sub, _url_of_request, connection))  # noqa: SLF001 - see there
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)


def _put(lines: list[bytes], headers: list[tuple[str, str]]) -> None:
    """Put headers among the lines that are about to be sent, in the place of those that the program has put there.

    Those came with another request. `putheader` takes none back, and costs as much as all the rest.
    """
    sent = b"".join(lines).lower() if headers else b""
    for name, value in headers:
        start = _STARTS[name]
        if start in sent:
            lines[:] = [line for line in lines if not line.lower().startswith(start)]
        lines.append(f"{name}: {value}".encode("ascii"))


def _url_of_request(connection: Any) -> str:
    target = connection._buffer[0].split(b" ")[1]  # noqa: SLF001 - the request's line
    return _url(connection, target.decode("latin-1"))


@replacing("http.client:HTTPConnection.getresponse(self)")
def getresponse(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def receive(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = taken(self)
        if done is None:
            return original(self, *args, **kwargs)
        try:
            response = original(self, *args, **kwargs)
        except BaseException as error:
            done(error)
            raise
        done(result=response)
        return response

    return receive


close = replacing("http.client:HTTPConnection.close(self)")(ending)
