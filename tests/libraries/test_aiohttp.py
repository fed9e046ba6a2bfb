"""aiohttp: sessions that are there already, answers that are read later, tasks that are cancelled, WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
import weakref
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web as aiohttp_web

from xray_lambda import patch_all, subsegment, unpatch
from xray_lambda.testing import ROOT, Traces, capture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from tests.servers.http import Server
    from xray_lambda.testing import Node

VERSION = tuple(map(int, aiohttp.__version__.split(".")[:2]))


@pytest.fixture(autouse=True)
def patched() -> None:
    patch_all()


def header_of(node: Node) -> str:
    return f"Root={ROOT};Parent={node.id};Sampled=1"


def traced(use: Callable[[aiohttp.ClientSession], Coroutine[Any, Any, object]], **options: Any) -> Traces:
    """Use a session in a trace; return what was recorded."""

    async def main() -> None:
        async with aiohttp.ClientSession(**options) as session:
            with subsegment("handler"):
                await use(session)

    with capture() as traces:
        asyncio.run(main())
    return traces


def only_child(traces: Traces) -> Node:
    (child,) = traces.one.children
    return child


def test_a_session_made_before_is_traced(web: Server) -> None:
    async def main() -> None:
        unpatch()
        async with aiohttp.ClientSession() as session:
            patch_all()
            async with session.get(f"{web.url}/status/200") as response:
                assert await response.text() == "hello"
                assert type(response) is aiohttp.ClientResponse
                assert "xray" not in str(vars(response))

    with capture() as traces:
        asyncio.run(main())
        assert traces.one.document["http"]["request"]["method"] == "GET"


def test_a_trace_config_of_the_programs_own_sees_what_it_saw(web: Server) -> None:
    seen: list[str] = []
    config = aiohttp.TraceConfig()

    async def note(_: object, __: object, params: Any) -> None:
        seen.append(f"{type(params).__name__} {'X-Amzn-Trace-Id' in getattr(params, 'headers', ())}")

    config.on_request_start.append(note)
    config.on_request_end.append(note)

    async def use(session: aiohttp.ClientSession) -> None:
        await (await session.get(f"{web.url}/status/200")).read()

    node = only_child(traced(use, trace_configs=[config]))
    assert seen == ["TraceRequestStartParams False", "TraceRequestEndParams False"]
    assert web.last.trace == [header_of(node)]


def test_a_url_is_joined_to_the_base_of_its_session(web: Server) -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        async with session.get("/status/200", params={"token": "opensesame"}) as response:
            await response.read()

    node = only_child(traced(use, base_url=web.url))
    assert node.document["http"]["request"]["url"] == f"{web.url}/status/200"
    assert web.last.target == "/status/200?token=opensesame"


def test_a_url_that_leads_nowhere_fails_as_before_and_is_no_call() -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        for url in ("http://me:sword/fish@example.com/", "http://", "/relative", 17):
            with pytest.raises((aiohttp.InvalidURL, TypeError, AssertionError)):
                await session.get(url)  # type: ignore[arg-type]

    assert traced(use).one.children == []


def test_a_session_that_raises_for_status_leaves_the_answer_recorded(web: Server) -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientResponseError):
            await session.get(f"{web.url}/status/404?token=opensesame")

    traces = traced(use, raise_for_status=True)
    node = only_child(traces)
    assert node.document["http"]["response"] == {"status": 404, "content_length": 5}
    assert (node.flags, node.exceptions) == ({"error"}, [])
    assert "opensesame" not in str(traces.documents)


def test_too_many_redirects_are_a_fault_that_shows_no_secret(web: Server) -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.TooManyRedirects):
            await session.get(f"{web.url}/redirect/302?/redirect/302?/redirect/302?opensesame", max_redirects=2)

    traces = traced(use)
    assert only_child(traces).flags == {"fault"}
    assert "opensesame" not in str(traces.documents)


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_a_call_that_is_given_up(web: Server, how: str) -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        limit = aiohttp.ClientTimeout(total=20 if how == "cancelled" else 0.1)
        call = asyncio.ensure_future(session.get(f"{web.url}/gated", timeout=limit))
        await asyncio.to_thread(web.arrived.wait, 20)
        if how == "cancelled":
            call.cancel()
        with pytest.raises((asyncio.CancelledError, asyncio.TimeoutError)):
            await call

    node = only_child(traced(use))
    if how == "cancelled":
        assert (node.flags, node.metadata) == (set(), {"xray_lambda": {"cancelled": True}})
    else:
        assert (node.flags, node.exceptions[0]["type"].rpartition(".")[2]) == ({"fault"}, "TimeoutError")


async def read_all(response: aiohttp.ClientResponse) -> None:
    await response.read()


async def read_in_parts(response: aiohttp.ClientResponse) -> None:
    async for _ in response.content.iter_any():
        pass


@pytest.mark.parametrize("read", [read_all, read_in_parts])
@pytest.mark.parametrize("how", ["cancelled", "timed out", "cut off"])
def test_an_answer_that_is_given_up(
    web: Server, how: str, read: Callable[[aiohttp.ClientResponse], Coroutine[Any, Any, None]]
) -> None:
    async def get(session: aiohttp.ClientSession) -> None:
        limit = aiohttp.ClientTimeout(total=0.2 if how == "timed out" else 20)
        path = "cut" if how == "cut off" else "streamed"
        async with session.get(f"{web.url}/{path}", timeout=limit) as response:
            begun.set()
            await read(response)

    begun = asyncio.Event()

    async def use(session: aiohttp.ClientSession) -> None:
        call = asyncio.ensure_future(get(session))
        await begun.wait()
        await asyncio.sleep(0)
        if how == "cancelled":
            call.cancel()
        with pytest.raises((asyncio.CancelledError, asyncio.TimeoutError, aiohttp.ClientPayloadError)):
            await call

    node = only_child(traced(use))
    assert node.document["http"]["response"] == {"status": 200}
    if how == "cancelled":
        assert (node.flags, node.metadata) == (set(), {"xray_lambda": {"cancelled": True}})
    else:
        expected = "TimeoutError" if how == "timed out" else "ClientPayloadError"
        assert (node.flags, node.exceptions[0]["type"].rpartition(".")[2]) == ({"fault"}, expected)


def test_what_the_program_raises_in_the_middle_is_no_failure_of_the_call(web: Server) -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        with contextlib.suppress(LookupError):
            async with session.get(f"{web.url}/streamed") as response:
                await response.content.readany()
                raise LookupError("the program's own")

    assert only_child(traced(use)).flags == set()


@pytest.mark.parametrize("way", ["released", "closed"])
def test_an_answer_that_is_not_read_ends_the_call(web: Server, way: str) -> None:
    async def use() -> None:
        async with aiohttp.ClientSession() as session:
            response = await session.get(f"{web.url}/streamed")
            assert len(traces) == 0
            response.release() if way == "released" else response.close()
            assert len(traces) == 1

    with capture() as traces:
        asyncio.run(use())
        assert (traces.one.name, traces.one.flags) == (web.name, set())


def test_an_answer_that_is_dropped_unread_ends_the_call_when_aiohttp_lets_go_of_it(web: Server) -> None:
    """Which is when its connection is closed, and no later because of us."""

    async def drop() -> tuple[bool, weakref.ref[Any]]:
        async with aiohttp.ClientSession() as session:
            response = await session.get(f"{web.url}/streamed")
            gone = weakref.ref(response)
            del response
            return gone() is None, gone

    def lifetime() -> tuple[bool, bool]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # aiohttp's, of the connection
            at_once, gone = asyncio.run(drop())
            gc.collect()
        return at_once, gone() is None

    unpatch()
    before = lifetime()
    patch_all()
    with capture() as traces:
        assert lifetime() == before == (False, True)
        assert (traces.one.name, traces.one.document["http"]["response"]) == (web.name, {"status": 200})


def test_a_body_that_has_come_at_once_ends_the_call_at_once(web: Server) -> None:
    """Whether or not the program ever reads it."""

    async def use(session: aiohttp.ClientSession) -> None:
        response = await session.head(f"{web.url}/status/200")
        assert response.content.is_eof()
        response.headers["Content-Length"]

    assert only_child(traced(use)).document["http"]["response"] == {"status": 200, "content_length": 5}


@pytest.mark.skipif(VERSION < (3, 12), reason="aiohttp has middlewares for clients since 3.12")
def test_a_token_that_a_middleware_fetches_is_a_call_of_its_own(web: Server) -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        async def login(request: Any, handler: Any) -> Any:
            response = await handler(request)
            if response.status == 401:
                async with session.post(f"{web.url}/echo", data=b"token", middlewares=()) as answer:
                    request.headers["Authorization"] = await answer.text()
                response = await handler(request)
            return response

        async with session.get(f"{web.url}/login/basic", middlewares=(login,)) as response:
            assert response.status == 200

    traces = traced(use)
    outer = only_child(traces)
    headers = [header_of(outer), header_of(outer.children[0]), header_of(outer)]
    assert [received.trace for received in web.received] == [[header] for header in headers]


@asynccontextmanager
async def serving(handle: Callable[[aiohttp_web.Request], Coroutine[Any, Any, Any]]) -> AsyncIterator[str]:
    """Run a server of aiohttp's own in this loop."""
    app = aiohttp_web.Application()
    app.router.add_get("/", handle)
    runner = aiohttp_web.AppRunner(app)
    await runner.setup()
    site = aiohttp_web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "http://127.0.0.1:{}/".format(*[address[1] for address in runner.addresses])
    finally:
        await runner.cleanup()


def test_a_websocket_is_recorded_until_it_is_open() -> None:
    async def echo(request: aiohttp_web.Request) -> aiohttp_web.WebSocketResponse:
        socket = aiohttp_web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(request.headers["X-Amzn-Trace-Id"])
        await socket.close()
        return socket

    async def use(session: aiohttp.ClientSession) -> None:
        async with serving(echo) as url, session.ws_connect(url) as socket:
            with subsegment("talk"):
                heard.append(await socket.receive_str())

    heard: list[str | bytes] = []
    traces = traced(use)
    upgrade, talk = traces.one.children
    assert (upgrade.document["http"]["response"]["status"], talk.name) == (101, "talk")
    assert heard == [header_of(upgrade)]
    assert upgrade.document["end_time"] <= talk.document["start_time"]
