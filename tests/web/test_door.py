"""Doors: which requests are traced, what their segments are called, what is said of them, and what Lambda changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.schema import checked
from xray_lambda import _config, _recorder, annotate, current_segment, inject, segment, subsegment
from xray_lambda._emitters.memory import MemoryEmitter
from xray_lambda.sampling.request import Decision, SamplingRequest
from xray_lambda.testing import HEADER, ROOT, capture
from xray_lambda.web._arrival import Arrival
from xray_lambda.web._door import Door, matches
from xray_lambda.web._exchange import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

PARENT = "53995c3f42cd8ad8"
UNSAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=0"


def arrival(path: str = "/items/7", host: str = "shop.example.com", **more: Any) -> Arrival:
    return Arrival("GET", host, path, lambda: f"http://{host}{path}", **more)


def served(door: Door, request: Arrival, status: int = 200) -> str | None:
    """Answer a request, and return the answer's header."""
    exchange = door.open(request)
    exchange.answered(status)
    header = exchange.response_header()
    exchange.leave()
    exchange.end()
    return header


def header_of_a_call() -> dict[str, str]:
    """Return what a call made here would carry."""
    headers: dict[str, str] = {}
    inject(headers)
    return headers


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as caught:
        yield caught
        for document in caught._emitter.documents:
            checked(document)


def test_a_request_is_a_segment_that_says_what_was_asked_and_answered(traces: Traces) -> None:
    forwarded = "203.0.113.9, 10.0.0.2"
    served(Door(service="shop", user_agent=True), arrival(trace=HEADER, forwarded=forwarded, agent="curl/8"))
    document = traces.one.document
    assert (document["name"], document["trace_id"], document["parent_id"]) == ("shop", ROOT, PARENT)
    assert document["http"] == {
        "request": {
            "method": "GET",
            "url": "http://shop.example.com/items/7",
            "user_agent": "curl/8",
            "client_ip": "203.0.113.9",
            "x_forwarded_for": True,
        },
        "response": {"status": 200},
    }


def test_the_user_agent_is_recorded_only_when_asked_for(traces: Traces) -> None:
    served(Door(), arrival(agent="curl/8"))
    assert "user_agent" not in traces.one.document["http"]["request"]


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        (200, set()), (302, set()), (404, {"error"}), (429, {"error", "throttle"}), (500, {"fault"}), (503, {"fault"}),
    ],
)  # fmt: skip
def test_4xx_is_an_error_429_a_throttle_and_5xx_a_fault(traces: Traces, status: int, flags: set[str]) -> None:
    served(Door(), arrival(), status)
    assert traces.one.flags == flags


@pytest.mark.parametrize("url", ["http://ada:secret@shop/a", "http://shop/a?token=secret", "http://shop/a#secret"])
def test_a_url_is_recorded_without_what_may_be_secret(traces: Traces, url: str) -> None:
    served(Door(), Arrival("GET", "shop", "/a", lambda: url))
    assert traces.one.document["http"]["request"]["url"] == "http://shop/a"


def test_what_a_client_sends_is_cut_to_what_x_ray_takes(traces: Traces) -> None:
    served(Door(user_agent=True), arrival(path="/é" * 10_000, agent="\ud800" * 10_000))
    request = traces.one.document["http"]["request"]
    assert (len(request["url"]), len(request["user_agent"])) == (250, 250)


@pytest.mark.parametrize(
    ("environ", "options", "name"),
    [
        ({}, {}, "web"),
        ({}, {"otherwise": "project"}, "project"),
        ({"AWS_XRAY_TRACING_NAME": "named"}, {"otherwise": "project"}, "named"),
        ({"AWS_XRAY_TRACING_NAME": "named"}, {"service": "shop"}, "shop"),
        ({}, {"service": "shop", "hosts": "*.example.com"}, "a.example.com"),
        ({}, {"service": "shop", "hosts": "*.EXAMPLE.com"}, "a.example.com"),
        ({}, {"service": "shop", "hosts": "*.example.org"}, "shop"),
        ({}, {"service": "shop", "hosts": "?.example.com"}, "a.example.com"),
        ({}, {"service": "shop", "hosts": "*"}, "a.example.com"),
    ],
)
def test_a_segment_is_called_as_it_is_told_by_its_host_or_by_its_service(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], options: dict[str, Any], name: str
) -> None:
    emitter = MemoryEmitter()
    _recorder.use(_recorder.Recorder(_config.load(environ, strict=True), emitter))
    served(Door(**options), arrival(host="A.example.com:8080"))
    assert checked(emitter.documents[0])["name"] == name


@pytest.mark.parametrize("host", [None, "", "[::1]:8080", "evil.com", "a.example.com.evil.com"])
def test_a_host_that_the_pattern_does_not_allow_names_nothing(traces: Traces, host: str | None) -> None:
    served(Door(service="shop", hosts="*.example.com"), Arrival("GET", host, "/", lambda: "http://shop/"))
    assert traces.one.name == "shop"


def test_paths_to_be_ignored_are_left_alone_and_their_answer_too(traces: Traces) -> None:
    door = Door(ignore_paths=["/health*", "/metrics"])
    answered = [
        served(door, arrival(path)) for path in ("/health", "/health/live", "/metrics", "/metrics/x", "/a/health")
    ]
    assert [header is not None for header in answered] == [False, False, False, True, True]
    assert len(traces) == 2


def test_the_settings_may_say_which_paths_are_left_alone() -> None:
    with capture(header=None, ignore_paths="/health*,/metrics") as traces:
        for path in ("/health", "/metrics", "/shop"):
            served(Door(ignore_paths="/shop"), arrival(path))
        assert len(traces) == 0
        served(Door(), arrival("/cart"))
        assert len(traces) == 1


def test_a_request_that_is_left_alone_passes_its_trace_on(traces: Traces) -> None:
    exchange = Door(ignore_paths="/health").open(arrival("/health", trace=HEADER))
    with subsegment("work"):
        assert header_of_a_call() == {"X-Amzn-Trace-Id": HEADER}
    exchange.leave()
    exchange.end()
    assert len(traces) == 0


@pytest.mark.parametrize(
    ("pattern", "text", "covers"),
    [
        ("/health*", "/health/live", True),
        ("/health*", "/a/health", False),
        ("/h?alth", "/health", True),
        ("/a.b", "/axb", False),
        ("*", "any\nthing", True),
        ("/(a+)+$", "/" + "a" * 50, False),
        ("*" * 50 + "b", "a" * 10_000, False),
    ],
)
def test_a_pattern_is_nothing_but_stars_and_question_marks(pattern: str, text: str, covers: bool) -> None:
    assert matches((pattern,), text) is covers


@pytest.mark.parametrize(
    ("trace", "answer"),
    [
        (HEADER, f"Root={ROOT}"),
        (UNSAMPLED, f"Root={ROOT}"),
        (f"Root={ROOT};Parent={PARENT};Sampled=?", f"Root={ROOT};Sampled=1"),
        (f"Root={ROOT};Sampled=?", f"Root={ROOT};Sampled=1"),
        (f"Root={ROOT}", f"Root={ROOT}"),
    ],
)
def test_the_answer_names_the_trace_and_the_decision_where_that_was_asked_for(
    traces: Traces, trace: str, answer: str
) -> None:
    assert served(Door(), arrival(trace=trace)) == answer


def test_an_unsampled_request_is_not_recorded_and_passes_the_real_trace_on(traces: Traces) -> None:
    exchange = Door().open(arrival(trace=UNSAMPLED))
    with subsegment("work"):
        assert header_of_a_call() == {"X-Amzn-Trace-Id": UNSAMPLED}
    exchange.leave()
    exchange.end()
    assert len(traces) == 0


class Declines:
    """A sampler that declines, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[SamplingRequest] = []

    def decide(self, request: SamplingRequest) -> Decision:
        self.asked.append(request)
        return Decision(False)

    def close(self) -> None:
        """Do nothing: nothing runs in the background."""


def test_the_sampler_is_told_of_the_request_where_upstream_has_not_decided(traces: Traces) -> None:
    sampler = _recorder.active().sampler = Declines()
    asking = served(Door(service="shop"), arrival(trace=f"Root={ROOT};Sampled=?"))
    served(Door(service="shop"), arrival())
    served(Door(service="shop"), arrival(trace=HEADER))
    served(Door(service="shop"), arrival(trace=UNSAMPLED))
    told = [(one.service, one.host, one.method, one.path) for one in sampler.asked]
    assert told == [("shop", "shop.example.com", "GET", "/items/7")] * 2
    assert asking == f"Root={ROOT};Sampled=0"
    assert len(traces) == 1


def test_nothing_is_recorded_when_tracing_is_switched_off_and_the_header_is_passed_on() -> None:
    with capture(header=None, enabled=False) as traces:
        exchange = Door().open(arrival(trace=HEADER))
        assert header_of_a_call() == {"X-Amzn-Trace-Id": HEADER}
        exchange.leave()
        exchange.end()
    assert len(traces) == 0


def test_a_request_shows_as_in_progress_where_that_is_asked_for() -> None:
    with capture(header=None, early=True) as traces:
        exchange = Door(service="shop").open(arrival())
        document = traces.documents[0]
        assert document["in_progress"] is True
        assert document["http"]["request"]["url"] == "http://shop.example.com/items/7"
        exchange.leave()
        exchange.end()
        assert traces.one.document.keys() >= {"end_time", "http"}


def test_a_fault_of_ours_leaves_the_request_untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    with capture(header=None, strict=False) as traces:

        def broken() -> str:
            raise LookupError

        exchange = Door().open(Arrival("GET", "shop", "/", broken))
        assert exchange is NOTHING
        exchange.resume()
        exchange.answered(200)
        exchange.failed(ValueError())
        exchange.leave()
        exchange.end()
        assert exchange.response_header() is None
        assert current_segment().trace_id is None
    assert len(traces) == 0


def test_in_lambda_a_request_is_a_subsegment_of_the_invocation_and_answered_without_our_header() -> None:
    with capture() as traces, subsegment("handler"):
        assert served(Door(service="shop"), arrival(forwarded="203.0.113.9"), 503) is None
    sub = traces.one["shop"]
    assert sub.document["http"]["request"]["client_ip"] == "203.0.113.9"
    assert "x_forwarded_for" not in sub.document["http"]["request"]
    assert (sub.flags, sub.document["http"]["response"]) == ({"fault"}, {"status": 503})


def test_in_lambda_without_a_handler_of_ours_the_request_takes_what_is_put_on_the_invocation() -> None:
    with capture() as traces:
        exchange = Door(service="shop").open(arrival())
        current_segment().annotate(order=17)
        annotate(item=7)
        exchange.leave()
        exchange.end()
    assert (traces.one.name, traces.one.document["parent_id"]) == ("shop", PARENT)
    assert traces.one.annotations == {"order": 17, "item": 7}


@pytest.mark.parametrize("header", [UNSAMPLED, f"Root={ROOT};Parent={PARENT}"])
def test_in_lambda_an_unsampled_invocation_stays_so_whatever_the_request_says(header: str) -> None:
    with capture(header=header) as traces:
        exchange = Door().open(
            arrival(trace="Root=1-5759e988-000000000000000000000001;Parent=1234567890123456;Sampled=1")
        )
        with subsegment("work"):
            assert header_of_a_call() == {"X-Amzn-Trace-Id": header}
        exchange.leave()
        exchange.end()
    assert len(traces) == 0


class Adapter:
    """A runtime that says nothing of traces, as that of a web adapter: it hands them on as request headers."""

    def __init__(self) -> None:
        self.emitter = MemoryEmitter()
        config = _config.load({}, strict=True)
        _recorder.use(_recorder.Recorder(config, self.emitter, read_header=lambda: None, in_lambda=True))


def test_in_lambda_the_requests_own_header_counts_where_the_runtime_gives_none() -> None:
    adapter = Adapter()
    served(Door(service="shop"), arrival(trace=HEADER))
    document = checked(adapter.emitter.documents[0])
    assert (document["type"], document["trace_id"], document["parent_id"]) == ("subsegment", ROOT, PARENT)


@pytest.mark.parametrize("trace", [UNSAMPLED, f"Root={ROOT}", None])
def test_in_lambda_nothing_is_recorded_where_neither_runtime_nor_request_says_so(trace: str | None) -> None:
    adapter = Adapter()
    exchange = Door().open(arrival(trace=trace))
    expected = {} if trace is None else {"X-Amzn-Trace-Id": trace}
    with subsegment("work"):
        assert header_of_a_call() == expected
    exchange.leave()
    exchange.end()
    assert adapter.emitter.documents == []


def test_a_segment_of_the_programs_own_within_a_request_is_a_trace_of_its_own(traces: Traces) -> None:
    exchange = Door(service="shop").open(arrival(trace=HEADER))
    with segment("own"), subsegment("work"):
        pass
    with subsegment("more"):
        pass
    exchange.leave()
    exchange.end()
    assert {node.name: [child.name for child in node.children] for node in traces.roots} == {
        "shop": ["more"],
        "own": ["work"],
    }


def test_importing_the_shared_body_asks_the_environment_nothing() -> None:
    assert "AWS_XRAY_DAEMON_ADDRESS" not in os.environ
    assert _recorder._active is None
