"""`@traced_record`: a function that works on one record, however it is called."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.events import event, sender_root
from xray_lambda import bind, subsegment, traced_record
from xray_lambda.testing import HEADER, capture

RECORDS = event("sqs")["Records"]


@traced_record
def work(record: Any, context: object = None) -> Any:
    """Do the work."""
    if "17" in record["body"]:
        raise ValueError("no such order")
    return record


@traced_record(include_unsampled=True)
async def work_async(record: Any) -> Any:
    await asyncio.sleep(0)
    return work(record)


class Consumer:
    @traced_record(name="order")
    def take(self, record: Any) -> Any:
        return record


def test_a_call_is_a_subsegment_that_has_what_it_raises() -> None:
    with capture() as traces, subsegment("handler"):
        with pytest.raises(ValueError, match="no such order"):
            work(RECORDS[0])
        assert work(record=RECORDS[3], context=None) is RECORDS[3]
    failed, fine = traces.one.children
    assert (failed.name, failed.flags, failed.annotations) == ("orders", {"fault"}, {"sender_trace_id": sender_root(1)})
    assert (fine.name, fine.flags, fine.annotations) == ("orders", set(), {})


def test_an_unsampled_record_is_worked_on_unrecorded_unless_that_is_wanted() -> None:
    with capture() as traces:
        assert work(RECORDS[1]) is RECORDS[1]
        assert len(traces) == 0
        assert asyncio.run(work_async(RECORDS[1])) is RECORDS[1]
    assert traces.one.names() == ("orders", [])


def test_tasks_that_run_at_once_have_each_their_own() -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*map(work_async, RECORDS), return_exceptions=True)

    with capture() as traces, subsegment("handler"):
        results = asyncio.run(main())
    assert isinstance(results[0], ValueError)
    assert results[1:] == RECORDS[1:]
    # The third one's work is below its own; that of the unsampled second one is not recorded a second time.
    assert [len(node.children) for node in traces.one.children] == [1, 0, 1, 1]
    assert [node.flags for node in traces.one.children] == [{"fault"}, set(), set(), set()]


def test_threads_that_work_at_once_have_each_their_own() -> None:
    with capture() as traces, subsegment("handler"), ThreadPoolExecutor(2) as pool:
        list(pool.map(bind(work), RECORDS[2:]))
    assert [node.name for node in traces.one.children] == ["orders", "orders"]


def test_methods_and_names_are_kept() -> None:
    with capture() as traces:
        assert Consumer().take(RECORDS[0]) is RECORDS[0]
    assert traces.one.name == "order"
    assert (work.__name__, work.__doc__) == ("work", "Do the work.")


@pytest.mark.parametrize("arguments", [(), (17,), (None, "x")])
def test_whatever_it_is_called_with_is_passed_on(arguments: tuple[Any, ...]) -> None:
    @traced_record
    def takes_anything(*args: Any) -> Any:
        return args

    with capture() as traces:
        assert takes_anything(*arguments) == arguments
    assert traces.one.name == "record"


def test_a_record_continues_its_sender_s_trace_in_a_worker() -> None:
    with capture(None) as traces:
        traced_record(continue_trace=True)(lambda record: record)(RECORDS[2])
    assert traces.one.document["trace_id"] == sender_root(3)


def test_outside_a_trace_nothing_is_recorded() -> None:
    with capture(HEADER.replace("Sampled=1", "Sampled=0")) as traces:
        assert work(RECORDS[3]) is RECORDS[3]
    assert len(traces) == 0


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="@traced_record takes a function, not 17"):
        traced_record(17)  # type: ignore[call-overload]  # what is tested
