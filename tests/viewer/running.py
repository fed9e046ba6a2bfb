"""A viewer that runs for the length of a test, on free ports and on a thread of its own."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from xray_lambda.viewer import control
from xray_lambda.viewer.daemon import Daemon
from xray_lambda.viewer.doors import open_doors
from xray_lambda.viewer.serve import Viewer
from xray_lambda.viewer.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from starlette.routing import BaseRoute

HEADER = b'{"format": "json", "version": 1}\n'
PATIENCE = 30.0


class Running(NamedTuple):
    """The viewer, its ports, and what stands behind them."""

    viewer: Viewer
    daemon: Daemon
    port: int
    screen_port: int

    def send(self, *documents: dict[str, Any]) -> None:
        """Send documents as any SDK does."""
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as out:
            for document in documents:
                out.sendto(HEADER + json.dumps(document).encode(), ("127.0.0.1", self.port))


@contextmanager
def running(
    path: Path | None = None,
    *,
    screen: Sequence[BaseRoute] = (),
    routes: Sequence[BaseRoute] = (),
    routes_of: Callable[[Viewer], Sequence[BaseRoute]] = lambda viewer: (),
    **options: Any,
) -> Iterator[Running]:
    doors = open_doors("127.0.0.1", 0, 0)
    assert doors.screen is not None
    viewer = Viewer(Store(path), about={"host": "127.0.0.1", "port": doors.port, "screen": doors.screen_address})
    daemon = Daemon(viewer, doors, api=[*routes, *control.routes(viewer), *routes_of(viewer)], screen=screen, **options)
    ports = doors.port, doors.screen.getsockname()[1]
    started = threading.Event()
    thread = threading.Thread(target=daemon.run, args=(started.set,))
    thread.start()
    assert started.wait(PATIENCE)
    try:
        yield Running(viewer, daemon, *ports)
    finally:
        daemon.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def until(happened: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for something that another thread or process does, and that tells nobody."""
    deadline = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    """Make one request, with exactly these headers and a Host."""
    return ask(port, "GET", path, None, **headers)


def ask(port: int, method: str, path: str, body: bytes | None, **headers: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.putrequest(method, path, skip_host="host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None and "transfer_encoding" not in headers and "content_length" not in headers:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
