"""ASGI: each request is a segment, from its arrival to the last message of its answer; the app notices nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.lambda_runtime.documents import plain
from tests.web.asgi import HOST, REQUEST, Server, answered, body, get, hello, http_scope, start
from xray_lambda import current_segment, subsegment, trace_header
from xray_lambda._context import current
from xray_lambda.testing import ROOT, capture
from xray_lambda.web.asgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

PARENT = "53995c3f42cd8ad8"
SAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=1".encode()


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as traces:
        yield traces


def traced(header: bytes = SAMPLED, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [HOST, (b"x-amzn-trace-id", header), *more]


def replying(*messages: Any) -> Any:
    """Return an app that sends these messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def test_a_request_is_a_segment_with_what_was_asked_and_answered(traces: Traces) -> None:
    app = XRayMiddleware(hello, service="shop", user_agent=True)
    headers = traced(SAMPLED, (b"user-agent", b"curl/8"), (b"x-forwarded-for", b"203.0.113.9, 10.0.0.1"))
    server = get(app, "/items/17", headers=headers)
    assert server.body == b"hello"
    assert server.headers == [(b"content-length", b"5"), (b"x-amzn-trace-id", f"Root={ROOT}".encode())]
    (document,) = plain(traces.documents)
    assert {"service", "aws"} <= document.keys()
    assert {key: value for key, value in document.items() if key not in ("service", "aws")} == {
        "trace_id": ROOT,
        "parent_id": PARENT,
        "name": "shop",
        "http": {
            "request": {
                "method": "GET",
                "url": "http://shop.example.com/items/17",
                "user_agent": "curl/8",
                "client_ip": "203.0.113.9",
                "x_forwarded_for": True,
            },
            "response": {"status": 200, "content_length": 5},
        },
    }


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({}, "http://shop.example.com/items"),
        ({"headers": []}, "http://127.0.0.1:8000/items"),
        ({"headers": [], "server": ("127.0.0.1", 80)}, "http://127.0.0.1/items"),
        ({"headers": [], "server": ("/run/shop.sock", None)}, "/items"),
        ({"headers": [], "server": None}, "/items"),
        ({"headers": [(b"host", b"shop.example.com:443")], "scheme": "https"}, "https://shop.example.com/items"),
        ({"headers": [(b"host", b"b\xfccher.example")]}, "http://b\u00fccher.example/items"),
        ({"root_path": "/api"}, "http://shop.example.com/api/items"),
        ({"root_path": "/api/"}, "http://shop.example.com/api/items"),
        ({"root_path": "/api", "path": "/api/items"}, "http://shop.example.com/api/items"),
        ({"root_path": "/api", "path": "/api"}, "http://shop.example.com/api"),
        ({"root_path": "/api", "path": "/apis"}, "http://shop.example.com/api/apis"),
        ({"path": "/caf\u00e9"}, "http://shop.example.com/caf\u00e9"),
        ({"path": "/a?b#c"}, "http://shop.example.com/a%3Fb%23c"),
        ({"headers": [], "server": ("::1", 8000)}, "http://[::1]:8000/items"),
        ({"path": ""}, "http://shop.example.com/"),
        ({"scheme": None}, "http://shop.example.com/items"),
    ],
)
def test_the_url_is_what_was_asked_for(traces: Traces, more: dict[str, Any], url: str) -> None:
    get(XRayMiddleware(hello), **{"path": "/items", **more})
    assert traces.one.document["http"]["request"]["url"] == url


def test_a_client_without_an_address_is_not_named(traces: Traces) -> None:
    get(XRayMiddleware(hello), client=None)
    assert "client_ip" not in traces.one.document["http"]["request"]


def test_headers_may_be_lists_and_the_first_of_two_counts(traces: Traces) -> None:
    headers = [[b"x-forwarded-for", b"203.0.113.9"], [b"x-forwarded-for", b"10.0.0.1"], [b"x-amzn-trace-id", SAMPLED]]
    get(XRayMiddleware(hello), headers=headers)
    assert traces.one.document["trace_id"] == ROOT
    assert traces.one.document["http"]["request"]["client_ip"] == "203.0.113.9"


def test_a_traceparent_counts_where_no_x_ray_header_came(traces: Traces) -> None:
    get(XRayMiddleware(hello), headers=[HOST, (b"traceparent", f"00-{ROOT[2:10]}{ROOT[11:]}-{PARENT}-01".encode())])
    assert (traces.one.document["trace_id"], traces.one.document["parent_id"]) == (ROOT, PARENT)


def test_malformed_headers_and_huge_ones_are_ignored(traces: Traces) -> None:
    for value in (b"\xff\xfe=;;;", b"Root=nothing", b"Root=1-" + b"f" * 100_000, b""):
        assert get(XRayMiddleware(hello), headers=traced(value)).body == b"hello"
    assert [root.document.get("parent_id") for root in traces.roots] == [None] * 4


def test_the_caller_that_asks_is_told_the_decision() -> None:
    for enabled, decision in ((True, 1), (False, 0)):
        with capture(header=None, enabled=enabled) as traces:
            server = get(XRayMiddleware(hello), headers=traced(f"Root={ROOT};Sampled=?".encode()))
        assert server.headers[-1] == (b"x-amzn-trace-id", f"Root={ROOT};Sampled={decision}".encode())
        assert len(traces) == decision


def test_an_unsampled_request_passes_its_header_on_and_is_not_recorded(traces: Traces) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with subsegment("work"):
            seen.append(trace_header())
        await hello(scope, receive, send)

    server = get(XRayMiddleware(app), headers=traced(f"Root={ROOT};Parent={PARENT};Sampled=0;Lineage=a:1".encode()))
    assert seen == [f"Root={ROOT};Parent={PARENT};Sampled=0;Lineage=a:1"]
    assert server.headers[-1] == (b"x-amzn-trace-id", f"Root={ROOT}".encode())
    assert traces.documents == []


def test_paths_to_ignore_are_left_alone(traces: Traces) -> None:
    app = XRayMiddleware(hello, ignore_paths="/api/health*")
    for more in ({"path": "/api/healthz"}, {"path": "/healthz", "root_path": "/api"}):
        assert get(app, **more).headers == [(b"content-length", b"5")]
    assert traces.documents == []


def test_a_host_that_the_pattern_allows_names_the_segment(traces: Traces) -> None:
    get(XRayMiddleware(hello, service="shop", hosts="*.example.com"))
    assert traces.one.name == "shop.example.com"


def test_the_apps_own_messages_are_left_as_they_are(traces: Traces) -> None:
    headers = ((b"content-length", b"5"),)
    message = {"type": "http.response.start", "status": 200, "headers": headers}
    before = dict(message)
    server = get(XRayMiddleware(replying(message, body(b"hello"))))
    assert message == before
    assert message["headers"] is headers
    assert len(server.headers) == 2


def test_a_trace_header_of_the_apps_own_stays_the_only_one(traces: Traces) -> None:
    server = get(XRayMiddleware(replying(start(200, (b"X-Amzn-Trace-Id", b"theirs")), body())))
    assert server.headers == [(b"X-Amzn-Trace-Id", b"theirs")]


def test_a_start_without_headers_gets_ours(traces: Traces) -> None:
    server = get(XRayMiddleware(replying({"type": "http.response.start", "status": 204}, body())))
    assert [name for name, _ in server.headers] == [b"x-amzn-trace-id"]
    assert traces.one.document["http"]["response"] == {"status": 204}


@pytest.mark.parametrize(
    ("status", "flags"),
    [(200, set()), (302, set()), (404, {"error"}), (429, {"error", "throttle"}), (500, {"fault"}), (503, {"fault"})],
)
def test_a_status_flags_the_segment(traces: Traces, status: int, flags: set[str]) -> None:
    get(XRayMiddleware(replying(start(status), body())))
    assert traces.one.flags == flags
    assert "cause" not in traces.one.document


LASTS = {
    "a body": [body(b"x")],
    "a body without more_body": [{"type": "http.response.body"}],
    "the last of many": [body(b"x", more=True), body(b"y", more=True), body()],
    "a file by its path": [{"type": "http.response.pathsend", "path": "/etc/hostname"}],
    "a file by its descriptor": [
        {"type": "http.response.zerocopysend", "file": 3, "more_body": True},
        {"type": "http.response.zerocopysend", "file": 3},
    ],
}


@pytest.mark.parametrize("messages", LASTS.values(), ids=LASTS)
def test_a_segment_ends_with_the_last_message_of_the_answer(traces: Traces, messages: list[Any]) -> None:
    open_after = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in [start(), *messages]:
            await send(message)
            open_after.append(not traces.documents)

    get(XRayMiddleware(app))
    assert open_after == [True] * len(messages) + [False]


def test_trailers_are_part_of_an_answer(traces: Traces) -> None:
    open_after = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>"]})
        await send(start(trailers=True))
        for message in (
            body(b"x"),
            {"type": "http.response.trailers", "headers": [], "more_trailers": True},
            {"type": "http.response.trailers", "headers": [(b"digest", b"1")]},
        ):
            await send(message)
            open_after.append(not traces.documents)

    server = get(XRayMiddleware(app))
    assert open_after == [True, True, False]
    assert [message["type"].rpartition(".")[2] for message in server.sent] == [
        "early_hint", "start", "body", "trailers", "trailers"
    ]  # fmt: skip


def test_a_segment_lasts_until_the_last_byte_is_taken(traces: Traces) -> None:
    async def main() -> None:
        arriving, taken = asyncio.Event(), asyncio.Event()

        async def slow(message: Any) -> None:
            arriving.set()
            await taken.wait()

        task = asyncio.ensure_future(XRayMiddleware(replying(start(), body()))(http_scope(), Server().receive, slow))
        await arriving.wait()
        assert traces.documents == []
        taken.set()
        await task
        assert len(traces) == 1

    asyncio.run(main())


def test_what_runs_after_the_answer_hangs_below_the_segment(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        with subsegment("mail") as sub:
            assert trace_header() == f"Root={ROOT};Parent={sub.id};Sampled=1"

    get(XRayMiddleware(app), headers=traced())
    assert [document["name"] for document in traces.documents] == ["web", "mail"]
    assert traces.one.names() == ("web", [("mail", [])])


def test_an_answer_from_within_a_subsegment_leaves_it_open(traces: Traces) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with subsegment("render"):
            await hello(scope, receive, send)
            with subsegment("count"):
                pass

    get(XRayMiddleware(app))
    assert traces.one.names() == ("web", [("render", [("count", [])])])


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
