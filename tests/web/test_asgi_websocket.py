"""ASGI: a WebSocket is one segment, from its handshake until the program closes it, or returns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.asgi import HOST, Message, websocket_scope
from xray_lambda import subsegment
from xray_lambda.testing import ROOT, capture
from xray_lambda.web.asgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from xray_lambda.testing import Traces

    Body = Callable[[Any, Any], Awaitable[None]]

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": [(b"x-own", b"1")]}


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as traces:
        yield traces


def talk(program: Body, *messages: Message, fails: bool = False, headers: Any = (HOST,)) -> list[Message]:
    """Let a program talk to a client that sends these messages; return what it sent."""
    waiting, sent = [CONNECT, *messages], list[Message]()

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        if fails and message["type"] == "websocket.send":
            raise ConnectionResetError
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await program(receive, send)

    asyncio.run(XRayMiddleware(app, service="shop")(websocket_scope("/feed", headers=list(headers)), receive, send))
    return sent


def disconnect(code: int) -> Message:
    return {"type": "websocket.disconnect", "code": code}


async def echo(receive: Any, send: Any) -> None:
    """Accept, and send back what comes until the client goes."""
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        with subsegment("echo"):
            await send({"type": "websocket.send", "text": message["text"]})


def test_a_websocket_is_one_segment_until_its_client_goes(traces: Traces) -> None:
    header = f"Root={ROOT};Sampled=?".encode()
    texts = [{"type": "websocket.receive", "text": text} for text in "ab"]
    sent = talk(echo, *texts, disconnect(1001), headers=[HOST, (b"x-amzn-trace-id", header)])
    trace = f"Root={ROOT};Sampled=1".encode()
    assert sent[0] == {**ACCEPT, "headers": [(b"x-own", b"1"), (b"x-amzn-trace-id", trace)]}
    assert [message["text"] for message in sent[1:]] == ["a", "b"]
    assert traces.one.names() == ("shop", [("echo", []), ("echo", [])])
    assert traces.one.document["http"] == {
        "request": {"method": "GET", "url": "ws://shop.example.com/feed", "client_ip": "198.51.100.4"},
        "response": {"status": 101},
    }
    assert traces.one.metadata == {"xray_lambda": {"close_code": 1001}}
    assert traces.one.flags == set()


def test_a_close_by_the_program_ends_the_segment(traces: Traces) -> None:
    async def program(receive: Any, send: Any) -> None:
        await send(ACCEPT)
        assert traces.documents == []
        await send({"type": "websocket.close", "code": 4001})
        assert len(traces.documents) == 1
        assert (await receive())["type"] == "websocket.connect"
        assert (await receive())["code"] == 1006

    talk(program, disconnect(1006))
    assert traces.one.metadata == {"xray_lambda": {"close_code": 4001}}


@pytest.mark.parametrize(("more", "code", "flags"), [({}, 1000, set()), ({"code": 1011}, 1011, {"fault"})])
def test_a_close_has_a_code(traces: Traces, more: Any, code: int, flags: set[str]) -> None:
    async def program(receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await send({"type": "websocket.close", **more})

    talk(program)
    assert traces.one.metadata == {"xray_lambda": {"close_code": code}}
    assert traces.one.flags == flags


def test_a_clients_own_fault_is_none_of_the_programs(traces: Traces) -> None:
    talk(echo, disconnect(1011))
    assert traces.one.metadata == {"xray_lambda": {"close_code": 1011}}
    assert traces.one.flags == set()


def test_a_close_before_accept_is_a_forbidden_request(traces: Traces) -> None:
    async def program(receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1000})

    talk(program)
    assert traces.one.document["http"]["response"] == {"status": 403}
    assert traces.one.flags == {"error"}
    assert traces.one.metadata == {}


def test_a_denial_has_the_status_that_it_is_answered_with(traces: Traces) -> None:
    async def program(receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
        await send({"type": "websocket.http.response.body", "body": b"n", "more_body": True})
        assert traces.documents == []
        await send({"type": "websocket.http.response.body", "body": b"o"})
        assert len(traces.documents) == 1

    sent = talk(program)
    assert sent[0]["headers"][-1][0] == b"x-amzn-trace-id"
    assert traces.one.document["http"]["response"] == {"status": 401, "content_length": 2}
    assert traces.one.flags == {"error"}


def test_a_program_that_leaves_without_an_answer_is_answered_for_by_the_server(traces: Traces) -> None:
    async def program(receive: Any, send: Any) -> None:
        await receive()

    talk(program)
    assert traces.one.document["http"]["response"] == {"status": 500}


def test_an_exception_is_a_fault_and_passes(traces: Traces) -> None:
    async def program(receive: Any, send: Any) -> None:
        await send(ACCEPT)
        raise KeyError("order")

    with pytest.raises(KeyError):
        talk(program)
    assert traces.one.flags == {"fault"}
    assert traces.one.document["http"]["response"] == {"status": 101}


class WebSocketDisconnect(Exception):
    """As Starlette calls it."""


def test_what_a_framework_raises_when_the_client_has_gone_is_no_fault(traces: Traces) -> None:
    async def program(receive: Any, send: Any) -> None:
        await echo(receive, send)
        raise WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect):
        talk(program, disconnect(1006))
    assert traces.one.flags == set()
    assert traces.one.metadata == {"xray_lambda": {"close_code": 1006}}


def test_such_an_exception_is_a_fault_where_nobody_has_gone(traces: Traces) -> None:
    async def program(receive: Any, send: Any) -> None:
        await send(ACCEPT)
        raise WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect):
        talk(program)
    assert traces.one.flags == {"fault"}


def test_a_send_that_fails_tells_that_the_client_is_gone(traces: Traces) -> None:
    async def program(receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": "anybody?"})

    with pytest.raises(ConnectionResetError):
        talk(program, fails=True)
    assert traces.one.flags == set()
    assert traces.one.metadata == {"xray_lambda": {"close_code": 1006}}


def test_a_disconnect_without_a_code_has_the_one_that_says_so(traces: Traces) -> None:
    talk(echo, {"type": "websocket.disconnect"})
    assert traces.one.metadata == {"xray_lambda": {"close_code": 1005}}
