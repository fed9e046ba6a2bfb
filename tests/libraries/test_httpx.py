"""httpx: clients stay what they are, any transport carries the trace on, answers are streamed as before."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.servers.process import free_port
from xray_lambda import patch_all, subsegment, unpatch
from xray_lambda.testing import HEADER, ROOT, capture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from typing_extensions import Self

    from tests.servers.http import Server
    from xray_lambda.testing import Node, Traces

UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")
CLIENT, ASYNC_CLIENT = httpx.Client, httpx.AsyncClient


@pytest.fixture(autouse=True)
def patched() -> None:
    patch_all()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as made:
        yield made


def header_of(node: Node) -> str:
    return f"Root={ROOT};Parent={node.id};Sampled=1"


def shape(traces: Traces, web: Server) -> list[str]:
    """Return the lines of the tree with `web` in the place of the server's name."""
    return str(traces).replace(web.name, "web").splitlines()


class Transport(httpx.BaseTransport):
    """A transport of the program's own, which notes what is done with it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.headers: list[list[str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.done.append("request")
        self.headers.append(request.headers.get_list("X-Amzn-Trace-Id"))
        return httpx.Response(200, content=b"mine")

    def __enter__(self) -> Self:
        self.done.append("enter")
        return self

    def __exit__(self, *_: object) -> None:
        self.done.append("exit")

    def close(self) -> None:
        self.done.append("close")


def test_a_client_made_before_is_a_client_still_and_traced(web: Server) -> None:
    """The peer puts classes of its own in the place of httpx's."""
    unpatch()
    with httpx.Client() as client:
        patch_all()
        assert (httpx.Client, httpx.AsyncClient) == (CLIENT, ASYNC_CLIENT)
        assert isinstance(client, httpx.Client)
        with capture() as traces:
            client.get(f"{web.url}/status/200")
            assert traces.one.name == web.name


def test_a_transport_is_entered_asked_and_closed_as_before() -> None:
    """The peer's own transport forwards neither `close` nor `__enter__`: the pool stays open."""
    transport, other = Transport(), Transport()
    with capture() as traces, subsegment("handler"):
        with httpx.Client(transport=transport, mounts={"all://example.org": other}) as client:
            assert client.get("http://example.com/").text == "mine"
            assert client.get("http://example.org/").text == "mine"
            assert client._transport is transport
        assert len(traces) == 0
    assert transport.done == other.done == ["enter", "request", "exit"]
    closed = httpx.Client(transport=(bare := Transport()))
    closed.close()
    assert bare.done == ["close"]


def test_each_transport_carries_the_trace_on() -> None:
    transport, mounted = Transport(), Transport()
    with capture() as traces:
        with httpx.Client(transport=transport, mounts={"all://example.org": mounted}) as client:
            client.get("http://example.com/")
            client.get("http://example.org/")
        expected = [[[header_of(root)]] for root in traces.roots]
        assert [root.name for root in traces.roots] == ["example.com", "example.org"]
    assert [transport.headers, mounted.headers] == expected


@pytest.mark.parametrize("header", [HEADER, UNSAMPLED])
def test_a_request_that_the_program_holds_stays_as_it_is(client: httpx.Client, web: Server, header: str) -> None:
    request = client.build_request("POST", f"{web.url}/echo", content=b"body", headers={"X-Mine": "1"})
    before = request.headers.raw
    with capture(header), subsegment("handler"):
        response = client.send(request)
    assert (response.request, response.content) == (request, b"body")
    assert request.headers.raw == before
    client.send(request)
    assert [len(received.trace) for received in web.received] == [1, 0]
    assert "X-Amzn-Trace-Id" not in client.headers


def test_an_exception_has_the_programs_own_request(client: httpx.Client) -> None:
    request = client.build_request("GET", f"http://127.0.0.1:{free_port()}/")
    with capture(), subsegment("handler"), pytest.raises(httpx.ConnectError) as failed:
        client.send(request)
    assert failed.value.request is request
    assert "X-Amzn-Trace-Id" not in request.headers


def test_a_transport_that_reads_the_body_leaves_it_to_be_sent_again() -> None:
    """As a digest authentication does, here of a body that can be read once."""
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        wanted = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
        return httpx.Response(401 if len(bodies) == 1 else 200, headers={"WWW-Authenticate": wanted})

    def parts() -> Iterator[bytes]:
        yield b"once"

    with capture() as traces, httpx.Client(transport=httpx.MockTransport(answer)) as client:
        client.post("http://example.com/", content=parts(), auth=httpx.DigestAuth("me", "swordfish"))
        assert traces.one.document["http"]["response"]["status"] == 200
    assert bodies == [b"once", b"once"]


def test_hooks_see_the_request_without_the_trace_and_may_raise_for_status(client: httpx.Client, web: Server) -> None:
    seen: list[httpx.Request] = []
    client.event_hooks = {"request": [seen.append], "response": [httpx.Response.raise_for_status]}
    with capture() as traces:
        with subsegment("handler"), pytest.raises(httpx.HTTPStatusError):
            client.get(f"{web.url}/status/429?token=opensesame")
        (node,) = traces.one.children
    assert "X-Amzn-Trace-Id" not in seen[0].headers
    assert node.document["http"]["response"] == {"status": 429, "content_length": 5}
    assert (node.flags, node.exceptions) == ({"error", "throttle"}, [])


class TokenAuth(httpx.Auth):
    """Fetches a token by a call of its own when asked for one."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self.client = client
        self.url = url

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = self.client.post(self.url, content=b"token", auth=httpx.Auth()).text
            yield request


def test_a_token_that_auth_fetches_is_a_call_of_its_own(client: httpx.Client, web: Server) -> None:
    """By the same client, in the middle of the call."""
    with capture() as traces:
        with subsegment("handler"):
            response = client.get(f"{web.url}/login/basic", auth=TokenAuth(client, f"{web.url}/echo"))
        assert shape(traces, web) == ["handler", "  web", "    web"]
        outer = traces.one.children[0]
        headers = [header_of(outer), header_of(outer.children[0]), header_of(outer)]
    assert response.status_code == outer.document["http"]["response"]["status"] == 200
    assert [received.trace for received in web.received] == [[header] for header in headers]


def test_an_answer_that_is_dropped_unread_ends_the_call_and_is_not_kept_alive(
    client: httpx.Client, web: Server
) -> None:
    with capture() as traces:
        response = client.send(client.build_request("GET", f"{web.url}/streamed"), stream=True)
        gone = weakref.ref(response)
        assert len(traces) == 0
        del response
        gc.collect()  # it is part of a circle of httpx's own
        assert gone() is None
        assert traces.one.document["http"]["response"] == {"status": 200}


def test_a_streamed_answer_is_as_it_was(client: httpx.Client, web: Server) -> None:
    web.gate.set()
    unpatch()
    with client.stream("GET", f"{web.url}/streamed") as untraced:
        untraced.read()
    patch_all()
    with capture(), subsegment("handler"), client.stream("GET", f"{web.url}/streamed") as response:
        assert type(response) is httpx.Response
        assert type(response.stream) is type(untraced.stream)
        assert vars(response).keys() <= vars(untraced).keys()
        assert b"".join(response.iter_raw(4)) == b"first half second half"
        assert response.num_bytes_downloaded == 22
        with pytest.raises(httpx.StreamConsumed):
            next(response.iter_raw())


def test_what_the_program_raises_in_the_middle_is_no_failure_of_the_call(client: httpx.Client, web: Server) -> None:
    with capture() as traces:
        with (
            contextlib.suppress(LookupError),
            client.stream("GET", f"{web.url}/streamed") as response,
        ):
            next(response.iter_bytes())
            raise LookupError("the program's own")
        assert traces.one.flags == set()


def test_a_failure_that_the_program_handles_while_it_reads_is_recorded(client: httpx.Client, web: Server) -> None:
    with capture() as traces:
        with client.stream("GET", f"{web.url}/cut") as response, contextlib.suppress(httpx.RemoteProtocolError):
            response.read()
        assert (traces.one.flags, traces.one.document["http"]["response"]) == ({"fault"}, {"status": 200})


def test_a_failure_that_the_program_handles_while_it_awaits_is_recorded(web: Server) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(timeout=20) as client, client.stream("GET", f"{web.url}/cut") as response:
            with contextlib.suppress(httpx.RemoteProtocolError):
                await response.aread()

    with capture() as traces:
        asyncio.run(main())
        assert (traces.one.flags, traces.one.document["http"]["response"]) == ({"fault"}, {"status": 200})


def test_a_client_that_is_closed_fails_as_before(web: Server) -> None:
    client = httpx.Client()
    client.close()
    with capture(), subsegment("handler"), pytest.raises(RuntimeError, match="client has been closed"):
        client.get(f"{web.url}/status/200")


class AsyncTransport(httpx.AsyncBaseTransport):
    """A transport of the program's own, which answers in parts."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.done.append(request.headers["X-Amzn-Trace-Id"])
        return httpx.Response(200, content=self.parts())

    async def parts(self) -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def aclose(self) -> None:
        self.done.append("close")


def test_an_async_transport_is_asked_and_closed_as_before() -> None:
    transport = AsyncTransport()

    async def main() -> None:
        async with httpx.AsyncClient(transport=transport) as client:
            assert isinstance(client, ASYNC_CLIENT)
            async with client.stream("GET", "http://example.com/") as response:
                assert [part async for part in response.aiter_raw()] == [b"one", b"two"]

    with capture() as traces:
        asyncio.run(main())
        assert transport.done == [header_of(traces.one), "close"]


def test_a_cancelled_call_is_no_fault(web: Server) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(timeout=20) as client:
            call = asyncio.ensure_future(client.get(f"{web.url}/gated"))
            await asyncio.to_thread(web.arrived.wait, 20)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    with capture() as traces:
        with subsegment("handler"):
            asyncio.run(main())
        (node,) = traces.one.children
    assert (node.flags, node.metadata) == (set(), {"xray_lambda": {"cancelled": True}})


@pytest.mark.parametrize("way", ["cancelled", "broken off", "left"])
def test_a_streamed_answer_that_is_not_read_to_its_end(web: Server, way: str) -> None:
    async def read(client: httpx.AsyncClient, begun: asyncio.Event) -> None:
        async with client.stream("GET", f"{web.url}/streamed") as response:
            async for _ in response.aiter_bytes():
                begun.set()
                if way == "broken off":
                    raise LookupError("the program's own")
                if way == "left":
                    return

    async def main() -> None:
        begun = asyncio.Event()
        async with httpx.AsyncClient(timeout=20) as client:
            reading = asyncio.ensure_future(read(client, begun))
            await begun.wait()
            if way == "cancelled":
                await asyncio.sleep(0)
                reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, LookupError):
                await reading

    with capture() as traces:
        asyncio.run(main())
        marks = {"xray_lambda": {"cancelled": True}} if way == "cancelled" else {}
        assert (traces.one.flags, traces.one.metadata) == (set(), marks)


def test_an_app_that_is_called_without_a_network_is_traced() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["headers"])[b"x-amzn-trace-id"].decode())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"app"})

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as client:
            assert (await client.get("http://app/")).text == "app"

    with capture() as traces:
        asyncio.run(main())
        assert seen == [header_of(traces.one)]
