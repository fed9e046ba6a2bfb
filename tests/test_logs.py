"""Logs carry the trace id and the entity id, for logging and structlog."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from xray_lambda import subsegment
from xray_lambda.logs import TraceFilter, add_trace, install_record_factory, traced_record_factory
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = logging.Formatter("%(xray_trace_id)s %(xray_entity_id)s %(message)s")


@pytest.fixture(autouse=True)
def the_same_factory_afterwards() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(before)


def record() -> logging.LogRecord:
    return logging.getLogRecordFactory()("shop", logging.INFO, __file__, 1, "sold", (), None)


def test_the_filter_adds_the_ids_and_stops_nothing() -> None:
    with capture(new_id=counting_ids()), subsegment("work"):
        one = record()
        assert TraceFilter().filter(one) is True
    assert FORMAT.format(one) == f"{ROOT} 0000000000000001 sold"


def test_an_unsampled_trace_has_its_id_too() -> None:
    with capture(HEADER.replace("Sampled=1", "Sampled=0")), subsegment("work"):
        one = record()
        TraceFilter().filter(one)
    assert FORMAT.format(one) == f"{ROOT} None sold"


def test_outside_a_trace_there_are_none() -> None:
    one = record()
    TraceFilter().filter(one)
    assert FORMAT.format(one) == "None None sold"


def test_the_first_to_add_the_ids_counts() -> None:
    """A record may pass the filter later, in a queue's thread, where another trace is current."""
    with capture(), subsegment("work"):
        one = record()
        TraceFilter().filter(one)
    TraceFilter().filter(one)
    assert FORMAT.format(one).startswith(ROOT)


def test_the_record_factory_adds_the_ids_to_every_record() -> None:
    install_record_factory()
    installed = logging.getLogRecordFactory()
    install_record_factory()
    assert logging.getLogRecordFactory() is installed
    with capture(new_id=counting_ids()), subsegment("work"):
        assert FORMAT.format(record()) == f"{ROOT} 0000000000000001 sold"


def test_a_factory_of_the_programs_own_is_kept() -> None:
    def with_host(*args: object, **kwargs: object) -> logging.LogRecord:
        made = logging.LogRecord(*args, **kwargs)  # type: ignore[arg-type]
        made.host = "h1"
        return made

    logging.setLogRecordFactory(traced_record_factory(with_host))
    one = record()
    assert (one.__dict__["host"], one.__dict__["xray_trace_id"]) == ("h1", None)


def test_structlog_events_carry_the_ids_inside_a_trace_only() -> None:
    output = structlog.testing.CapturingLogger()
    log = structlog.wrap_logger(output, processors=[add_trace, lambda _, __, event: ((), dict(event))])
    log.info("before")
    with capture(new_id=counting_ids()), subsegment("work"):
        log.info("inside", xray_trace_id="mine")
        log.info("inside")
    assert [call.kwargs for call in output.calls] == [
        {"event": "before"},
        {"event": "inside", "xray_trace_id": "mine", "xray_entity_id": "0000000000000001"},
        {"event": "inside", "xray_trace_id": ROOT, "xray_entity_id": "0000000000000001"},
    ]
