"""aiohttp's server, over real sockets: one segment a request, whatever answers it and however it ends."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiohttp import ClientSession, web

from tests.lambda_runtime.documents import plain
from xray_lambda import current_segment, subsegment
from xray_lambda._context import current
from xray_lambda.testing import ROOT, capture
from xray_lambda.web.aiohttp import middleware

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from xray_lambda.testing import Traces

PARENT = "53995c3f42cd8ad8"
HEADER = f"Root={ROOT};Parent={PARENT};Sampled=1"
PATIENCE = 20


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as traces:
        yield traces


async def hello(request: web.Request) -> web.Response:
    with subsegment("greet"):
        return web.Response(text="hello")


async def failing(request: web.Request) -> web.Response:
    raise ValueError("sold out")


async def timing_out(request: web.Request) -> web.Response:
    raise asyncio.TimeoutError


async def raising(request: web.Request) -> web.Response:
    raise {"302": web.HTTPFound("/"), "404": web.HTTPNotFound(), "503": web.HTTPServiceUnavailable()}[
        request.match_info["status"]
    ]


async def returning_nothing(request: web.Request) -> Any:
    return None


async def streamed(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(2):
        with subsegment(f"chunk {number}"):
            await response.write(b"x")
    if request.query_string == "fail":
        raise ValueError("the cursor is gone")
    return response


async def echo(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        with subsegment("echo"):
            await websocket.send_str(message.data)
    return websocket


def program(*middlewares: Any, **routes: Any) -> web.Application:
    app = web.Application(middlewares=middlewares or [middleware(service="shop")])
    app.router.add_get("/items/{id:\\d+}", hello)
    app.router.add_get("/failing", failing)
    app.router.add_get("/timing-out", timing_out)
    app.router.add_get("/raising/{status}", raising)
    app.router.add_get("/nothing", returning_nothing)
    app.router.add_get("/streamed", streamed)
    app.router.add_get("/echo", echo)
    for name, handler in routes.items():
        app.router.add_get(f"/{name}", handler)
    return app


class Address(NamedTuple):
    host: str
    port: int

    def __call__(self, path: str) -> str:
        return f"http://{self.host}:{self.port}{path}"


@asynccontextmanager
async def serving(app: web.Application, **options: Any) -> AsyncIterator[Address]:
    """Run the app on a free port; at the end every request has been dealt with."""
    runner = web.AppRunner(app, **options)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Address(*runner.addresses[0])
    finally:
        await runner.cleanup()


def ask(app: web.Application, path: str, **options: Any) -> Any:
    """Return the status, headers and body of the answer to one request."""

    async def main() -> Any:
        async with serving(app) as server, ClientSession() as session:
            options.setdefault("allow_redirects", False)
            async with session.request(options.pop("method", "GET"), server(path), **options) as answer:
                return answer.status, answer.headers, await answer.read()

    return asyncio.run(main())


def test_a_request_is_a_segment_with_what_was_asked_and_answered(traces: Traces) -> None:
    headers = {"Host": "shop.example.com", "X-Amzn-Trace-Id": HEADER, "X-Forwarded-For": "203.0.113.9"}
    app = program(middleware(service="shop", user_agent=True))
    _, answer, body = ask(app, "/items/17?token=secret", headers={**headers, "User-Agent": "x"})
    assert body == b"hello"
    assert answer["X-Amzn-Trace-Id"] == f"Root={ROOT}"
    (document,) = plain(traces.documents)
    assert {key: value for key, value in document.items() if key not in ("service", "aws")} == {
        "trace_id": ROOT,
        "parent_id": PARENT,
        "name": "shop",
        "annotations": {"route": "/items/{id}"},
        "http": {
            "request": {
                "method": "GET",
                "url": "http://shop.example.com/items/17",
                "user_agent": "x",
                "client_ip": "203.0.113.9",
                "x_forwarded_for": True,
            },
            "response": {"status": 200, "content_length": 5},
        },
        "subsegments": [{"name": "greet"}],
    }


def test_it_needs_no_options(traces: Traces) -> None:
    ask(program(middleware), "/items/17")
    assert traces.one.names() == ("web", [("greet", [])])


def test_a_function_of_the_programs_own_may_say_who_asked(traces: Traces) -> None:
    ask(program(middleware(user=lambda request: request.headers["X-User"])), "/items/17", headers={"X-User": "ada"})
    assert traces.one.document["user"] == "ada"


def test_it_is_there_once_however_often_it_is_put(traces: Traces) -> None:
    inner = program(middleware(service="inner"))
    app = web.Application(middlewares=[middleware, middleware(service="second")])
    app.add_subapp("/api", inner)
    ask(app, "/api/items/17")
    assert traces.one.names() == ("web", [("greet", [])])
    assert traces.one.annotations == {"route": "/api/items/{id}"}


@pytest.mark.parametrize(
    ("status", "flags"), [(302, set()), (404, {"error"}), (503, {"fault"})], ids=["redirect", "missing", "unavailable"]
)
def test_an_http_exception_is_an_answer(traces: Traces, status: int, flags: set[str]) -> None:
    code, headers, _ = ask(program(), f"/raising/{status}")
    assert code == status
    assert headers["X-Amzn-Trace-Id"] == f"Root={traces.one.document['trace_id']}"
    assert traces.one.flags == flags
    assert traces.one.exceptions == []
    assert traces.one.document["http"]["response"]["status"] == status


@pytest.mark.parametrize(("path", "route"), [("/nowhere", None), ("/items/17", "/items/{id}")])
def test_what_aiohttp_answers_by_itself_is_a_segment_too(traces: Traces, path: str, route: str | None) -> None:
    status, _, _ = ask(program(), path, method="POST")
    assert traces.one.document["http"]["response"]["status"] == status
    assert traces.one.flags == {"error"}
    assert traces.one.annotations.get("route") in (route, None)


@pytest.mark.parametrize(("path", "status"), [("/failing", 500), ("/timing-out", 504)])
def test_an_exception_is_recorded_once_with_the_answer_that_aiohttp_makes(
    traces: Traces, path: str, status: int
) -> None:
    code, headers, _ = ask(program(), path)
    assert code == status
    assert headers["X-Amzn-Trace-Id"] == f"Root={traces.one.document['trace_id']}"
    assert traces.one.flags == {"fault"}
    assert len(traces.one.exceptions) == 1
    assert traces.one.exceptions[0]["stack"][0]["label"] in ("failing", "timing_out")
    assert traces.one.document["http"]["response"]["status"] == status


def test_a_handler_that_returns_nothing_is_a_fault(traces: Traces) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - older ones hang up, newer ones answer
        assert ask(program(), "/nothing")[0] == 200
    assert traces.one.names() == ("shop", [])


def test_middleware_inside_may_answer_for_an_exception(traces: Traces) -> None:
    @web.middleware
    async def apologise(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except ValueError:
            return web.Response(status=409)
        return response

    assert ask(program(middleware, apologise), "/failing")[0] == 409
    assert traces.one.flags == {"error"}
    traces.clear()
    assert ask(program(apologise, middleware), "/failing")[0] == 409
    assert traces.one.flags == {"error"}  # the exception went through, and the answer is what the client got
    assert traces.one.exceptions == []


def test_a_stream_is_traced_to_its_end_and_has_the_header(traces: Traces) -> None:
    _, headers, body = ask(program(), "/streamed")
    assert body == b"xx"
    assert headers["X-Amzn-Trace-Id"] == f"Root={traces.one.document['trace_id']}"
    assert traces.one.names() == ("shop", [("chunk 0", []), ("chunk 1", [])])


def test_an_exception_while_streaming_is_a_fault_of_an_answer_that_had_begun_well(traces: Traces) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - the connection breaks, which clients name as they like
        ask(program(), "/streamed?fail")
    assert traces.one.flags == {"fault"}
    assert [exception["message"] for exception in traces.one.exceptions] == ["the cursor is gone"]
    assert traces.one.document["http"]["response"] == {"status": 200}


def test_a_file_is_part_of_the_segment_to_its_last_byte(traces: Traces, tmp_path: Path) -> None:
    """It is sent after the handler has returned."""
    (tmp_path / "large").write_bytes(b"x" * 3_000_000)
    app = program()
    app.router.add_static("/static", tmp_path)
    _, _, body = ask(app, "/static/large")
    assert len(body) == 3_000_000
    assert traces.one.annotations == {"route": "/static"}
    assert traces.one.document["http"]["response"] == {"status": 200, "content_length": 3_000_000}


def test_a_websocket_is_one_segment_with_its_close_code(traces: Traces) -> None:
    async def main() -> Any:
        async with (
            serving(program()) as server,
            ClientSession() as session,
            session.ws_connect(server("/echo")) as websocket,
        ):
            for text in "ab":
                await websocket.send_str(text)
                assert await websocket.receive_str() == text
            await websocket.close(code=4000)
            return websocket._response.headers["X-Amzn-Trace-Id"]

    header = asyncio.run(main())
    assert header == f"Root={traces.one.document['trace_id']}"
    assert traces.one.names() == ("shop", [("echo", [])] * 2)
    assert traces.one.document["http"]["response"]["status"] == 101
    assert traces.one.metadata == {"xray_lambda": {"close_code": 4000}}
    assert traces.one.flags == set()


async def hang_up(server: Address, path: str, entered: asyncio.Event) -> None:
    """Ask, and go as soon as the handler is at work."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
    await asyncio.wait_for(entered.wait(), PATIENCE)
    writer.transport.abort()
    del reader


def hung_up(handler: Any, entered: asyncio.Event, **options: Any) -> None:
    async def main() -> None:
        async with serving(program(handler=handler), **options) as server:
            await hang_up(server, "/handler", entered)

    asyncio.run(main())


def test_a_client_that_hangs_up_on_a_stream_is_marked_and_no_fault(traces: Traces) -> None:
    entered = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 100)
            entered.set()
            await asyncio.sleep(0)

    hung_up(endless, entered)
    assert traces.one.flags == set()
    assert traces.one.exceptions == []
    assert traces.one.metadata["xray_lambda"]["disconnected"] is True


@pytest.mark.parametrize("cancels", [True, False])
def test_a_client_that_hangs_up_before_its_answer_is_marked_and_no_fault(traces: Traces, cancels: bool) -> None:
    entered = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        entered.set()
        while request.transport is not None:  # noqa: ASYNC110 - aiohttp tells it in no other way
            await asyncio.sleep(0.001)
        return web.Response(text="too late")

    hung_up(slow, entered, handler_cancellation=cancels)
    assert traces.one.flags == set()
    assert traces.one.exceptions == []
    assert traces.one.metadata["xray_lambda"]["disconnected"] is True


def test_a_request_that_is_cancelled_at_shutdown_is_marked_and_no_fault(traces: Traces) -> None:
    tasks: list[Any] = []

    async def cancelling(request: web.Request) -> web.Response:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        task.cancel()
        await asyncio.sleep(0)
        raise AssertionError

    async def main() -> None:
        async with serving(program(handler=cancelling)) as server:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"GET /handler HTTP/1.1\r\nHost: shop\r\n\r\n")
            await asyncio.wait_for(reader.read(), PATIENCE)
            writer.close()

    asyncio.run(main())
    assert traces.one.flags == set()
    assert traces.one.metadata["xray_lambda"]["cancelled"] is True


def test_a_request_without_a_host_is_served_and_named_by_its_address(traces: Traces) -> None:
    async def main() -> bytes:
        async with serving(program()) as server:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"GET /items/17 HTTP/1.0\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), PATIENCE)
            writer.close()
            return answer + f" {server.host}:{server.port}".encode()

    answer = asyncio.run(main())
    assert answer.startswith(b"HTTP/1.0 200 OK")
    address = answer.rpartition(b" ")[2].decode()
    assert traces.one.document["http"]["request"]["url"] == f"http://{address}/items/17"


def test_a_unix_socket_has_no_host_and_no_client(traces: Traces, tmp_path: Path) -> None:
    async def main() -> bytes:
        runner = web.AppRunner(program())
        await runner.setup()
        await web.UnixSite(runner, str(tmp_path / "s")).start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b"GET /items/17 HTTP/1.0\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        await runner.cleanup()
        return answer

    assert asyncio.run(main()).startswith(b"HTTP/1.0 200 OK")
    assert traces.one.document["http"]["request"] == {"method": "GET", "url": "/items/17"}


def test_an_unsampled_request_is_not_recorded_and_gets_the_header(traces: Traces) -> None:
    _, headers, _ = ask(program(), "/items/17", headers={"X-Amzn-Trace-Id": f"Root={ROOT};Parent={PARENT};Sampled=0"})
    assert headers["X-Amzn-Trace-Id"] == f"Root={ROOT}"
    assert traces.documents == []


def test_a_path_to_ignore_is_left_alone(traces: Traces) -> None:
    _, headers, _ = ask(program(middleware(ignore_paths="/items/*")), "/items/17")
    assert "X-Amzn-Trace-Id" not in headers
    assert traces.documents == []


def test_a_header_of_the_programs_own_stays(traces: Traces) -> None:
    async def own(request: web.Request) -> web.Response:
        return web.Response(headers={"X-Amzn-Trace-Id": "theirs"})

    _, headers, _ = ask(program(own=own), "/own")
    assert headers.getall("X-Amzn-Trace-Id") == ["theirs"]


def test_the_programs_own_signal_still_comes_and_sees_the_header(traces: Traces) -> None:
    seen = []

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        seen.append("X-Amzn-Trace-Id" in response.headers)

    app = program()
    app.on_response_prepare.append(prepare)
    ask(app, "/items/17")
    assert seen == [True]


def test_requests_on_one_connection_do_not_see_each_other(traces: Traces) -> None:
    seen = []

    async def careless(request: web.Request) -> web.Response:
        seen.append(current_segment().id)
        subsegment("left open").__enter__()
        return web.Response()

    async def main() -> None:
        async with serving(program(careless=careless)) as server, ClientSession() as session:
            for _ in range(3):
                async with session.get(server("/careless")) as answer:
                    await answer.read()
        assert current.get() is None

    asyncio.run(main())
    assert len(set(seen)) == 3
    assert [root.id for root in traces.roots] == seen


def test_two_thousand_concurrent_requests_give_two_thousand_right_trees(traces: Traces) -> None:
    number = 2000

    async def work(request: web.Request) -> web.Response:
        name = request.match_info["name"]

        async def part(one: str) -> None:
            with subsegment(f"{name} {one}"):
                await asyncio.sleep(0)

        await asyncio.gather(part("a"), part("b"), asyncio.to_thread(in_thread, name))
        return web.Response(text=str(current_segment().trace_id))

    def in_thread(name: str) -> None:
        with subsegment(f"{name} thread"):
            pass

    async def main() -> dict[str, str]:
        app = program()
        app.router.add_get("/work/{name}", work)
        gate = asyncio.Semaphore(100)
        async with serving(app) as server, ClientSession() as session:

            async def one(name: str) -> tuple[str, str]:
                async with gate, session.get(server(f"/work/{name}")) as answer:
                    return name, await answer.text()

            return dict(await asyncio.gather(*(one(str(each)) for each in range(number))))

    answers = asyncio.run(main())
    assert len(traces.documents) == number
    for root in traces.roots:
        name = root.document["http"]["request"]["url"].rpartition("/")[2]
        assert answers.pop(name) == root.document["trace_id"]
        assert sorted(root.names()[1]) == [(f"{name} {one}", []) for one in ("a", "b", "thread")]
    assert not answers
