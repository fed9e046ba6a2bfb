"""ASGI: how requests end that do not go well: exceptions, clients that hang up, cancelled tasks, nonsense."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.asgi import HOST, REQUEST, Server, answered, body, get, hello, http_scope, replying, start
from xray_lambda import subsegment
from xray_lambda.testing import capture
from xray_lambda.web.asgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as traces:
        yield traces


def test_an_exception_is_recorded_once_and_passes_as_it_is(traces: Traces) -> None:
    error = ValueError("sold out")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with subsegment("price"):
            raise error

    with pytest.raises(ValueError, match="sold out") as raised:
        get(XRayMiddleware(app))
    assert raised.value is error
    (exception,) = traces.one["price"].exceptions
    assert exception["message"] == "sold out"
    assert traces.one.document["cause"] == exception["id"]
    assert traces.one.flags == {"fault"}
    assert traces.one.document["http"]["response"] == {"status": 500}  # what the server makes of it


def test_an_error_page_has_the_exception_that_it_is_for(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            raise ValueError("sold out")
        except ValueError:
            await send(start(500))
            await send(body(b"sorry"))
            raise

    with pytest.raises(ValueError, match="sold out"):
        get(XRayMiddleware(app))
    assert [exception["message"] for exception in traces.one.exceptions] == ["sold out"]
    assert traces.one.document["http"]["response"] == {"status": 500}


def test_a_handled_exception_whose_answer_is_no_fault_is_not_recorded(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            raise KeyError("17")
        except KeyError:
            await send(start(404))
            await send(body())

    get(XRayMiddleware(app))
    assert traces.one.flags == {"error"}
    assert "cause" not in traces.one.document


def test_an_exception_while_streaming_is_a_fault_of_an_answer_that_had_begun_well(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200))
        await send(body(b"first half", more=True))
        raise RuntimeError("the cursor is gone")

    with pytest.raises(RuntimeError):
        get(XRayMiddleware(app))
    assert traces.one.flags == {"fault"}
    assert traces.one.document["http"]["response"] == {"status": 200}
    assert traces.one.exceptions[0]["message"] == "the cursor is gone"


def test_an_app_that_sends_no_answer_is_answered_for_by_the_server(traces: Traces) -> None:
    get(XRayMiddleware(replying()))
    assert traces.one.document["http"]["response"] == {"status": 500}


async def read_on(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def test_a_client_that_goes_is_marked_and_no_fault(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200))
        await send(body(b"first half", more=True))
        await read_on(receive)

    server = Server(REQUEST)
    server.gone.set()
    asyncio.run(answered(XRayMiddleware(app), None, server))
    assert traces.one.flags == set()
    assert traces.one.metadata == {"xray_lambda": {"disconnected": True}}


@pytest.mark.parametrize("fails_after", [0, 1, 2])
def test_a_send_that_fails_since_the_client_is_gone_is_no_fault(traces: Traces, fails_after: int) -> None:
    app = XRayMiddleware(replying(start(200), body(b"first half", more=True), body()))
    with pytest.raises(ConnectionResetError):
        asyncio.run(answered(app, None, Server(REQUEST, fails_after=fails_after)))
    assert traces.one.flags == set()
    assert traces.one.metadata == {"xray_lambda": {"disconnected": True}}


def test_a_file_that_the_server_cannot_send_says_nothing_of_the_client(traces: Traces) -> None:
    async def send(message: Any) -> None:
        if message["type"] == "http.response.pathsend":
            raise FileNotFoundError(message["path"])

    app = replying(start(200), {"type": "http.response.pathsend", "path": "/nowhere"})
    with pytest.raises(FileNotFoundError):
        asyncio.run(XRayMiddleware(app)(http_scope(), Server().receive, send))
    assert traces.one.flags == {"fault"}
    assert traces.one.metadata == {}


def test_a_bug_that_shows_once_the_client_is_gone_is_a_fault_all_the_same(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_on(receive)
        raise ZeroDivisionError

    server = Server(REQUEST)
    server.gone.set()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(answered(XRayMiddleware(app), None, server))
    assert traces.one.flags == {"fault"}
    assert traces.one.metadata == {"xray_lambda": {"disconnected": True}}


def test_a_disconnect_after_the_answer_marks_nothing(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        await read_on(receive)

    server = Server(REQUEST)
    server.gone.set()
    asyncio.run(answered(XRayMiddleware(app), None, server))
    assert traces.one.metadata == {}


def test_a_cancelled_request_is_marked_and_no_fault(traces: Traces) -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            entered.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(answered(XRayMiddleware(app)))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert traces.one.flags == set()
    assert traces.one.metadata == {"xray_lambda": {"cancelled": True}}
    assert "response" not in traces.one.document["http"]


@pytest.mark.parametrize("headers", [None, 17, [b"no pair"], [("host", "no bytes")], iter([HOST])])
def test_a_scope_that_cannot_be_read_is_served_all_the_same(headers: Any) -> None:
    with capture(header=None, strict=False):
        server = asyncio.run(answered(XRayMiddleware(hello), {**http_scope(), "headers": headers}))
    assert server.body == b"hello"


def test_messages_that_are_wrong_reach_the_server_as_they_are(traces: Traces) -> None:
    wrong = [{}, {"type": "http.response.start"}, {"type": "http.response.start", "status": "200", "headers": None}]
    server = get(XRayMiddleware(replying(*wrong)))
    assert server.sent[0] == {}
    assert [message.get("status") for message in server.sent] == [None, None, "200"]
