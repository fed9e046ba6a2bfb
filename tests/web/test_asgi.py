"""ASGI: each request is a segment, from its arrival to the last message of its answer; the app notices nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.lambda_runtime.documents import plain
from tests.web.asgi import HOST, Server, body, get, hello, http_scope, replying, start
from xray_lambda import _recorder, subsegment, trace_header
from xray_lambda.sampling.anomalies import Watch
from xray_lambda.sampling.request import Decision
from xray_lambda.testing import ROOT, capture
from xray_lambda.web.asgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.sampling.request import SamplingRequest
    from xray_lambda.testing import Traces

PARENT = "53995c3f42cd8ad8"
SAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=1".encode()


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as traces:
        yield traces


def traced(header: bytes = SAMPLED, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [HOST, (b"x-amzn-trace-id", header), *more]


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


class Declining:
    """A sampler that records nothing, and wants to know how it ends."""

    def __init__(self) -> None:
        self.watch = Watch()

    def decide(self, request: SamplingRequest) -> Decision:
        return Decision(False, "Default", self.watch)

    def close(self) -> None:
        pass


def test_a_sampler_that_declines_is_told_how_it_ends() -> None:
    async def raising(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError

    with capture(header=None) as traces:
        recorder = _recorder.active()
        recorder.sampler = sampler = Declining()
        get(XRayMiddleware(hello, service="shop"))
        get(XRayMiddleware(replying(start(500), body()), service="shop"))
        with pytest.raises(ValueError):  # noqa: PT011 - the app's own
            get(XRayMiddleware(raising, service="shop"))
    endings = sampler.watch.take()["shop"]
    assert (endings.total, endings.anomalies, endings.sampled_anomalies) == (3, 2, 0)
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


@pytest.mark.parametrize("length", [b"9" * 5000, b"five", b"-1", b""])
def test_a_length_that_is_none_is_left_out(traces: Traces, length: bytes) -> None:
    server = get(XRayMiddleware(replying(start(200, (b"content-length", length)), body())))
    assert server.headers[0] == (b"content-length", length)
    assert traces.one.document["http"]["response"] == {"status": 200}


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
