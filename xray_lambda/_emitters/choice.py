"""Which emitter the settings ask for, where it is not plain UDP: straight to X-Ray, or what turns out to be there."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from xray_lambda._emitters import endings
from xray_lambda._emitters.direct import DirectEmitter
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
    endings.watch_sigterm()  # here too, since the first document may come from another thread than the main one
    return DirectEmitter() if config.emitter == "direct" else AutoEmitter(config.daemon_address)


def listens(address: DaemonAddress) -> bool:
    """Say whether a daemon's TCP port accepts connections; UDP cannot be asked."""
    try:
        with socket.create_connection((address.tcp_host, address.tcp_port), PROBE_SECONDS):
            return True
    except OSError:
        return False


class AutoEmitter:
    """Sends to the daemon where one listens when the first document comes, else straight to X-Ray.

    The background thread looks: documents wait in line until it knows. With a daemon `send` is UDP's own from then on.
    Without one it looks again whenever X-Ray takes nothing, since a daemon beside us may start after us.
    """

    send: Callable[[str], None]

    def __init__(
        self,
        address: DaemonAddress,
        service: Service | None = None,
        *,
        listens: Callable[[DaemonAddress], bool] = listens,
    ) -> None:
        self._address = address
        self._listens = listens
        self._udp = UDPEmitter(address)
        notices = Notices()
        self._service = service or XRay(notices=notices)
        self._direct = DirectEmitter(self, notices=notices)
        self._looks = True
        self.has_daemon = False
        self.send = self._direct.send

    def put(self, documents: list[str]) -> Outcome:
        """Put a batch where it can go; called by the background thread."""
        if self._looks:
            self._look()
        if self.has_daemon:
            for document in documents:
                self._udp.send(document)
            return SENT
        outcome = self._service.put(documents)
        self._looks = outcome.kind != "sent"
        return outcome

    def _look(self) -> None:
        self._looks = False
        self.has_daemon = self._listens(self._address)
        if self.has_daemon:
            self.send = self._udp.send
        found = "a daemon" if self.has_daemon else "no daemon, so that documents go straight to X-Ray"
        say_once(logging.INFO, f"auto {found}", "xray_lambda: at %s there is %s", self._address, found)

    def start_anew(self) -> None:
        """Leave to the parent of a fork its connections; what has been found out stands."""
        self._service.start_anew()

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
