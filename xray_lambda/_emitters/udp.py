"""Sends documents to the X-Ray daemon: one datagram each, from a non-blocking UDP socket."""

from __future__ import annotations

# `import socket` costs 4 to 8 ms of cold start, its C part 0.4 ms.
import _socket
import logging
import os
from _thread import allocate_lock

from xray_lambda._guard import say_once, swallow

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from xray_lambda._config import DaemonAddress
    from xray_lambda._emitters.resolver import Resolver

PREFIX = '{"format":"json","version":1}\n'


class UDPEmitter:
    """Sends to `address`; a daemon that is down, refuses or cannot be resolved costs the caller nothing.

    The socket is made at the first send, and anew in a forked child or after an error (SnapStart restores
    processes without their sockets). It is connected, which saves 0.9 of 6.0 us a send (CPython 3.11); the price
    is that a refusal of one datagram is reported for the next, which is then sent again at once.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self.address = address
        self._family, self._target = literal_target(address.host, address.port)
        self._resolver = None if self._target else self._look_up(address)
        self._socket: _socket.socket | None = None
        self._lock = allocate_lock()  # held while a socket is replaced
        self._watching_forks = False
        self.lost = 0  # that are known to be: UDP says little

    def _look_up(self, address: DaemonAddress) -> Resolver:
        """Return what resolves a host name; numeric addresses, Lambda's among them, save 0.1 ms of loading it."""
        from xray_lambda._emitters.resolver import Resolver  # noqa: PLC0415

        return Resolver(address.host, address.port, self._resolved)

    def send(self, document: str) -> None:
        """Send one document; never raises and never waits."""
        data = (PREFIX + document).encode("ascii", "replace")
        sender = self._socket
        try:
            sender.send(data)  # type: ignore[union-attr]
        except ConnectionRefusedError:  # the datagram before this one met no daemon
            self._send_again(data)
        except Exception:  # noqa: BLE001 - no socket yet, none any more, or no address: rare, and told apart there
            self._send_anew(data, sender)

    def _send_anew(self, data: bytes, failed: _socket.socket | None) -> None:
        """Send with a new socket in the place of `failed`, or hold the datagram until the address is known."""
        try:
            if self._target is None:
                self._resolver.hold(data)  # type: ignore[union-attr]  # there is one where there is no target
            else:
                self._replace(failed, self._target).send(data)
        except ConnectionRefusedError:
            self._send_again(data)
        except OSError as error:
            self._tell_loss(error)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    def _send_again(self, data: bytes) -> None:
        """Send on the same socket, whose error has been taken; a daemon that is down loses it without a word."""
        try:
            self._socket.send(data)  # type: ignore[union-attr]
        except Exception as error:  # noqa: BLE001 - the same daemon, down still; another thread may have sent between
            self.lost += 1
            say_once(logging.DEBUG, "udp refused", "xray_lambda: no X-Ray daemon at %s: %s", self.address, error)

    def flush(self, timeout: float) -> bool:
        """Wait for a look-up of the daemon's name that is under way; all else is sent at once."""
        return self._resolver is None or self._resolver.wait(timeout)

    def _replace(self, failed: _socket.socket | None, target: tuple[object, ...]) -> _socket.socket:
        """Return a new socket, or the one that another thread has put in the place of `failed` meanwhile."""
        self._watch_forks()
        with self._lock:
            if self._socket is failed or self._socket is None:
                if failed is not None:
                    self._discard(failed)
                self._socket = _connected(self._family, target)
            return self._socket

    def _discard(self, sender: _socket.socket) -> None:
        """Close a socket; where it was closed under us, its number may be another's by now, and is left alone."""
        try:
            ours = sender.getpeername()[1] == self._target[1]  # type: ignore[index]
        except OSError:
            ours = False
        if ours:
            sender.close()
        else:
            sender.detach()

    def _watch_forks(self) -> None:
        if not self._watching_forks:
            self._watching_forks = True
            os.register_at_fork(after_in_child=self._start_anew)

    def _start_anew(self) -> None:
        """Forget the parent's socket, and a lock that another of its threads may have held."""
        self._lock = allocate_lock()
        sender, self._socket = self._socket, None
        if sender is not None:
            self._discard(sender)

    def _resolved(self, family: int, target: tuple[object, ...], held: list[bytes]) -> None:
        """Take the address that the resolver found, and send what waited for it."""
        self._family, self._target = family, target
        for data in held:
            self._send_anew(data, None)

    def _tell_loss(self, reason: OSError) -> None:
        self.lost += 1
        message = (
            "xray_lambda: a document could not be sent to the X-Ray daemon at %s: %s. Told once; traces have gaps."
        )
        say_once(logging.WARNING, "udp", message, self.address, reason)


def _connected(family: int, target: tuple[object, ...]) -> _socket.socket:
    sender = _socket.socket(family, _socket.SOCK_DGRAM)
    try:
        sender.setblocking(False)
        sender.connect(target)
    except BaseException:
        sender.close()
        raise
    return sender


def literal_target(host: str, port: int) -> tuple[int, tuple[object, ...] | None]:
    """Return the family and socket address of a numeric host; no address for a name, which has to be looked up."""
    if host == "localhost":
        host = "127.0.0.1"
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, host)
        except OSError:
            continue
        return family, (host, port)
    return _socket.AF_INET, None
