"""Starlette: the middleware outside of it and among its own, its error pages, its streams and its routes."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

from tests.web.asgi import REQUEST, Server, answered, get, http_scope, websocket_scope
from xray_lambda import current_segment, subsegment
from xray_lambda.testing import capture
from xray_lambda.web.asgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from xray_lambda.testing import Traces

# Starlette's older BaseHTTPMiddleware leaves the streams of anyio to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*MemoryObjectReceiveStream:pytest.PytestUnraisableExceptionWarning",
    "ignore:.*MemoryObject:ResourceWarning",
)


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as traces:
        yield traces


async def hello(request: Request) -> Response:
    with subsegment("greet"):
        return PlainTextResponse("hello")


async def failing(request: Request) -> Response:
    raise ValueError("sold out")


async def not_there(request: Request) -> Response:
    raise HTTPException(404)


async def unavailable(request: Request) -> Response:
    raise HTTPException(503, "come back later")


async def moved(request: Request) -> Response:
    return RedirectResponse("/")


def sync(request: Request) -> Response:
    with subsegment("in a thread"):
        return PlainTextResponse(str(current_segment().trace_id))


async def chunks() -> AsyncIterator[bytes]:
    for number in range(2):
        with subsegment(f"chunk {number}"):
            yield b"x"


async def streamed(request: Request) -> Response:
    return StreamingResponse(chunks(), background=BackgroundTask(mail))


async def mail() -> None:
    with subsegment("mail"):
        pass


ROUTES = [
    Route("/", hello),
    Route("/items/{id:int}", hello),
    Route("/same/{one}", hello, methods=["GET"]),
    Route("/failing", failing),
    Route("/not-there", not_there),
    Route("/unavailable", unavailable),
    Route("/moved", moved),
    Route("/sync", sync),
    Route("/streamed", streamed),
    Mount("/shops/{shop}", routes=[Route("/", failing), Mount("/rooms", routes=[Route("/{room}", hello)])]),
    Host("admin.{domain}", Starlette(routes=[Route("/users/{user}", hello)])),
]


def outside(**more: Any) -> Any:
    return XRayMiddleware(Starlette(routes=ROUTES, **more), service="shop")


def among(**more: Any) -> Any:
    app = Starlette(routes=ROUTES, **more)
    app.add_middleware(XRayMiddleware, service="shop")
    return app


both = pytest.mark.parametrize("wrapped", [outside, among])


@both
def test_a_request_is_a_segment(traces: Traces, wrapped: Any) -> None:
    server = get(wrapped(), "/items/17")
    assert traces.one.names() == ("shop", [("greet", [])])
    assert traces.one.annotations == {"route": "/items/{id}"}
    assert server.headers[-1] == (b"x-amzn-trace-id", f"Root={traces.one.document['trace_id']}".encode())
    assert traces.one.document["http"]["response"] == {"status": 200, "content_length": 5}


@both
def test_an_exception_is_recorded_once_with_the_500_that_starlette_answers(traces: Traces, wrapped: Any) -> None:
    server = Server(REQUEST)
    with pytest.raises(ValueError, match="sold out"):
        asyncio.run(answered(wrapped(), http_scope("/failing"), server))
    assert server.status == 500
    assert [exception["message"] for exception in traces.one.exceptions] == ["sold out"]
    assert traces.one.document["http"]["response"]["status"] == 500
    assert traces.one.annotations == {"route": "/failing"}


@both
def test_an_error_handler_of_the_programs_own_is_no_hiding_place(traces: Traces, wrapped: Any) -> None:
    async def bad_gateway(request: Request, error: Exception) -> Response:
        return JSONResponse({}, 502)

    server = get(wrapped(exception_handlers={ValueError: bad_gateway}), "/failing")
    assert server.status == 502
    assert [exception["message"] for exception in traces.one.exceptions] == ["sold out"]
    assert traces.one.flags == {"fault"}


@both
def test_http_exceptions_are_answers(traces: Traces, wrapped: Any) -> None:
    assert get(wrapped(), "/not-there").status == 404
    assert traces.one.flags == {"error"}
    assert traces.one.exceptions == []
    traces.clear()
    assert get(wrapped(), "/unavailable").status == 503
    assert traces.one.flags == {"fault"}
    assert [exception["type"] for exception in traces.one.exceptions] == ["starlette.exceptions.HTTPException"]


@both
def test_a_redirect_is_no_fault(traces: Traces, wrapped: Any) -> None:
    assert get(wrapped(), "/moved").status == 307
    assert traces.one.flags == set()


@both
def test_a_sync_endpoint_runs_in_a_thread_that_belongs_to_the_request(traces: Traces, wrapped: Any) -> None:
    server = get(wrapped(), "/sync")
    assert traces.one.names() == ("shop", [("in a thread", [])])
    assert server.body.decode() == traces.one.document["trace_id"]


@both
def test_a_stream_is_traced_to_its_end_and_a_background_task_after_it(traces: Traces, wrapped: Any) -> None:
    assert get(wrapped(), "/streamed").body == b"xx"
    assert traces.one.names() == ("shop", [("chunk 0", []), ("chunk 1", []), ("mail", [])])
    segment, mail = traces.documents
    assert mail["parent_id"] == segment["id"]
    assert mail["start_time"] >= segment["end_time"]


@pytest.mark.parametrize("version", ["2.3", "2.4"])
@both
def test_a_client_that_hangs_up_on_a_stream_is_marked_and_no_fault(traces: Traces, wrapped: Any, version: str) -> None:
    """Before ASGI 2.4, Starlette waits for the disconnect beside the stream; since then, newer ones let it raise."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0)
            server.gone.set()

    async def stream(request: Request) -> Response:
        return StreamingResponse(endless())

    app = wrapped()
    (app.app if wrapped is outside else app).routes.insert(0, Route("/endless", stream))
    server = Server(REQUEST, fails_after=None if version == "2.3" else 3)
    scope = http_scope("/endless", asgi={"version": "3.0", "spec_version": version})
    with suppress(ClientDisconnect):
        asyncio.run(answered(app, scope, server))
    assert traces.one.flags == set()
    assert traces.one.metadata == {"xray_lambda": {"disconnected": True}}


@both
def test_a_client_that_hangs_up_while_it_sends_is_marked_and_no_fault(traces: Traces, wrapped: Any) -> None:
    async def upload(request: Request) -> Response:
        await request.body()
        raise AssertionError

    app = wrapped()
    (app.app if wrapped is outside else app).routes.insert(0, Route("/upload", upload, methods=["POST"]))
    server = Server({"type": "http.request", "body": b"first half", "more_body": True})
    server.gone.set()
    with pytest.raises(ClientDisconnect):
        asyncio.run(answered(app, http_scope("/upload", method="POST"), server))
    assert traces.one.flags == set()
    assert traces.one.exceptions == []
    assert traces.one.metadata == {"xray_lambda": {"disconnected": True}}


@both
def test_middleware_that_runs_the_app_in_a_task_changes_nothing(traces: Traces, wrapped: Any) -> None:
    async def around(request: Request, call_next: Any) -> Any:
        with subsegment("around"):
            return await call_next(request)

    app = wrapped(middleware=[Middleware(BaseHTTPMiddleware, dispatch=around)])
    assert get(app, "/items/17").body == b"hello"
    assert traces.one.names() == ("shop", [("around", [("greet", [])])])
    assert traces.one.annotations == {"route": "/items/{id}"}
    traces.clear()
    with pytest.raises(ValueError, match="sold out"):
        get(app, "/failing")
    assert traces.one["around"].exceptions[0]["message"] == "sold out"
    assert traces.one.document["cause"] == traces.one["around"].exceptions[0]["id"]
    assert traces.one.flags == {"fault"}
    gc.collect()  # else what older ones leave behind would be found in another test


@pytest.mark.parametrize(
    ("path", "host", "route"),
    [
        ("/", b"x", "/"),
        ("/items/17", b"x", "/items/{id}"),
        ("/same/1", b"x", "/same/{one}"),
        ("/shops/7/rooms/8", b"x", "/shops/{shop}/rooms/{room}"),
        ("/shops/rooms/rooms/8", b"x", "/shops/{shop}/rooms/{room}"),
        ("/users/9", b"admin.example.com", "/users/{user}"),
        ("/nowhere", b"x", None),
        ("/shops/7/nowhere", b"x", "/shops/{shop}/{path}"),
    ],
)
@pytest.mark.parametrize("root_path", ["", "/api"])
def test_the_route_is_an_annotation(traces: Traces, path: str, host: bytes, route: str | None, root_path: str) -> None:
    get(outside(), root_path + path, headers=[(b"host", host)], root_path=root_path)
    assert traces.one.annotations == ({} if route is None else {"route": route})


def test_a_method_that_a_route_does_not_take_still_has_the_route(traces: Traces) -> None:
    assert get(outside(), "/items/17", method="DELETE").status == 405
    assert traces.one.annotations == {"route": "/items/{id}"}
    assert traces.one.flags == {"error"}


def test_files_are_one_route(traces: Traces, tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("p {}")

    async def one(request: Request) -> Response:
        return FileResponse(tmp_path / "a.css")

    routes = [Mount("/static", StaticFiles(directory=tmp_path)), Route("/one", one)]
    app = XRayMiddleware(Starlette(routes=routes))
    server = get(app, "/static/a.css")
    assert server.body == b"p {}"
    assert traces.one.annotations == {"route": "/static/{path}"}
    assert traces.one.document["http"]["response"] == {"status": 200, "content_length": 4}
    traces.clear()
    server = get(app, "/one", extensions={"http.response.pathsend": {}})
    assert traces.one.annotations == {"route": "/one"}


def test_an_app_that_is_mounted_with_a_door_of_its_own_gets_no_second_segment(traces: Traces) -> None:
    inner = Starlette(routes=[Route("/items/{id}", hello)])
    inner.add_middleware(XRayMiddleware, service="inner")
    app = XRayMiddleware(Starlette(routes=[Mount("/api", inner)]), service="outer")
    get(app, "/api/items/17")
    assert traces.one.names() == ("outer", [("greet", [])])
    assert traces.one.annotations == {"route": "/api/items/{id}"}


class Backend(AuthenticationBackend):
    async def authenticate(self, conn: Any) -> Any:
        return AuthCredentials(["in"]), SimpleUser("ada")


@pytest.mark.parametrize("user", [True, False])
def test_whom_the_authentication_found_is_recorded_only_where_asked(traces: Traces, user: bool) -> None:
    middleware = [Middleware(AuthenticationMiddleware, backend=Backend())]
    get(XRayMiddleware(Starlette(routes=ROUTES, middleware=middleware), user=user))
    assert traces.one.document.get("user") == ("ada" if user else None)


def test_a_websocket_is_a_segment_with_its_route(traces: Traces) -> None:
    async def feed(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.receive_text()

    waiting = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        assert message["type"] == "websocket.accept"

    app = XRayMiddleware(Starlette(routes=[WebSocketRoute("/feeds/{name}", feed)]), service="shop")
    with pytest.raises(WebSocketDisconnect):
        asyncio.run(app(websocket_scope("/feeds/news"), receive, send))
    assert traces.one.annotations == {"route": "/feeds/{name}"}
    assert traces.one.metadata == {"xray_lambda": {"close_code": 1001}}
    assert traces.one.flags == set()
