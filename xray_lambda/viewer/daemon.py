"""Runs a viewer: receives by UDP, answers X-Ray's API and the screen by TCP, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette

from xray_lambda.viewer.ingest import Ingest, Keep
from xray_lambda.viewer.receiver import Receiver
from xray_lambda.viewer.security import Guarded

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from starlette.routing import BaseRoute

    from xray_lambda.viewer.doors import Doors
    from xray_lambda.viewer.forward import Forwarder
    from xray_lambda.viewer.serve import Viewer

# X-Ray takes 5 MB in one call, and JSON inside JSON is longer for its backslashes.
LARGEST_CALL = 12_000_000
# The screen's own requests are a page of sampling rules at most.
LARGEST_REQUEST = 1_000_000
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Daemon:
    """A viewer, its ports, and what is answered there. It closes all of them when `run` ends.

    `names` are the hosts that requests may be addressed to, beside numbers and localhost.
    """

    def __init__(
        self,
        viewer: Viewer,
        doors: Doors,
        *,
        api: Sequence[BaseRoute],
        screen: Sequence[BaseRoute] = (),
        keep: Keep | None = None,
        forwarders: Sequence[Forwarder] = (),
        names: Sequence[str] = (),
        open_to_others: bool = False,
    ) -> None:
        self._viewer = viewer
        self._doors = doors
        self._forwarders = forwarders
        self._ingest = Ingest(viewer, Receiver(doors.udp), keep or Keep())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

        def guarded(routes: Sequence[BaseRoute], most_bytes: int) -> _Server:
            application = Starlette(routes=list(routes))
            return _server(Guarded(application, names, open_to_others=open_to_others, most_bytes=most_bytes))

        self._servers = [guarded(api, LARGEST_CALL)]
        if doors.screen is not None:
            self._servers.append(guarded(screen, LARGEST_REQUEST))

    def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Serve until a signal or `stop`; calls `started` once all of it works."""
        asyncio.run(self._serve(started))

    def stop(self) -> None:
        """End `run`, from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        """End gracefully; at the second time, wait for nobody's open connection."""
        for server in self._servers:
            server.force_exit = server.should_exit
            server.should_exit = True
        self._viewer.events.close()
        self._ending.set()

    async def _serve(self, started: Callable[[], None]) -> None:
        self._loop = loop = asyncio.get_running_loop()
        sockets = [self._doors.api, *([self._doors.screen] if self._doors.screen is not None else [])]
        with contextlib.closing(self._doors), contextlib.closing(self._viewer.store), self._signals(loop):
            self._ingest.start()
            serving = [asyncio.create_task(_run(*pair)) for pair in zip(self._servers, sockets, strict=True)]
            try:
                started()
                await self._ending.wait()
            finally:
                self._end()
                await asyncio.gather(*serving, return_exceptions=True)
                await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        """Store and send on what has arrived until now."""
        self._ingest.finish()
        for forwarder in self._forwarders:
            forwarder.close()

    @contextlib.contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Hear Ctrl-C and SIGTERM, where they are ours to hear and nobody asked to have them ignored."""
        heard = []
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in heard:
            loop.add_signal_handler(number, self._end)
        try:
            yield
        finally:
            for number in heard:
                loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """uvicorn's server, but for its signal handlers: one place ends everything, in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    def install_signal_handlers(self) -> None:
        """Leave signals alone: what uvicorn called until 0.29."""


def _server(app: Guarded) -> _Server:
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    return _Server(config)


async def _run(server: _Server, port: socket.socket) -> None:
    await server.serve(sockets=[port])
