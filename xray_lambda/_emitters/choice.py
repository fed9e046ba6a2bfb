"""Which emitter the settings ask for, where it is not plain UDP: straight to X-Ray, or what turns out to be there."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - see _loading
import logging
import socket
from typing import TYPE_CHECKING

from xray_lambda._emitters import endings
from xray_lambda._emitters.direct import EXIT_SECONDS, WINDOW_SECONDS, DirectEmitter
from xray_lambda._emitters.notices import Notices
from xray_lambda._emitters.service import SENT, XRay
from xray_lambda._emitters.udp import UDPEmitter
from xray_lambda._guard import say_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from xray_lambda._config import Config, DaemonAddress
    from xray_lambda._emitters.direct import Service
    from xray_lambda._emitters.service import Outcome

PROBE_SECONDS = 1.0


def emitter_for(config: Config) -> DirectEmitter | AutoEmitter:
    """Return the emitter for `direct` or `auto`."""
    if config.enabled:
        endings.watch_sigterm()  # here too, since the first document may come from another thread than the main one
    if config.emitter == "direct":
        return DirectEmitter(exit_seconds=config.exit_seconds)
    return AutoEmitter(config.daemon_address, exit_seconds=config.exit_seconds)


def listens(address: DaemonAddress) -> bool:
    """Say whether a daemon's TCP port accepts connections; UDP cannot be asked."""
    try:
        with socket.create_connection((address.tcp_host, address.tcp_port), PROBE_SECONDS):
            return True
    except OSError:
        return False


class Either:
    """The daemon where one listens, else X-Ray: where the background thread puts batches of documents.

    It looks when it is first needed. Without a daemon it looks again whenever X-Ray has taken nothing, since one that
    belongs to us may start after us. `found` is called when there is one.
    """

    def __init__(
        self,
        address: DaemonAddress,
        x_ray: Service,
        listens: Callable[[DaemonAddress], bool],
        found: Callable[[], UDPEmitter],
    ) -> None:
        self._address = address
        self._x_ray = x_ray
        self._listens = listens
        self._found = found
        self._looks = True
        self._daemon: UDPEmitter | None = None

    def prepare(self) -> None:
        """Look, and make X-Ray's client where it is needed."""
        self._look()
        if self._daemon is None:
            self._x_ray.prepare()

    def put(self, documents: list[str]) -> Outcome:
        """Put a batch where it can go."""
        if self._looks:
            self._look()
        if self._daemon is not None:
            for document in documents:
                self._daemon.send(document)
            return SENT
        outcome = self._x_ray.put(documents)
        self._looks = outcome.kind != "sent"
        return outcome

    def _look(self) -> None:
        self._looks = False
        if self._daemon is not None:  # as it was found in the parent of a fork
            return
        if self._listens(self._address):
            self._daemon = self._found()
        what = "no daemon, so that documents go straight to X-Ray" if self._daemon is None else "a daemon"
        say_once(logging.INFO, f"auto {what}", "xray_lambda: at %s there is %s", self._address, what)

    def close(self) -> None:
        """Close the connections to X-Ray."""
        self._x_ray.close()

    def start_anew(self) -> None:
        """Leave to the parent of a fork its connections; what has been found out stands."""
        self._x_ray.start_anew()


class AutoEmitter:
    """Sends to the daemon where one listens when the first document comes, else straight to X-Ray.

    Documents wait in line until the background thread knows. With a daemon `send` is UDP's own from then on.
    """

    send: Callable[[str], None]

    def __init__(
        self,
        address: DaemonAddress,
        x_ray: Service | None = None,
        *,
        listens: Callable[[DaemonAddress], bool] = listens,
        window: float = WINDOW_SECONDS,
        exit_seconds: float = EXIT_SECONDS,
    ) -> None:
        notices = Notices()
        self._udp = UDPEmitter(address)
        either = Either(address, x_ray or XRay(notices=notices), listens, self._use_daemon)
        self._direct = DirectEmitter(either, window=window, exit_seconds=exit_seconds, notices=notices)
        self.send = self._direct.send

    def _use_daemon(self) -> UDPEmitter:
        self.send = self._udp.send
        return self._udp

    @property
    def lost(self) -> int:
        """How many documents are known to be lost."""
        return self._direct.lost + self._udp.lost

    def flush(self, timeout: float) -> bool:
        """Wait until what has been sent by now is gone, so many seconds at most; says whether it is."""
        return self._direct.flush(timeout) and self._udp.flush(timeout)

    def close(self) -> None:
        """End the background thread when it has sent what waits."""
        self._direct.close()
