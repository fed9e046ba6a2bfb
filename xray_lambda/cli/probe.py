"""Does a daemon listen there? UDP cannot be asked, so this gathers hints and says how far they carry."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from xray_lambda._config import DaemonAddress

PATIENCE = 0.5

Answer = Literal["open", "refused", "silent", "unresolved", "unreachable"]


class Finding(NamedTuple):
    """What came back over UDP and TCP; `loopback` says that the UDP port is on this machine."""

    udp: Answer
    tcp: Answer
    loopback: bool


def probe(address: DaemonAddress) -> Finding:
    """Send an empty datagram, which a daemon drops, and try a TCP connection; half a second each."""
    loopback, udp = _ask(address.host, address.port, socket.SOCK_DGRAM)
    _, tcp = _ask(address.tcp_host, address.tcp_port, socket.SOCK_STREAM)
    return Finding(udp, tcp, loopback)


def _ask(host: str, port: int, kind: socket.SocketKind) -> tuple[bool, Answer]:
    try:
        family, _, _, _, target = socket.getaddrinfo(host, port, type=kind)[0]
    except (OSError, UnicodeError):
        return False, "unresolved"
    loopback = str(target[0]).startswith("127.") or target[0] == "::1"
    with socket.socket(family, kind) as asking:
        asking.settimeout(PATIENCE)
        return loopback, _answer(asking, target)


def _answer(asking: socket.socket, target: object) -> Answer:
    """Connected UDP gets to know that a port is closed, where the other machine says so."""
    try:
        asking.connect(target)  # type: ignore[arg-type]  # as getaddrinfo gave it
        if asking.type == socket.SOCK_DGRAM:
            asking.send(b"")
            asking.recv(1)
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
    except OSError:
        return "unreachable"
    return "open"


def words(finding: Finding, address: DaemonAddress) -> list[str]:
    """Say what the UDP and the TCP answer mean, and what to do where documents are lost."""
    said = [_udp_words(finding, address), _tcp_words(finding, address)]
    if finding.udp in ("refused", "unresolved", "unreachable"):
        said.append("Start the X-Ray daemon, or say in AWS_XRAY_DAEMON_ADDRESS where it is; invoke needs none.")
    return said


def _udp_words(finding: Finding, address: DaemonAddress) -> str:
    port = f"UDP {address.host} port {address.port}"
    if finding.udp == "refused":
        return f"{port}: refused. Nothing listens there; documents are lost."
    if finding.udp == "unresolved":
        return f"{port}: the name cannot be resolved; documents are lost."
    if finding.udp == "unreachable":
        return f"{port}: cannot be reached from here; documents are lost."
    if finding.loopback:
        return f"{port}: not refused, so something listens there. UDP cannot be asked whether it is a daemon."
    return f"{port}: no refusal came, which proves little: UDP cannot be asked, and firewalls keep silent."


def _tcp_words(finding: Finding, address: DaemonAddress) -> str:
    port = f"TCP {address.tcp_host} port {address.tcp_port}"
    if finding.tcp == "open":
        return f"{port}: open, as an X-Ray daemon's is; it serves sampling rules."
    said = {
        "refused": "refused",
        "silent": f"no answer within {PATIENCE:g} s",
        "unresolved": "the name cannot be resolved",
        "unreachable": "cannot be reached from here",
    }[finding.tcp]
    return f"{port}: {said}. An X-Ray daemon would listen here too; Lambda's own need not."
