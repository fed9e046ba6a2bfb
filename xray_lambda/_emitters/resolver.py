"""Looks up the daemon's host name, once and in the background, while documents wait in a bounded queue."""

from __future__ import annotations

import _socket
import atexit
import encodings.idna  # noqa: F401 - see _loading
import logging
import os
import threading
import time
from collections import deque

from xray_lambda._guard import say_once, swallow

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable

    Found = Callable[[int, "tuple[object, ...]", "list[bytes]"], None]

_HELD = 200
_RETRY_SECONDS = 30.0
_EXIT_SECONDS = 1.0


class Resolver:
    """Holds datagrams until the name is known; a name that cannot be resolved is tried again every 30 seconds.

    DNS may take seconds: the caller never waits for it. At exit a lookup under way gets one second.
    """

    def __init__(self, host: str, port: int, found: Found, lookup: Callable[..., list] = _socket.getaddrinfo) -> None:  # type: ignore[type-arg]
        self._host = host
        self._port = port
        self._found = found
        self._lookup = lookup
        self._held: deque[bytes] = deque(maxlen=_HELD)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._next_try = 0.0
        os.register_at_fork(after_in_child=self._start_anew)

    def _start_anew(self) -> None:
        """Leave to the parent of a fork what is its own: its thread, a lock that may be held, what it will send."""
        self._lock = threading.Lock()
        self._thread = None
        self._held.clear()

    def hold(self, data: bytes) -> None:
        """Keep a datagram and see that a lookup is under way; the oldest of more than 200 is dropped."""
        with self._lock:
            self._held.append(data)
            if self._is_looking() or time.monotonic() < self._next_try:
                return
            self._thread = threading.Thread(target=self._look_up, name="xray_lambda-dns", daemon=True)
            self._thread.start()
            atexit.register(self._thread.join, _EXIT_SECONDS)

    def wait(self, seconds: float) -> bool:
        """Wait for a lookup under way, so many seconds at most; says whether nothing is held any more."""
        thread = self._thread
        if thread is not None:
            thread.join(max(seconds, 0))
        return not self._held

    def _is_looking(self) -> bool:
        """Say whether a lookup is under way here: after a fork the thread is listed as dead."""
        return self._thread is not None and self._thread.is_alive()

    def _look_up(self) -> None:
        try:
            family, _, _, _, target = self._lookup(self._host, self._port, 0, _socket.SOCK_DGRAM)[0]
            self._found(family, target, self._take())
        except OSError as error:
            self._next_try = time.monotonic() + _RETRY_SECONDS
            message = "xray_lambda: the X-Ray daemon's host %r cannot be resolved (%s); tried again every %d seconds"
            say_once(logging.WARNING, "dns", message, self._host, error, _RETRY_SECONDS)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    def _take(self) -> list[bytes]:
        """Return what is held; who comes later, not knowing the address yet, has it looked up once more."""
        with self._lock:
            held = list(self._held)
            self._held.clear()
            self._thread = None
            return held
