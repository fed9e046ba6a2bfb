"""ASGI: what is current where, and for how long; what the middleware leaves alone, and whom it names."""

from __future__ import annotations

import asyncio
import contextvars
import types
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.asgi import HOST, Server, answered, get, hello, http_scope, replying, start
from xray_lambda import current_segment, segment, subsegment, trace_header
from xray_lambda._context import current
from xray_lambda.testing import capture
from xray_lambda.web.asgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as traces:
        yield traces


def test_lifespan_is_left_alone(traces: Traces) -> None:
    seen: list[Any] = []

    async def app(*given: Any) -> None:
        seen.extend(given)

    scope, receive, send = {"type": "lifespan", "asgi": {"version": "3.0"}}, object(), object()
    asyncio.run(XRayMiddleware(app)(scope, receive, send))  # type: ignore[arg-type]  # never called
    assert [given is one for given, one in zip(seen, (scope, receive, send), strict=True)] == [True] * 3
    assert list(scope) == ["type", "asgi"]
    assert traces.documents == []


def test_the_scope_is_the_servers_own_and_ends_as_it_was(traces: Traces) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await hello(scope, receive, send)

    scope = http_scope(extensions={"http.response.pathsend": {}}, state={"pool": 1})
    before = dict(scope)
    asyncio.run(answered(XRayMiddleware(app), scope))
    assert seen[0] is scope
    assert scope == before


def test_a_door_within_a_door_does_nothing(traces: Traces) -> None:
    async def copying(scope: Any, receive: Any, send: Any) -> None:
        await XRayMiddleware(hello, service="inner")(dict(scope), receive, send)

    server = get(XRayMiddleware(XRayMiddleware(copying, service="second"), service="outer"))
    assert traces.one.names() == ("outer", [])
    assert len(server.headers) == 2


def test_a_request_that_an_app_makes_to_itself_is_one_of_its_own(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/outer":
            with subsegment("call"):
                inside = http_scope("/inner", headers=[HOST, (b"x-amzn-trace-id", (trace_header() or "").encode())])
                await answered(middleware, inside)
        await hello(scope, receive, send)

    middleware = XRayMiddleware(app, service="shop")
    get(middleware, "/outer")
    assert traces.one.names() == ("shop", [("call", [("shop", [])])])


def test_nothing_stays_current_for_the_servers_next_request(traces: Traces) -> None:
    async def careless(scope: Any, receive: Any, send: Any) -> None:
        subsegment("left open").__enter__()
        await hello(scope, receive, send)

    async def main() -> None:
        for app in (hello, careless, replying(start(500))):
            await answered(XRayMiddleware(app))
            assert current.get() is None
        with pytest.raises(KeyError):
            await answered(XRayMiddleware(raising))
        assert current.get() is None

    async def raising(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError

    asyncio.run(main())


def test_a_request_that_is_given_up_elsewhere_changes_nothing_there(traces: Traces) -> None:
    """An event loop that ends leaves its coroutines to the garbage collector, which closes them wherever it runs."""

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    @types.coroutine
    def receive() -> Any:
        yield

    server: Any = Server()
    coroutine = XRayMiddleware(waiting)(http_scope(), receive, server.send)
    contextvars.copy_context().run(coroutine.send, None)
    with segment("elsewhere") as here:
        coroutine.close()
        assert current.get() is here
    assert sorted(root.name for root in traces.roots) == ["elsewhere", "web"]
    assert [root.flags for root in traces.roots] == [set(), set()]


@pytest.mark.parametrize("number", [1, 20])
def test_tasks_and_threads_of_concurrent_requests_keep_to_their_own(traces: Traces, number: int) -> None:
    async def part(name: str) -> None:
        with subsegment(name):
            await asyncio.sleep(0)
            await asyncio.to_thread(in_thread, name)

    def in_thread(name: str) -> None:
        with subsegment(f"{name} thread") as sub:
            sub.annotate(path=current_path())

    def current_path() -> str:
        return str(current_segment().details["http"]["request"]["url"]).rpartition("/")[2]  # type: ignore[attr-defined]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.gather(part("a"), part("b"))
        await hello(scope, receive, send)

    async def main() -> None:
        middleware = XRayMiddleware(app)
        await asyncio.gather(*(answered(middleware, http_scope(f"/{one}")) for one in range(number)))

    asyncio.run(main())
    assert len(traces) == number
    for root in traces.roots:
        path = root.document["http"]["request"]["url"].rpartition("/")[2]
        assert sorted(root.names()[1]) == [("a", [("a thread", [])]), ("b", [("b thread", [])])]
        assert [root[name][f"{name} thread"].annotations for name in "ab"] == [{"path": path}] * 2


class User:
    is_authenticated = True

    def __init__(self, **names: object) -> None:
        vars(self).update(names)

    @property
    def identity(self) -> str:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (User(username="ada"), "ada"),
        (User(display_name="Ada"), "Ada"),
        (User(username="ada", is_authenticated=False), None),
        (User(username=17), None),
        ("ada", "ada"),
        (object(), None),
        (None, None),
    ],
)
def test_the_user_is_recorded_only_where_that_is_asked(traces: Traces, user: object, name: str | None) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["user"] = user
        await hello(scope, receive, send)

    get(XRayMiddleware(app))
    assert "user" not in traces.one.document
    traces.clear()
    get(XRayMiddleware(app, user=True))
    assert traces.one.document.get("user") == name


def test_a_function_of_the_programs_own_may_say_who_asked(traces: Traces) -> None:
    get(XRayMiddleware(hello, user=lambda scope: scope["path"][1:]), "/ada")
    assert traces.one.document["user"] == "ada"
    traces.clear()
    get(XRayMiddleware(hello, user=lambda scope: None), user="bob")
    assert "user" not in traces.one.document


def test_behind_an_adapter_in_lambda_each_request_has_the_trace_of_its_own_header() -> None:
    """The Lambda Web Adapter hands requests to a server, whose process Lambda's runtime says nothing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with subsegment("work"):
            await asyncio.sleep(0)
            seen[scope["path"]] = trace_header()
        await hello(scope, receive, send)

    async def main() -> list[Server]:
        scopes = [
            http_scope(f"/{number}", headers=[HOST, (b"x-amzn-trace-id", header.encode())])
            for number, header in enumerate(headers)
        ]
        return await asyncio.gather(*(answered(middleware, scope) for scope in scopes))

    seen: dict[str, str | None] = {}
    middleware = XRayMiddleware(app, service="shop")
    parent = "53995c3f42cd8ad8"
    headers = [f"Root=1-5759e988-{one:024x};Parent={parent};Sampled={int(one < 20)}" for one in range(21)]
    with capture(header="") as traces:
        servers = asyncio.run(main())
    assert [server.headers for server in servers] == [[(b"content-length", b"5")]] * 21
    assert len(traces.documents) == 20
    for number, document in enumerate(sorted(traces.documents, key=lambda one: str(one["trace_id"]))):
        (work,) = document["subsegments"]
        assert (document["type"], document["parent_id"], document["name"]) == ("subsegment", parent, "shop")
        assert seen[f"/{number}"] == f"Root=1-5759e988-{number:024x};Parent={work['id']};Sampled=1"
    assert seen["/20"] == headers[20]
