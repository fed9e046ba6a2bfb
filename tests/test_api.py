"""The face: current entities, the trace header, settings, and what happens where no segment is open."""

from __future__ import annotations

import concurrent.futures
import logging
import threading

import pytest

import xray_lambda
from xray_lambda import (
    SegmentNotFoundError,
    annotate,
    bind,
    configure,
    current_segment,
    current_subsegment,
    inject,
    metadata,
    segment,
    subsegment,
    trace_header,
    trace_id,
    traced_handler,
)
from xray_lambda._recorder import active
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids

UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")


def test_the_face_is_pinned() -> None:
    assert xray_lambda.__all__ == [
        "SegmentNotFoundError",
        "__version__",
        "annotate",
        "bind",
        "configure",
        "current_segment",
        "current_subsegment",
        "flush",
        "inject",
        "metadata",
        "patch",
        "patch_all",
        "patch_modules",
        "records",
        "segment",
        "subsegment",
        "trace_header",
        "trace_id",
        "traced",
        "traced_handler",
        "traced_record",
        "unpatch",
        "unpatch_modules",
    ]
    assert {*xray_lambda.__all__, "__name__", "__path__"} <= {*dir(xray_lambda)}
    assert xray_lambda.subsegment is vars(xray_lambda)["subsegment"]


def test_a_name_that_the_face_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'capture'"):
        xray_lambda.capture  # noqa: B018


def test_annotations_and_metadata_land_on_the_current_entity() -> None:
    with capture() as traces:
        with subsegment("outer"):
            annotate(depth=1)
            with subsegment("inner"):
                annotate({"depth": 2})
                metadata(x=1)
                metadata({"y": 2}, namespace="mine")
        assert traces.one.annotations == {"depth": 1}
        assert traces.one["inner"].annotations == {"depth": 2}
        assert traces.one["inner"].metadata == {"default": {"x": 1}, "mine": {"y": 2}}


def test_what_is_put_on_lambdas_segment_lands_on_the_handlers_subsegment() -> None:
    @traced_handler
    def handler(event: object, context: object) -> None:
        with subsegment("deep"):
            current_segment().annotate(order=17)
            current_segment().metadata(x=1)

    with capture() as traces:
        handler({}, None)
        assert traces.one.annotations == {"ColdStart": True, "order": 17}
        assert traces.one.metadata == {"default": {"x": 1}}


def test_without_a_door_what_is_put_on_lambdas_segment_goes_nowhere() -> None:
    with capture() as traces:
        current_segment().annotate(order=17)
        annotate(order=17)
        assert len(traces) == 0


def test_current_entities_are_what_they_say() -> None:
    with capture():
        facade = current_segment()
        assert (facade.trace_id, facade.id) == (ROOT, "53995c3f42cd8ad8")
        assert current_subsegment().id is None
        with subsegment("work") as sub:
            assert current_subsegment() is sub
            assert current_segment().id == facade.id
            assert trace_id() == ROOT


@pytest.mark.parametrize(
    ("incoming", "outgoing"),
    [
        (HEADER, f"Root={ROOT};Parent=0000000000000001;Sampled=1"),
        (HEADER + ";Lineage=1:a87bd80c:0", f"Root={ROOT};Parent=0000000000000001;Sampled=1;Lineage=1:a87bd80c:0"),
        (HEADER + ";Self=1-2;Foo=bar", f"Root={ROOT};Parent=0000000000000001;Sampled=1;Foo=bar"),
        (UNSAMPLED + ";Lineage=1:a87bd80c:0", UNSAMPLED + ";Lineage=1:a87bd80c:0"),
        (f"Root={ROOT}", f"Root={ROOT}"),
        (None, None),
    ],
)
def test_the_header_goes_on_whether_sampled_or_not(incoming: str | None, outgoing: str | None) -> None:
    with capture(incoming, new_id=counting_ids()), subsegment("work"):
        headers: dict[str, str] = {}
        inject(headers)
        assert trace_header() == outgoing
        assert headers == ({} if outgoing is None else {"X-Amzn-Trace-Id": outgoing})


def test_a_disabled_tracer_passes_the_header_on_and_records_nothing() -> None:
    with capture(HEADER + ";Lineage=1:a:0", enabled=False) as traces:
        with subsegment("work"):
            assert trace_header() == HEADER + ";Lineage=1:a:0"
        with segment("own"):
            pass
        assert len(traces) == 0


def test_w3c_is_sent_on_where_it_is_asked_for() -> None:
    with capture(propagate="xray,w3c", new_id=counting_ids()), subsegment("work"):
        headers: dict[str, str] = {"traceparent": "old"}
        inject(headers)
        assert headers == {
            "X-Amzn-Trace-Id": f"Root={ROOT};Parent=0000000000000001;Sampled=1",
            "traceparent": "00-5759e988bd862e3fe1be46a994272793-0000000000000001-01",
        }
    with capture(UNSAMPLED, propagate=["w3c"]):
        headers = {}
        inject(headers)
        assert headers == {"traceparent": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-00"}


@pytest.mark.parametrize(
    "header",
    [
        f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1",
        {"x-amzn-trace-id": f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"},
        {"Traceparent": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"},
    ],
)
def test_a_segment_continues_the_trace_that_came_in(header: str | dict[str, str]) -> None:
    with capture(None) as traces:
        with segment("worker", header=header):
            assert trace_id() == ROOT
        assert traces.one.document["parent_id"] == "53995c3f42cd8ad8"


def test_a_segment_follows_an_upstream_decision_against_it() -> None:
    with capture(None) as traces:
        with segment("worker", header=UNSAMPLED) as untraced, subsegment("inner"):
            assert untraced.sampled is False
            assert trace_header() == UNSAMPLED
        assert len(traces) == 0
        assert trace_id() is None


def test_in_lambda_a_segment_is_a_subsegment() -> None:
    with capture() as traces:
        with segment("nightly"):
            pass
        assert traces.one.document["type"] == "subsegment"


def test_a_segment_bears_the_services_name() -> None:
    with capture(None, service="shop") as traces:
        with segment():
            pass
        assert traces.one.name == "shop"


def test_bind_carries_the_context_into_any_number_of_threads() -> None:
    def work(number: int) -> None:
        with subsegment(f"work{number}"):
            pass

    with capture() as traces:
        with subsegment("parent"), concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(bind(work), range(20)))
        assert sorted(child.name for child in traces.one.children) == sorted(f"work{number}" for number in range(20))


def test_a_thread_that_is_not_bound_joins_the_invocation() -> None:
    def work() -> None:
        with subsegment("work"):
            pass

    with capture() as traces:
        with subsegment("parent"):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert [(root.name, root.document["parent_id"]) for root in traces.roots] == [
            ("parent", "53995c3f42cd8ad8"),
            ("work", "53995c3f42cd8ad8"),
        ]


def test_outside_lambda_a_missing_segment_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    with capture(None), subsegment("work"):
        annotate(x=1)
    assert caplog.records == []


def test_a_missing_segment_can_be_logged_once_a_call_site(caplog: pytest.LogCaptureFixture) -> None:
    with capture(None, context_missing="LOG_ERROR"):
        for _ in range(3):
            with subsegment("work"):
                pass
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"xray_lambda: no segment is open at {__file__}:")


def test_a_missing_segment_can_be_an_error() -> None:
    with capture(None, context_missing="RUNTIME_ERROR"):
        with pytest.raises(SegmentNotFoundError, match=r"no segment is open at .*test_api\.py"):
            subsegment("work")
        with pytest.raises(SegmentNotFoundError):
            annotate(x=1)
        with segment("own"):
            annotate(x=1)


def test_in_lambdas_init_phase_a_missing_segment_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    with capture("", context_missing="RUNTIME_ERROR"), subsegment("work"):
        annotate(x=1)
    assert caplog.records == []


def test_configure_changes_what_it_names_and_keeps_the_rest() -> None:
    configure(service="shop")
    configure(stack_frames=3)
    assert (active().config.service, active().config.stack_frames) == ("shop", 3)


def test_configure_refuses_nonsense_and_changes_nothing() -> None:
    configure(service="shop")
    with pytest.raises(ValueError, match="stack_frames=-1"):
        configure(service="other", stack_frames=-1)
    with pytest.raises(TypeError, match="no setting 'sevrice'"):
        configure(sevrice="x")
    assert active().config.service == "shop"


def test_a_new_daemon_address_takes_effect_at_once() -> None:
    before = active().emitter
    configure(daemon_address="127.0.0.1:2999")
    assert active().emitter is not before
    kept = active().emitter
    configure(service="shop")
    assert active().emitter is kept


def test_a_bad_variable_is_told_once_and_the_default_stands(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XRAY_LAMBDA_STACK_FRAMES", "many")
    assert active().config.stack_frames == 50
    configure(service="shop")
    (record,) = caplog.records
    assert record.getMessage() == (
        "xray_lambda: XRAY_LAMBDA_STACK_FRAMES='many' is ignored: expected a whole number, 0 or more"
    )
