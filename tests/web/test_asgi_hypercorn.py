"""Hypercorn, with Quart in it, and uvicorn's other WebSockets: nothing hangs on who serves."""

from __future__ import annotations

import asyncio
import http.client
import socket
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession

from tests.servers.process import HOST
from tests.web.processes import Collector, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emitters.daemon import Daemon

pytestmark = pytest.mark.full

HYPERCORN = ["hypercorn", "app:app", "--bind", f"{HOST}:{{port}}"]
UVICORN = ["uvicorn", "app:app", "--host", HOST, "--port", "{port}", "--log-level", "warning", "--ws", "wsproto"]

PROGRAM = """
    import asyncio
    from quart import Quart, Response, websocket
    from xray_lambda.web.asgi import XRayMiddleware

    app = Quart(__name__)
    app.asgi_app = XRayMiddleware(app.asgi_app, service="shop")

    @app.get("/items/<int:id>")
    async def item(id):
        with subsegment("price"):
            await asyncio.sleep(0)
        return str(current_segment().trace_id)

    @app.get("/failing")
    async def failing():
        raise ValueError("sold out")

    @app.get("/events")
    async def events():
        async def ticks():
            while True:
                yield b"data: tick\\n\\n"
                await asyncio.sleep(0.01)
        return Response(ticks(), content_type="text/event-stream")

    @app.websocket("/echo")
    async def echo():
        while True:
            text = await websocket.receive()
            with subsegment("echo"):
                await websocket.send(text)
            if text == "bye":
                await websocket.close(4000)
                return
"""


def test_requests_on_one_connection_and_a_hang_up(tmp_path: Path, daemon: Daemon) -> None:
    with Collector(daemon) as collector, serving(tmp_path, daemon, PROGRAM, HYPERCORN) as port:
        connection = http.client.HTTPConnection(HOST, port)
        traces = []
        for number in range(3):
            connection.request("GET", f"/items/{number}")
            answer = connection.getresponse()
            traces.append(answer.read().decode())
            assert answer.headers["X-Amzn-Trace-Id"] == f"Root={traces[-1]}"
        connection.request("GET", "/failing")
        assert connection.getresponse().read()
        connection.close()
        collector.wait_for(4)
        with socket.create_connection((HOST, port)) as client:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: shop\r\n\r\n")
            received = b""
            while b"tick" not in received:
                received += client.recv(65536)
        *items, failed, events = collector.wait_for(5)
    assert [document["trace_id"] for document in items] == traces
    for document in items:
        assert document["annotations"] == {"route": "/items/<int:id>"}
        assert [child["name"] for child in document["subsegments"]] == ["price"]
        assert document["http"]["response"]["status"] == 200
        assert "metadata" not in document
    assert [exception["message"] for exception in failed["cause"]["exceptions"]] == ["sold out"]
    assert events["metadata"]["xray_lambda"]["disconnected"] is True
    assert "fault" not in events


@pytest.mark.parametrize("command", [HYPERCORN, UVICORN], ids=["hypercorn", "uvicorn with wsproto"])
def test_a_websocket_is_one_segment_from_handshake_to_close(tmp_path: Path, daemon: Daemon, command: list[str]) -> None:
    async def main() -> None:
        async with (
            ClientSession() as session,
            session.ws_connect(f"http://{HOST}:{port}/echo") as by_server,
            session.ws_connect(f"http://{HOST}:{port}/echo") as by_client,
        ):
            for text in ("a", "bye"):
                await by_server.send_str(text)
                assert await by_server.receive_str() == text
            assert (await by_server.receive()).data == 4000
            await asyncio.to_thread(collector.wait_for, 1)
            await by_client.close(code=4001)

    with Collector(daemon) as collector, serving(tmp_path, daemon, PROGRAM, command) as port:
        asyncio.run(main())
        first, second = collector.wait_for(2)
    assert [child["name"] for child in first["subsegments"]] == ["echo", "echo"]
    assert first["metadata"]["xray_lambda"]["close_code"] == 4000
    assert second["metadata"]["xray_lambda"]["close_code"] in (4001, 1006)  # Hypercorn says so of any
    assert first["annotations"] == {"route": "/echo"}
    assert first["http"]["response"] == {"status": 101}
    assert not (first.keys() | second.keys()) & {"fault", "error", "cause"}
