"""httpx: each Client.send and AsyncClient.send is a remote subsegment named after the host, until its answer is read.

Redirects and the requests of an authentication are part of it; each request carries the trace on, by any transport.
"""

from __future__ import annotations

from functools import wraps

from httpx._exceptions import HTTPStatusError

from xray_lambda._context import current
from xray_lambda._guard import swallow
from xray_lambda.libraries._bodies import ending, reading, until_read
from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import AWS, CLIENT, answered, carrying, http
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call, Steps, Until


@card(
    "httpx._client:Client.send(self, request)",
    "httpx._client:AsyncClient.send(self, request)",
    part_of=("http", AWS),
)
def send(call: Call) -> Steps:
    request = call["request"]
    sub = http(call, request.method, request.url)
    try:
        until = _answered(sub, (yield sub))
    except HTTPStatusError as error:  # an event hook has called `raise_for_status`
        until = _answered(sub, error.response)
    if until is not None:
        yield until


def _answered(sub: Entity, response: Any) -> Until | None:
    answered(sub, response.status_code, response.headers)
    return None if response.is_closed or response.status_code == 101 else until_read(response)


@replacing(
    "httpx._client:Client._transport_for_url(self, url)", "httpx._client:AsyncClient._transport_for_url(self, url)"
)
def carry_on(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what chooses the transport for one request: that is where a request leaves what the program holds."""

    @wraps(original)
    def transport_for_url(self: object, *args: Any, **kwargs: Any) -> Any:
        transport = original(self, *args, **kwargs)
        sub = current.get()
        return Carrying(transport, sub) if sub is not None and (sub.stack, sub.layer) == ("http", CLIENT) else transport

    return transport_for_url


class Carrying:
    """Gives a transport a copy of the request, with the trace in its headers."""

    __slots__ = ("_sub", "_transport")

    def __init__(self, transport: Any, sub: Entity) -> None:
        self._transport = transport
        self._sub = sub

    def handle_request(self, request: Any) -> Any:
        """Send a request, as httpx asks for it."""
        sent = self._copy(request)
        try:
            return self._transport.handle_request(sent)
        finally:
            _give_back(sent, request)

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request, as httpx asks for it."""
        sent = self._copy(request)
        try:
            return await self._transport.handle_async_request(sent)
        finally:
            _give_back(sent, request)

    def _copy(self, request: Any) -> Any:
        try:
            headers = carrying(self._sub, request.headers, str, request.url)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
            return request
        if headers is request.headers:
            return request
        copy = object.__new__(type(request))
        vars(copy).update(vars(request), headers=headers)
        return copy


def _give_back(sent: Any, request: Any) -> None:
    """Leave the request as it would be now: a transport may have read its body."""
    if "_content" in vars(sent):
        vars(request).update(_content=vars(sent)["_content"], stream=sent.stream)


close = replacing("httpx._models:Response.close(self)", "httpx._models:Response.aclose(self)")(ending)
iter_raw = replacing("httpx._models:Response.iter_raw(self)", "httpx._models:Response.aiter_raw(self)")(reading)
