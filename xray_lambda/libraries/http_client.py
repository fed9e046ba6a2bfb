"""http.client: each request with its response is a remote subsegment named after the host, until the headers are there.

What is sent goes through `putrequest` and `endheaders`, whether the program calls `request` or these.
"""

from __future__ import annotations

from functools import wraps
from weakref import WeakKeyDictionary

from xray_lambda._guard import swallow
from xray_lambda._header import NAME, TRACEPARENT
from xray_lambda.libraries._bodies import ending, keep_open, taken, until_read
from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import LOWEST, answered, http, outgoing_to
from xray_lambda.libraries._targets import replacing
from xray_lambda.libraries._urls import url_of

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPConnection
    from typing import Any

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call, Steps

_OURS = (NAME.lower().encode(), TRACEPARENT.encode())

# The calls whose headers are not sent yet: each with its URL.
_begun: WeakKeyDictionary[HTTPConnection, tuple[Entity, str]] = WeakKeyDictionary()


@card("http.client:HTTPConnection.putrequest(self, method, url)", part_of=("http", LOWEST))
def putrequest(call: Call) -> Steps:
    connection = call["self"]
    url = _url(connection, call["url"])
    sub = http(call, call["method"], url, layer=LOWEST)
    _begun[connection] = sub, url
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
    @wraps(original)
    def carry_on(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _begun:
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
        begun = _begun.pop(connection, None)
        headers = () if begun is None else outgoing_to(*begun)
        if headers:  # what the program has put there under the same names came with another request
            lines = connection._buffer  # noqa: SLF001 - nothing else takes a header back
            lines[:] = [line for line in lines if line.partition(b":")[0].lower() not in _OURS]
        for key, value in headers:
            connection.putheader(key, value)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)


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
