"""Who decides whether a trace is recorded: upstream, the caller, the sampler; and what each leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from xray_lambda import _config, _guard, _recorder, current_segment, inject, segment, subsegment
from xray_lambda._emitters.memory import MemoryEmitter
from xray_lambda._entities import Segment, UntracedSegment
from xray_lambda._header import TraceHeader
from xray_lambda.sampling.request import Decision, Never, SamplingRequest
from xray_lambda.testing import HEADER, ROOT, Traces, capture

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = "53995c3f42cd8ad8"


class Asked:
    """A sampler that gives one answer, and keeps what it was asked."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.requests: list[SamplingRequest] = []

    def decide(self, request: SamplingRequest) -> Decision:
        self.requests.append(request)
        return self.decision

    def close(self) -> None:
        """Do nothing."""


class Broken:
    """A sampler with a fault of ours."""

    def decide(self, request: SamplingRequest) -> Decision:
        raise LookupError


def recorder(sampler: Any) -> _recorder.Recorder:
    return _recorder.Recorder(_config.load({}, strict=True), MemoryEmitter(), sampler=sampler)


@pytest.fixture
def asked() -> Iterator[tuple[Asked, Traces]]:
    """A sampler that declines, in force, and what is recorded nevertheless."""
    sampler = Asked(Decision(False, "Default"))
    with capture(header=None) as traces:
        _recorder.active().sampler = sampler
        yield sampler, traces


@pytest.mark.parametrize(("upstream", "kind"), [("1", Segment), ("0", UntracedSegment)])
@pytest.mark.parametrize("answer", [True, False])
def test_upstream_decides_where_it_has_decided(upstream: str, kind: type, answer: bool) -> None:
    sampler = Asked(Decision(answer, "shop"))
    made = recorder(sampler).segment("shop", TraceHeader(ROOT, PARENT, upstream))
    assert type(made) is kind
    assert made.sampled is (upstream == "1")
    assert sampler.requests == []


@pytest.mark.parametrize("upstream", ["?", None])
def test_the_sampler_decides_where_upstream_has_not(upstream: str | None) -> None:
    sampler = Asked(Decision(True))
    request = SamplingRequest("shop", "shop.example", "GET", "/basket")
    made = recorder(sampler).segment("shop", TraceHeader(ROOT, PARENT, upstream), request)
    assert sampler.requests == [request]
    assert made.sampled
    assert str(made.header()) == f"Root={ROOT};Parent={made.id};Sampled=1"


@pytest.mark.parametrize("upstream", ["?", None])
def test_a_trace_that_is_declined_is_passed_on_as_unsampled(upstream: str | None) -> None:
    came_in = TraceHeader(ROOT, PARENT, upstream, ";Lineage=a:1")
    made = recorder(Asked(Decision(False, "Default"))).segment("shop", came_in)
    assert not made.sampled
    assert str(made.header()) == f"Root={ROOT};Parent={PARENT};Sampled=0;Lineage=a:1"
    assert came_in.sampled == upstream, "who answers `?` must still see that it was asked"


def test_a_trace_that_begins_here_has_a_root_even_if_it_is_declined() -> None:
    made = recorder(Asked(Decision(False))).segment("shop", TraceHeader())
    assert made.trace_id is not None
    assert str(made.header()) == f"Root={made.trace_id};Sampled=0"


def test_of_a_segment_without_a_request_the_sampler_is_told_the_name() -> None:
    sampler = Asked(Decision(True))
    recorder(sampler).segment("nightly", TraceHeader())
    (request,) = sampler.requests
    assert [getattr(request, name) for name in SamplingRequest.__slots__] == [None, None, None, None, "nightly", None]


@pytest.mark.parametrize(
    ("found", "service_type"), [({"origin": "AWS::ECS::Container"}, "AWS::ECS::Container"), ({}, None)]
)
def test_what_is_known_of_the_host_says_of_what_type_the_service_is(
    found: dict[str, str], service_type: str | None
) -> None:
    sampler = Asked(Decision(False))
    hosted = recorder(sampler)
    hosted.host = lambda: found
    hosted.segment("shop", TraceHeader(), SamplingRequest("shop"))
    hosted.segment("nightly", TraceHeader())
    hosted.segment("shop", TraceHeader(), SamplingRequest("shop", service_type="AWS::EC2::Instance"))
    assert [request.service_type for request in sampler.requests] == [service_type, service_type, "AWS::EC2::Instance"]


def test_the_document_names_the_rule_that_sampled_it(asked: tuple[Asked, Traces]) -> None:
    sampler, traces = asked
    sampler.decision = Decision(True, "checkout")
    with segment("shop"):
        pass
    with segment("shop", header=HEADER):
        pass
    ruled, upstream = (document["aws"]["xray"] for document in traces.documents)
    assert ruled == {**upstream, "sampling_rule_name": "checkout"}


def test_what_opens_under_a_declined_segment_is_not_recorded_but_passes_the_trace_on(
    asked: tuple[Asked, Traces],
) -> None:
    _, traces = asked
    headers: dict[str, str] = {}
    with segment("shop"), subsegment("price"):
        inject(headers)
        root = current_segment().trace_id
    assert headers == {"X-Amzn-Trace-Id": f"Root={root};Sampled=0"}
    assert len(traces) == 0


def test_without_a_sampler_every_trace_is_recorded() -> None:
    made = recorder(None)
    assert all(made.segment("shop", TraceHeader()).sampled for _ in range(100))


def test_what_is_switched_off_asks_no_sampler() -> None:
    sampler = Asked(Decision(True))
    off = _recorder.Recorder(_config.load({}, enabled=False), MemoryEmitter(), sampler=sampler)
    assert not off.segment("shop", TraceHeader()).sampled
    assert sampler.requests == []


def test_a_fault_of_the_sampler_loses_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    assert recorder(Broken()).segment("shop", TraceHeader()).sampled


@pytest.mark.parametrize("header", [None, HEADER, HEADER.replace("Sampled=1", "Sampled=0")])
@pytest.mark.parametrize("sampled", [True, False])
def test_a_segment_may_be_told_what_to_do(asked: tuple[Asked, Traces], header: str | None, sampled: bool) -> None:
    sampler, traces = asked
    sampler.decision = Decision(not sampled)
    with segment("worker", header=header, sampled=sampled) as made:
        assert made.sampled is sampled
        assert header is None or made.trace_id == ROOT
    assert len(traces) == sampled
    assert sampler.requests == []


def test_in_lambda_a_worker_may_begin_unsampled() -> None:
    headers: dict[str, str] = {}
    with capture() as traces, subsegment("handler"):
        with segment("record", sampled=False), subsegment("price"):
            inject(headers)
        with segment("record"):
            pass
    handler = traces.one
    assert handler.names() == ("handler", [("record", [])])
    assert headers == {"X-Amzn-Trace-Id": f"Root={ROOT};Parent={handler.id};Sampled=0"}


def test_outside_an_invocation_lambda_has_nothing_to_pass_on(monkeypatch: pytest.MonkeyPatch) -> None:
    headers: dict[str, str] = {}
    with capture() as traces:
        monkeypatch.setattr(_recorder.active(), "read_header", lambda: None)
        with segment("record", sampled=False):
            inject(headers)
    assert (headers, len(traces)) == ({}, 0)


def test_a_sampler_that_never_samples_declines() -> None:
    assert not Never().decide(SamplingRequest("shop")).sampled
