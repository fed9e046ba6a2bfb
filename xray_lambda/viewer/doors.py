"""The three ports of the viewer, opened together: UDP and TCP as the daemon has them, and the screen's."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from typing import NamedTuple

from xray_lambda.viewer import ports, receiver

# A free TCP port whose number is free for UDP too is found at once, or nearly so.
_TRIES = 20


class PortTaken(Exception):
    """A port cannot be opened; the text says who has it, or why else."""

    def __init__(self, text: str, kind: str, port: int) -> None:
        super().__init__(text)
        self.kind = kind
        self.port = port


class Doors(NamedTuple):
    """Open sockets: documents by UDP, X-Ray's API by TCP at the same number, and the screen."""

    udp: socket.socket
    api: socket.socket
    screen: socket.socket | None

    @property
    def port(self) -> int:
        """The number of the daemon's port."""
        number: int = self.api.getsockname()[1]
        return number

    @property
    def screen_address(self) -> str | None:
        """Where a browser finds the screen."""
        return None if self.screen is None else url(*self.screen.getsockname()[:2])

    def close(self) -> None:
        """Close them."""
        for door in self:
            if door is not None:
                door.close()


def url(host: str, port: int) -> str:
    """Return the address for a browser on this machine: of all its addresses (0.0.0.0), loopback's."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        host = ("127.0.0.1" if address.version == 4 else "::1") if address.is_unspecified else host
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(host: str) -> bool:
    """Say whether nobody but this machine reaches a host."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in found)


def open_doors(host: str, port: int, screen_port: int | None) -> Doors:
    """Open all ports, or none; 0 is any that is free, None no screen. Raises PortTaken."""
    with contextlib.ExitStack() as opened:
        udp, api = _daemon(host, port)
        opened.callback(udp.close)
        opened.callback(api.close)
        screen = None if screen_port is None else _tcp(host, screen_port)
        opened.pop_all()
    return Doors(udp, api, screen)


def _daemon(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    for left in range(_TRIES, 0, -1):
        api = _tcp(host, port)
        number = api.getsockname()[1]
        try:
            return receiver.bind(host, number), api
        except OSError as fault:
            api.close()
            if port or left == 1:
                raise _taken(host, number, "udp", fault) from fault
    raise AssertionError  # pragma: no cover - the last try returns or raises


def _tcp(host: str, port: int) -> socket.socket:
    try:
        return ports.listen(host, port)
    except OSError as fault:
        raise _taken(host, port, "tcp", fault) from fault


def _taken(host: str, port: int, kind: str, fault: OSError) -> PortTaken:
    if isinstance(fault, socket.gaierror):
        return PortTaken(f"the host {host!r} is not known: {fault.strerror}", kind, port)
    if fault.errno == errno.EADDRINUSE:
        return PortTaken(f"{kind.upper()} port {port} of {host} is in use by {ports.holder(port, kind)}", kind, port)
    return PortTaken(f"{kind.upper()} port {port} of {host} cannot be opened: {fault.strerror or fault}", kind, port)
