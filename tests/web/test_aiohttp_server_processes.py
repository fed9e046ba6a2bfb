"""aiohttp's own server as a process, and gunicorn's workers for it: over real sockets, and when one is killed."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.servers.process import HOST
from tests.web.processes import Collector, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emitters.daemon import Daemon

pytestmark = pytest.mark.full

PROGRAM = """
    import asyncio, os
    from aiohttp import web
    from xray_lambda.web.aiohttp import middleware

    async def work(request):
        annotate(name=request.match_info["name"])
        with subsegment("work"):
            await asyncio.sleep(0)
        return web.Response(text=str(current_segment().trace_id))

    async def events(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(f"data: {os.getpid()}\\n\\n".encode())
        while True:
            await response.write(b"data: tick\\n\\n")
            await asyncio.sleep(0.01)

    def main(argv=None):
        app = web.Application(middlewares=[middleware(service="shop")])
        app.add_routes([web.get("/work/{name}", work), web.get("/events", events)])
        return app

    app = main()
"""
OWN = ["aiohttp.web", "-H", HOST, "-P", "{port}", "app:main"]
GUNICORN = ["gunicorn", "app:app", "-b", f"{HOST}:{{port}}", "-w", "2", "-k", "aiohttp.GunicornWebWorker"]


def follow(client: socket.socket) -> int:
    """Ask for events, and return which process sends them, as soon as the second one is there."""
    client.sendall(b"GET /events HTTP/1.1\r\nHost: shop\r\n\r\n")
    received = b""
    while b"tick" not in received:
        received += client.recv(65536)
    return int(received.partition(b"data: ")[2].split()[0])


def test_requests_on_one_connection_and_a_hang_up(tmp_path: Path, daemon: Daemon) -> None:
    with Collector(daemon) as collector, serving(tmp_path, daemon, PROGRAM, OWN) as port:
        connection = http.client.HTTPConnection(HOST, port)
        traces = []
        for number in range(3):
            connection.request("GET", f"/work/{number}")
            answer = connection.getresponse()
            traces.append(answer.read().decode())
            assert answer.headers["X-Amzn-Trace-Id"] == f"Root={traces[-1]}"
        connection.close()
        collector.wait_for(3)
        with socket.create_connection((HOST, port)) as client:
            follow(client)
        *works, events = collector.wait_for(4)
    assert [document["trace_id"] for document in works] == traces
    assert [document["annotations"]["name"] for document in works] == ["0", "1", "2"]
    assert events["metadata"]["xray_lambda"]["disconnected"] is True
    assert not events.keys() & {"fault", "error", "cause"}


def test_a_killed_worker_loses_only_the_request_that_it_was_at(tmp_path: Path, daemon: Daemon) -> None:
    with Collector(daemon) as collector, serving(tmp_path, daemon, PROGRAM, GUNICORN) as port:
        with socket.create_connection((HOST, port)) as client:
            victim = follow(client)
            served = {name: ask(port, name) for name in map(str, range(20))}
            assert len(collector.wait_for(20)) == 20
            os.kill(victim, signal.SIGKILL)
            with suppress(ConnectionError):
                while client.recv(65536):  # until the kernel says that nobody is there
                    pass
        served |= {name: ask(port, name) for name in map(str, range(20, 25))}
        documents = collector.wait_for(25)
    assert {document["annotations"]["name"]: document["trace_id"] for document in documents} == served
    assert len(documents) == 25


def ask(port: int, name: str) -> str:
    """Ask on a connection of its own, again where a worker took that with it when it was killed."""
    while True:
        connection = http.client.HTTPConnection(HOST, port)
        try:
            connection.request("GET", f"/work/{name}")
            return connection.getresponse().read().decode()
        except (ConnectionError, http.client.HTTPException):
            continue
        finally:
            connection.close()
