"""Exchanges: what is current while a request is worked on, and how it ends, wherever that is."""

from __future__ import annotations

import contextvars
import copy
import gc
import pickle
import threading
from typing import TYPE_CHECKING

import pytest

from tests.schema import checked
from xray_lambda import subsegment, trace_id
from xray_lambda._context import current
from xray_lambda._header import TraceHeader
from xray_lambda._recorder import active
from xray_lambda.sampling.anomalies import Watch
from xray_lambda.testing import HEADER, ROOT, capture
from xray_lambda.web._arrival import Arrival
from xray_lambda.web._door import Door
from xray_lambda.web._exchange import NOTHING, Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")
both = pytest.mark.parametrize("header", [HEADER, UNSAMPLED])


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as caught:
        yield caught
        for document in caught._emitter.documents:
            checked(document)


def opened(header: str = HEADER) -> Exchange:
    return Door(service="shop").open(Arrival("GET", "shop", "/", lambda: "http://shop/", trace=header))


@both
def test_a_request_is_current_until_it_is_left_and_again_after_it_is_resumed(traces: Traces, header: str) -> None:
    exchange = opened(header)
    seen = [trace_id()]
    exchange.leave()
    seen.append(trace_id())
    exchange.resume()
    seen.append(trace_id())
    exchange.leave()
    exchange.end()
    seen.append(trace_id())
    assert seen == [ROOT, None, ROOT, None]


@both
def test_leaving_takes_what_the_program_left_open_off_the_context(traces: Traces, header: str) -> None:
    exchange = opened(header)
    subsegment("left open").__enter__()
    exchange.leave()
    assert current.get() is None
    exchange.end()


def test_what_stood_open_when_a_request_was_left_is_current_when_it_is_resumed(traces: Traces) -> None:
    exchange = opened()
    with subsegment("outer"):
        exchange.leave()
        exchange.resume()
        with subsegment("inner"):
            pass
    exchange.leave()
    exchange.end()
    assert traces.one.names() == ("shop", [("outer", [("inner", [])])])


@both
def test_two_requests_take_turns_in_one_thread(traces: Traces, header: str) -> None:
    first = opened(header)
    first.leave()
    second = opened("Root=1-5759e988-000000000000000000000001;Parent=53995c3f42cd8ad8;Sampled=1")
    second.leave()
    for exchange, root in [(first, ROOT), (second, "1-5759e988-000000000000000000000001"), (first, ROOT)]:
        exchange.resume()
        assert trace_id() == root
        exchange.leave()
    first.end()
    second.end()
    assert current.get() is None


@both
def test_a_request_ends_once_and_never_touches_what_is_current_elsewhere(traces: Traces, header: str) -> None:
    exchange = opened(header)
    exchange.leave()
    with subsegment("of another trace") as other:
        here = current.get()
        exchange.end()
        exchange.end(ValueError())
        assert current.get() is here
    assert other.trace_id is None
    assert len(traces) == (header is HEADER)
    assert all(not root.flags for root in traces.roots)


@both
def test_a_request_that_ends_while_it_is_current_gives_way_to_what_was_before(traces: Traces, header: str) -> None:
    exchange = opened(header)
    exchange.end()
    assert current.get() is None


def test_a_request_may_end_in_another_thread(traces: Traces) -> None:
    exchange = opened()
    exchange.leave()
    thread = threading.Thread(target=exchange.end)
    thread.start()
    thread.join()
    assert traces.one.name == "shop"


def test_a_task_that_outlives_the_request_records_into_its_trace(traces: Traces) -> None:
    exchange = opened()
    context = contextvars.copy_context()
    exchange.leave()
    exchange.end()

    def late() -> None:
        with subsegment("late"):
            pass

    context.run(late)
    assert traces.one.names() == ("shop", [("late", [])])


def test_the_exception_that_ends_a_request_is_recorded(traces: Traces) -> None:
    exchange = opened()
    exchange.leave()
    exchange.end(ValueError("no"))
    assert traces.one.flags == {"fault"}
    assert [one["message"] for one in traces.one.exceptions] == ["no"]


def test_an_exception_that_was_told_of_before_is_recorded_once(traces: Traces) -> None:
    exchange = opened()
    error = ValueError("no")
    exchange.caught(error)
    exchange.failed(error)
    exchange.answered(500)
    exchange.leave()
    exchange.end(error)
    assert [one["message"] for one in traces.one.exceptions] == ["no"]


@pytest.mark.parametrize(("status", "messages"), [(500, ["no"]), (503, ["no"]), (404, []), (200, [])])
def test_an_exception_that_a_framework_caught_counts_if_the_answer_is_a_5xx(
    traces: Traces, status: int, messages: list[str]
) -> None:
    exchange = opened()
    exchange.caught(ValueError("no"))
    exchange.answered(status)
    exchange.leave()
    exchange.end()
    assert [one["message"] for one in traces.one.exceptions] == messages


def test_nothing_is_recorded_of_a_request_that_has_ended(traces: Traces) -> None:
    exchange = opened()
    exchange.leave()
    exchange.end()
    exchange.answered(500)
    exchange.routed("/late")
    exchange.failed(ValueError())
    assert traces.one.annotations == {}
    assert not traces.one.flags


@pytest.mark.parametrize(("how", "anomalies"), [(200, 0), (404, 0), (500, 1), (ValueError(), 1)])
@pytest.mark.parametrize("is_left", [True, False])
def test_a_sampler_that_watches_what_it_declines_is_told_how_it_ended(
    traces: Traces, how: int | Exception, anomalies: int, is_left: bool
) -> None:
    watch = Watch()
    exchange = Exchange(watch.untraced(active(), "shop", TraceHeader(ROOT)))
    if isinstance(how, int):
        exchange.answered(how)
    if is_left:
        exchange.leave()
    exchange.end(how if isinstance(how, Exception) else None)
    assert repr(watch.take()) == f"{{'shop': Endings(1, {anomalies}, 0)}}"
    assert current.get() is None
    assert len(traces) == 0


@both
def test_the_route_is_an_annotation(traces: Traces, header: str) -> None:
    exchange = opened(header)
    exchange.routed("/items/<id>")
    exchange.routed(None)
    exchange.entity.annotate(order=17)
    exchange.leave()
    exchange.end()
    expected = [{"route": "/items/<id>", "order": 17}] if header is HEADER else []
    assert [root.annotations for root in traces.roots] == expected


def test_a_request_that_is_dropped_half_way_is_sent(traces: Traces) -> None:
    exchange = opened()
    exchange.leave()
    exchange.abandon()
    exchange.abandon()
    assert traces.one.name == "shop"


@pytest.mark.parametrize("through", [copy.copy, copy.deepcopy, lambda exchange: pickle.loads(pickle.dumps(exchange))])  # noqa: S301 - our own
def test_what_a_program_copies_or_pickles_with_an_answer_is_nothing(traces: Traces, through: object) -> None:
    exchange = opened()
    assert through(exchange) is NOTHING  # type: ignore[operator]  # a function it is
    exchange.leave()
    exchange.end()


def test_an_exchange_is_gone_without_the_garbage_collector(traces: Traces) -> None:
    gc.collect()
    gc.disable()
    try:
        exchange = opened()
        exchange.caught(ValueError())
        exchange.answered(500)
        exchange.leave()
        exchange.end()
        del exchange
        assert gc.collect() == 0
    finally:
        gc.enable()
