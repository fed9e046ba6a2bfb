"""uvicorn as a process, with both of its HTTP parsers and several workers, talked to over real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.servers.process import HOST
from tests.web.processes import Collector, serving
from xray_lambda._header import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.emitters.daemon import Daemon, Document

pytestmark = pytest.mark.full

PROGRAM = """
    import asyncio, os
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route, WebSocketRoute
    from xray_lambda.web.asgi import XRayMiddleware

    def in_thread(name):
        with subsegment(f"{name} thread") as sub:
            sub.annotate(name=name)
            return trace_header()

    async def part(name):
        with subsegment(name):
            await asyncio.sleep(0.001)

    async def work(request):
        name = request.path_params["name"]
        annotate(name=name)
        *_, header = await asyncio.gather(part(f"{name} a"), part(f"{name} b"), asyncio.to_thread(in_thread, name))
        return JSONResponse(header)

    async def failing(request):
        raise ValueError("sold out")

    async def ticks():
        yield f"data: {os.getpid()}\\n\\n"
        while True:
            await asyncio.sleep(0.01)
            yield "data: tick\\n\\n"

    async def events(request):
        return StreamingResponse(ticks(), media_type="text/event-stream")

    async def echo(websocket):
        await websocket.accept()
        async for text in websocket.iter_text():
            with subsegment("echo"):
                await websocket.send_text(text)
            if text == "bye":
                await websocket.close(4000)
                return

    routes = [Route("/work/{name}", work), Route("/failing", failing), Route("/events", events)]
    app = XRayMiddleware(Starlette(routes=[*routes, WebSocketRoute("/echo", echo)]), service="shop")
"""


@pytest.fixture
def collector(daemon: Daemon) -> Iterator[Collector]:
    with Collector(daemon) as collector:
        yield collector


def is_right(document: Document, name: str, answered: str) -> bool:
    """Say whether a segment is that of this request and no other, with what ran in it, down to the thread."""
    children = {child["name"]: child for child in document["subsegments"]}
    thread = children[f"{name} thread"]
    header = parse(answered)
    return (
        children.keys() == {f"{name} a", f"{name} b", f"{name} thread"}
        and len(document["subsegments"]) == 3
        and document["annotations"] == {"name": name, "route": "/work/{name}"}
        and thread["annotations"] == {"name": name}
        and (header.root, header.parent) == (document["trace_id"], thread["id"])
    )


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_requests_on_one_connection_are_traces_of_their_own(
    tmp_path: Path, daemon: Daemon, collector: Collector, parser: str
) -> None:
    with serving(tmp_path, daemon, PROGRAM, options=["--http", parser]) as port:
        connection = http.client.HTTPConnection(HOST, port)
        answers = {}
        for name in map(str, range(5)):
            connection.request("GET", f"/work/{name}?token=secret")
            answer = connection.getresponse()
            answers[name] = json.load(answer)
            assert answer.headers["X-Amzn-Trace-Id"] == f"Root={parse(answers[name]).root}"
        connection.request("GET", "/failing")
        assert connection.getresponse().read() == b"Internal Server Error"
        connection.close()
        *documents, failed = collector.wait_for(6)
    assert [is_right(document, *item) for document, item in zip(documents, answers.items(), strict=True)] == [True] * 5
    assert documents[0]["http"]["request"] == {
        "method": "GET", "url": f"http://{HOST}:{port}/work/0", "client_ip": HOST
    }  # fmt: skip
    assert failed["fault"] is True
    assert [exception["message"] for exception in failed["cause"]["exceptions"]] == ["sold out"]


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_two_thousand_concurrent_requests_give_two_thousand_right_trees(
    tmp_path: Path, daemon: Daemon, collector: Collector, parser: str
) -> None:
    number = 2000

    async def main() -> dict[str, str]:
        async with ClientSession(connector=TCPConnector(limit=100)) as session:

            async def one(name: str) -> tuple[str, str]:
                async with session.get(f"http://{HOST}:{port}/work/{name}") as answer:
                    return name, await answer.json()

            return dict(await asyncio.gather(*(one(str(each)) for each in range(number))))

    with serving(tmp_path, daemon, PROGRAM, options=["--http", parser, "--workers", "2"]) as port:
        answers = asyncio.run(main())
        documents = collector.wait_for(number)
    assert len(documents) == number
    by_name = {document["annotations"]["name"]: document for document in documents}
    assert [name for name, answer in answers.items() if not is_right(by_name[name], name, answer)] == []
    assert len({document["trace_id"] for document in documents}) == number


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_a_client_that_hangs_up_on_a_stream_of_events_is_marked(
    tmp_path: Path, daemon: Daemon, collector: Collector, version: str
) -> None:
    with serving(tmp_path, daemon, PROGRAM) as port:
        with socket.create_connection((HOST, port)) as client:
            client.sendall(f"GET /events {version}\r\nHost: shop\r\n\r\n".encode())
            received = b""
            while b"tick" not in received:
                received += client.recv(65536)
        (document,) = collector.wait_for(1)
    assert b"x-amzn-trace-id: root=" in received.lower()
    assert document["metadata"] == {"xray_lambda": {"disconnected": True}}
    assert document["http"]["response"] == {"status": 200}
    assert not document.keys() & {"fault", "error", "cause"}


def test_what_is_no_http_disturbs_nothing(tmp_path: Path, daemon: Daemon, collector: Collector) -> None:
    long = "Root=1-" + "f" * 30_000
    with serving(tmp_path, daemon, PROGRAM) as port:
        for words in (
            b"\x16\x03\x01nonsense\r\n\r\n",
            b"GET /\xff HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\nbad\x00: 1\r\n\r\n",
        ):
            with socket.create_connection((HOST, port)) as client:
                client.sendall(words + b"\r\n\r\n")
                assert client.recv(65536).startswith((b"HTTP/1.1 4", b""))
        connection = http.client.HTTPConnection(HOST, port)
        connection.request("GET", "/work/last", headers={"X-Amzn-Trace-Id": long, "traceparent": "\xff-" * 1000})
        answered = json.load(connection.getresponse())
        connection.close()
        documents = collector.wait_for(1)
    assert is_right(documents[-1], "last", answered)
    assert "parent_id" not in documents[-1]


def test_a_websocket_is_one_segment_from_handshake_to_close(
    tmp_path: Path, daemon: Daemon, collector: Collector
) -> None:
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
            assert "X-Amzn-Trace-Id" in by_server._response.headers
            await asyncio.to_thread(collector.wait_for, 1)
            await by_client.close(code=4001)

    with serving(tmp_path, daemon, PROGRAM, options=["--ws", "websockets"]) as port:
        asyncio.run(main())
        first, second = collector.wait_for(2)
    assert [child["name"] for child in first["subsegments"]] == ["echo", "echo"]
    assert [one["metadata"]["xray_lambda"]["close_code"] for one in (first, second)] == [4000, 4001]
    assert first["annotations"] == {"route": "/echo"}
    assert first["http"] == {
        "request": {"method": "GET", "url": f"ws://{HOST}:{port}/echo", "client_ip": HOST},
        "response": {"status": 101},
    }


def test_a_killed_worker_loses_only_the_request_that_it_was_at(
    tmp_path: Path, daemon: Daemon, collector: Collector
) -> None:
    with serving(tmp_path, daemon, PROGRAM, options=["--workers", "2"]) as port:
        with socket.create_connection((HOST, port)) as client:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: shop\r\n\r\n")
            received = b""
            while b"tick" not in received:
                received += client.recv(65536)
            victim = int(received.partition(b"data: ")[2].split()[0])
            served = _work(port, 20)
            assert len(collector.wait_for(20)) == 20
            os.kill(victim, signal.SIGKILL)
            with suppress(ConnectionError):
                while client.recv(65536):  # until the kernel says that nobody is there
                    pass
        served |= _work(port, 5)
        documents = collector.wait_for(25)
    by_name = {document["annotations"]["name"]: document for document in documents}
    assert len(documents) == 25
    assert [name for name, header in served.items() if not is_right(by_name[name], name, header)] == []


def _work(port: int, number: int) -> dict[str, str]:
    """Ask, each time on a connection of its own; which may be one that a worker took with it when it was killed."""
    answers: dict[str, str] = {}
    while len(answers) < number:
        name = f"{number}-{len(answers)}"
        connection = http.client.HTTPConnection(HOST, port)
        try:
            connection.request("GET", f"/work/{name}")
            answers[name] = json.load(connection.getresponse())
        except (ConnectionError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return answers
