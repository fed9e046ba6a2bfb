"""What a request has to be before anyone looks at it: for this host, from no other site's page, and of bounded size."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# A number of IPv6 in brackets, or a name or number of IPv4; and maybe a port.
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:@/\[\]]+))(?::\d*)?")
_REASONS = {
    400: "The request has no Host header, or more than one.",
    403: "The request comes from another site's page.",
    413: "The body is too large.",
    421: "The Host header names a host that this viewer does not answer for: see xray-lambda view --allow-host.",
}


class Guarded:
    """An application behind these checks.

    A web page can send requests to loopback. One that came by a name of its own (DNS rebinding) has that name in Host;
    one from another site has that site in Origin. SDKs and boto3 send no Origin, and address a number or a known name.
    """

    def __init__(self, app: Application, names: Iterable[str], *, open_to_others: bool, most_bytes: int) -> None:
        self._app = app
        self._names = {name.lower().rstrip(".") for name in (*names, "localhost")}
        self._open_to_others = open_to_others
        self._most_bytes = most_bytes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with what is wrong with it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = self._fault(scope["headers"])
        if status:
            await _refuse(status, send)
            return
        await self._app(scope, _counted(receive, self._most_bytes), send)

    def _fault(self, headers: Iterable[tuple[bytes, bytes]]) -> int:
        found = {name: value.decode("latin-1") for name, value in headers}
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1:
            return 400
        host = found[b"host"].lower()
        if not self._is_ours(host):
            return 421
        origin = found.get(b"origin")
        if (origin is not None and origin.lower() != f"http://{host}") or found.get(b"sec-fetch-site") == "cross-site":
            return 403
        length = found.get(b"content-length", "0")
        return 413 if not length.isdigit() or int(length[:20]) > self._most_bytes else 0

    def _is_ours(self, host: str) -> bool:
        """Say whether a host (and port) is this machine's: a number, which no DNS can turn, or a name that is known.

        Open to others, a name without a dot is one too: that is how containers call each other, and no site has one.
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = (found[1] or found[2]).rstrip(".")
        if name in self._names or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return self._open_to_others and "." not in name
        return True


def _counted(receive: Receive, most_bytes: int) -> Receive:
    """Return what reads a body and counts it, since a body may come without having said its size."""
    left = most_bytes

    async def count() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, _REASONS[413], {"connection": "close"})
        return message

    return count


async def _refuse(status: int, send: Send) -> None:
    body = _REASONS[status].encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
