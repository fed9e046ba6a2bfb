"""Quart, which runs each request in a task of its own and keeps its routes and exceptions to itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from quart import Blueprint, Quart, Response, abort, websocket

from tests.web.asgi import REQUEST, Server, answered, get, http_scope, websocket_scope
from xray_lambda import subsegment
from xray_lambda.testing import capture
from xray_lambda.web.asgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from xray_lambda.testing import Traces


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as traces:
        yield traces


app = Quart(__name__)
began = asyncio.Event()
shops = Blueprint("shops", __name__, url_prefix="/shops/<shop>")


@app.get("/items/<int:id>")
async def item(id: int) -> str:  # noqa: A002 - the parameter's name
    with subsegment("price"):
        return f"item {id}"


@app.get("/sync")
def sync() -> str:
    with subsegment("in a thread"):
        return "sync"


@app.get("/errors/<kind>")
async def errors(kind: str) -> str:
    if kind == "bug":
        raise ZeroDivisionError("bug")
    return abort(int(kind))


@app.get("/streamed")
async def streamed() -> Response:
    async def two() -> AsyncIterator[bytes]:
        for number in range(2):
            with subsegment(f"chunk {number}"):
                yield b"x"

    return Response(two())


@app.get("/endless")
async def endless() -> Response:
    async def many() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            began.set()
            await asyncio.sleep(0)

    return Response(many())


@app.websocket("/feeds/<name>")
async def feed(name: str) -> None:
    await websocket.accept()
    await websocket.send(name)


@shops.get("/rooms/<room>")
async def room(shop: str, room: str) -> str:
    return room


app.register_blueprint(shops)
middleware = XRayMiddleware(app, service="shop")


def test_a_request_is_a_segment_with_its_route(traces: Traces) -> None:
    server = get(middleware, "/items/17")
    assert server.body == b"item 17"
    assert server.headers[-1][0] == b"x-amzn-trace-id"
    assert traces.one.names() == ("shop", [("price", [])])
    assert traces.one.annotations == {"route": "/items/<int:id>"}
    assert traces.one.document["http"]["response"] == {"status": 200, "content_length": 7}


def test_it_may_stand_within_the_app_as_well(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "asgi_app", XRayMiddleware(app.asgi_app, service="inner"))
    get(app, "/shops/7/rooms/8")
    assert traces.one.names() == ("inner", [])
    assert traces.one.annotations == {"route": "/shops/<shop>/rooms/<room>"}


def test_a_path_without_a_route_has_no_annotation(traces: Traces) -> None:
    assert get(middleware, "/nowhere").status == 404
    assert traces.one.annotations == {}
    assert traces.one.flags == {"error"}


def test_a_bug_is_recorded_though_quart_keeps_it(traces: Traces) -> None:
    assert get(middleware, "/errors/bug").status == 500
    assert traces.one.flags == {"fault"}
    assert [exception["message"] for exception in traces.one.exceptions] == ["bug"]
    assert traces.one.exceptions[0]["stack"][0]["label"].endswith("errors")


def test_a_bug_that_quart_passes_on_is_recorded_once(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", True)
    with pytest.raises(ZeroDivisionError):
        get(middleware, "/errors/bug")
    assert [exception["message"] for exception in traces.one.exceptions] == ["bug"]
    assert traces.one.document["http"]["response"]["status"] == 500


@pytest.mark.parametrize(("status", "flag"), [(404, "error"), (503, "fault")])
def test_an_abort_is_an_answer(traces: Traces, status: int, flag: str) -> None:
    assert get(middleware, f"/errors/{status}").status == status
    assert traces.one.flags == {flag}


def test_a_sync_view_runs_in_a_thread_that_belongs_to_the_request(traces: Traces) -> None:
    assert get(middleware, "/sync").body == b"sync"
    assert traces.one.names() == ("shop", [("in a thread", [])])


def test_a_stream_is_traced_to_its_end(traces: Traces) -> None:
    assert get(middleware, "/streamed").body == b"xx"
    assert traces.one.names() == ("shop", [("chunk 0", []), ("chunk 1", [])])
    assert len(traces.documents) == 1


def test_a_client_that_hangs_up_on_a_stream_is_marked_and_no_fault(traces: Traces) -> None:
    async def main() -> None:
        server = Server(REQUEST)
        task = asyncio.ensure_future(answered(middleware, http_scope("/endless"), server))
        await began.wait()
        server.gone.set()
        await task

    asyncio.run(main())
    assert traces.one.flags == set()
    assert traces.one.metadata == {"xray_lambda": {"disconnected": True}}


def test_a_websocket_is_a_segment_with_its_route(traces: Traces) -> None:
    async def main() -> list[Any]:
        sent: list[Any] = []
        connected = iter([{"type": "websocket.connect"}])

        async def receive() -> Any:
            for message in connected:
                return message
            return await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await middleware(websocket_scope("/feeds/news"), receive, send)
        return sent

    sent = asyncio.run(main())
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert traces.one.annotations == {"route": "/feeds/<name>"}
    assert traces.one.metadata == {"xray_lambda": {"close_code": 1000}}
    assert traces.one.document["http"]["response"] == {"status": 101}
