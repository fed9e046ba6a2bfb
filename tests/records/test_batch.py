"""`for record in records(event)`: each record as it is, with a subsegment around what the loop does with it."""

from __future__ import annotations

import copy
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.events import NAMES, event, sender, sender_root
from tests.libraries.cards import caught
from xray_lambda import SegmentNotFoundError, annotate, records, segment, subsegment, trace_header, traced
from xray_lambda._context import current
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids, fake_clock

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from xray_lambda.testing import Traces

SQS_ID = "059f36b4-87a3-44ab-83d2-66197000000"


def shapes(traces: Traces) -> list[Any]:
    return [root.names() for root in traces.roots]


# What tells where a record comes from; everything else in an event is its sender's.
TELLING = {
    "AWSTraceHeader", "MessageId", "TopicArn", "X-Amzn-Trace-Id", "coll", "db", "detail-type", "eventID", "eventSource",
    "eventSourceARN", "eventSourceArn", "deliveryStreamArn", "id", "messageID", "messageId", "name", "physicalName",
    "sequenceNumber", "SequenceNumber", "source", "topic", "traceparent", "stringValue", "Value",
}  # fmt: skip


def with_secrets(value: Any, key: str = "") -> Any:
    """Return an event in which every text that does not tell of its origin is a secret."""
    if isinstance(value, dict):
        return {key: with_secrets(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_secrets(inner, key) for inner in value]
    return "hunter2" if isinstance(value, str) and key not in TELLING else value


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_what_a_record_holds_is_recorded(name: str) -> None:
    given = with_secrets(event(name))
    assert "hunter2" in str(given)
    with capture() as traces, records(given, include_unsampled=True) as batch:
        for _ in batch:
            batch.failed()
    assert len(traces) > 0
    assert "hunter2" not in str(traces.documents)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("header", [HEADER, HEADER.replace("Sampled=1", "Sampled=0"), None])
def test_records_are_the_event_s_own_and_stay_as_they_are(name: str, header: str | None) -> None:
    given = event(name)
    before = copy.deepcopy(given)
    with capture(header) as traces:
        seen = list(records(given))
    assert given == before
    if "Records" in given:
        assert all(one is other for one, other in zip(seen, given["Records"], strict=True))
    if header is None or "Sampled=0" in header:
        assert len(traces) == 0
    else:
        assert 0 < len(traces) <= len(seen)


def test_a_record_s_subsegment_as_x_ray_gets_it() -> None:
    with capture(clock=fake_clock(), new_id=counting_ids()) as traces, subsegment("handler"):
        for record in records({"Records": event("sqs")["Records"][:1]}):
            annotate(order=len(record["body"]))
    assert traces.one["orders"].document == {
        "name": "orders",
        "id": "0000000000000002",
        "start_time": 1700000000.001,
        "end_time": 1700000000.002,
        "annotations": {"sender_trace_id": sender_root(1), "order": 13},
        "metadata": {"record": {"source": "aws:sqs", "name": "orders", "id": SQS_ID + "1"}},
    }


def test_each_record_has_its_work_below_it_one_after_the_other() -> None:
    with capture() as traces, subsegment("handler"):
        for record in records(event("kinesis")):
            with subsegment(record["eventName"]):
                pass
        with subsegment("after"):
            pass
    inside: list[Any] = [("aws:kinesis:record", [])]
    assert shapes(traces) == [("handler", [("clicks", inside), ("clicks", inside), ("after", [])])]


def test_a_name_of_one_s_own_names_them_all() -> None:
    with capture() as traces:
        list(records(event("received"), name="orders"))
    assert shapes(traces) == [("orders", [])]


def leave_by_break(event: Any) -> None:
    for _ in records(event):
        break


def leave_by_return(event: Any) -> None:
    for _ in records(event):
        return


def leave_by_exception(event: Any) -> None:
    for record in records(event):
        raise KeyError(record)


def leave_as_a_generator(event: Any) -> None:
    def loop() -> Generator[int, None, None]:
        for _ in records(event):
            yield 1

    steps = loop()
    next(steps)
    steps.close()


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_return, leave_by_exception, leave_as_a_generator])
def test_a_loop_that_is_left_closes_the_record_it_was_at_and_gives_its_place_back(leave: Any) -> None:
    with capture() as traces, subsegment("handler") as handler:
        with pytest.raises(KeyError) if leave is leave_by_exception else subsegment("block"):
            leave(event("kinesis"))
        with subsegment("after"):
            pass
        assert trace_header() == f"Root={ROOT};Parent={handler.id};Sampled=1"
    record = traces.find("clicks")
    assert record.metadata["xray_lambda"] == {"loop_left": True}
    assert record.flags == set()
    assert [child.name for child in traces.one.children if child.name != "block"][-1] == "after"


def test_a_loop_that_runs_to_its_end_leaves_no_mark() -> None:
    with capture() as traces:
        list(records(event("s3")))
    assert traces.find("invoices").metadata == {"record": {"source": "aws:s3", "name": "invoices"}}


def test_as_a_block_it_records_what_the_loop_raises_on_the_record_at_hand_and_lets_it_pass() -> None:
    error = LookupError("no such order")

    def handler(event: Any) -> None:
        with records(event) as batch:
            for number, _ in enumerate(batch):
                if number == 1:
                    raise error

    with capture() as traces:
        assert caught(lambda: traced("handler")(handler)(event("kinesis"))) is error
    first, second = traces.one.children
    assert (first.flags, second.flags) == (set(), {"fault"})
    assert [(one["type"], one["message"]) for one in second.exceptions] == [("LookupError", "no such order")]
    assert traces.one.document["cause"] == second.exceptions[0]["id"]


def test_what_is_raised_behind_the_loop_is_no_record_s() -> None:
    def handler() -> None:
        with records(event("s3")) as batch:
            list(batch)
            raise LookupError

    with capture() as traces:
        assert isinstance(caught(handler), LookupError)
    assert traces.one.flags == set()


def test_what_the_loop_handles_is_told_by_failed_and_is_in_the_response() -> None:
    given = event("sqs")
    with capture() as traces, subsegment("handler"), records(given, include_unsampled=True) as batch:
        for number, _ in enumerate(batch):
            if number == 1:
                batch.failed(ValueError("no order in it"))
            if number == 2:
                batch.failed()
                batch.failed()
    assert [node.flags for node in traces.one.children] == [set(), {"fault"}, {"fault"}, set()]
    assert traces.one.children[1].exceptions[0]["message"] == "no order in it"
    assert batch.response == {"batchItemFailures": [{"itemIdentifier": f"{SQS_ID}{n}"} for n in (2, 3)]}


def test_what_a_loop_has_not_come_to_is_in_the_response_too() -> None:
    """As a FIFO queue wants it: processing ends with the first failure, and the rest comes again, in order."""
    with capture(), records(event("sqs_fifo")) as batch:
        for number, _ in enumerate(batch):
            if number == 1:
                batch.failed()
                break
    assert batch.response == {"batchItemFailures": [{"itemIdentifier": f"{SQS_ID}{n}"} for n in (2, 3)]}


@pytest.mark.parametrize(
    ("given", "identifier"),
    [
        (event("dynamodb"), "4421584000000000017123502"),
        (event("kinesis"), event("kinesis")["Records"][1]["kinesis"]["sequenceNumber"]),
        ({"Records": [{}, {}]}, ""),
    ],
)
def test_the_response_tells_of_streams_by_sequence_number_and_of_a_record_without_one_by_nothing(
    given: Any, identifier: str
) -> None:
    with capture(None):
        batch = records(given)
        for number, _ in enumerate(batch):
            if number == 1:
                batch.failed(KeyError("x"))
    assert batch.response == {"batchItemFailures": [{"itemIdentifier": identifier}]}


def test_a_batch_of_which_all_went_well_has_an_empty_response_sampled_or_not() -> None:
    for header in (HEADER, None):
        with capture(header):
            batch = records(event("sqs"))
            batch.failed(KeyError("before the first record"))
            list(batch)
            assert batch.response == {"batchItemFailures": []}


def test_an_iterable_of_the_program_s_is_read_as_the_loop_goes_on_and_its_exceptions_pass() -> None:
    taken = []

    def poll() -> Iterator[Any]:
        for record in event("kinesis")["Records"]:
            taken.append(record)
            yield record
        raise TimeoutError

    def worker() -> None:
        for number, record in enumerate(records(poll()), 1):
            assert taken[-1] is record
            assert len(taken) == number

    with capture() as traces, subsegment("worker"):
        assert isinstance(caught(worker), TimeoutError)
    assert shapes(traces) == [("worker", [("clicks", []), ("clicks", [])])]


def test_a_batch_is_gone_through_once_and_may_be_stopped_by_hand() -> None:
    with capture() as traces, subsegment("handler"):
        batch = records(event("kinesis"))
        next(batch)
        batch.close()
        with subsegment("between"):
            pass
        assert len(list(batch)) == 1
        assert list(batch) == []
    assert shapes(traces) == [("handler", [("clicks", []), ("between", []), ("clicks", [])])]


def test_a_batch_that_is_dropped_in_another_thread_or_by_the_collector_is_closed_and_leaves_the_context_alone() -> None:
    with capture() as traces, subsegment("handler") as handler:
        held = [records(event("kinesis"))]
        next(held[0])
        dropped = threading.Thread(target=held.clear)
        dropped.start()
        dropped.join()
        cycle: list[Any] = [records(event("s3"))]
        cycle.append(cycle)
        next(cycle[0])
        left = current.get()
        del cycle
        gc.collect()
        assert current.get() is left
        with subsegment("after") as after:
            assert after.parent is handler  # type: ignore[attr-defined]
    assert shapes(traces) == [("handler", [("clicks", []), ("invoices", []), ("after", [])])]


# Sampling: a sender's decision holds for the work on its record.


def test_the_work_on_an_unsampled_record_is_not_recorded_and_passes_on_that_it_is_not() -> None:
    sent = []
    with capture() as traces, subsegment("handler") as handler:
        for _ in records(event("sqs")):
            with subsegment("work"):
                sent.append(trace_header())
    assert len(traces.one.children) == 3
    assert sent[1] == f"Root={ROOT};Parent={handler.id};Sampled=0"
    assert all(header and header.endswith("Sampled=1") for header in (sent[0], *sent[2:]))


def test_the_work_on_an_unsampled_record_is_recorded_where_that_is_wanted() -> None:
    with capture() as traces, subsegment("handler"):
        list(records(event("sqs"), include_unsampled=True))
    assert [node.annotations.get("sender_trace_id") for node in traces.one.children] == [
        sender_root(1), sender_root(2), sender_root(3), None,
    ]  # fmt: skip


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_exception])
def test_a_loop_that_is_left_at_an_unsampled_record_gives_its_place_back(leave: Any) -> None:
    only = {"Records": event("sqs")["Records"][1:2]}
    with capture() as traces, subsegment("handler"):
        with pytest.raises(KeyError) if leave is leave_by_exception else subsegment("block"):
            leave(only)
        with subsegment("after"):
            pass
    assert "after" in [child.name for child in traces.one.children]


def test_in_an_unsampled_invocation_nothing_is_recorded_and_its_header_goes_on() -> None:
    unsampled = HEADER.replace("Sampled=1", "Sampled=0")
    with capture(unsampled) as traces:
        for _ in records(event("sqs"), include_unsampled=True):
            assert trace_header() == unsampled
    assert len(traces) == 0


# In a worker, whose segments are its own.


def test_a_worker_s_segment_is_linked_to_the_senders() -> None:
    with capture(None) as traces, segment("worker"):
        list(records(event("sqs"), include_unsampled=True))
    assert traces.one.document["links"] == [{"trace_id": sender_root(n), "id": f"{n:016x}"} for n in (1, 2, 3)]
    assert [node.name for node in traces.one.children] == ["orders"] * 4


def test_a_segment_in_the_sender_s_own_trace_is_linked_to_no_other() -> None:
    with capture(None) as traces, segment("worker", header=sender(1)):
        list(records({"Records": event("sqs")["Records"][:1]}))
    assert "links" not in traces.one.document
    assert traces.one["orders"].annotations == {}


def test_a_record_may_continue_its_sender_s_trace_as_a_segment_of_its_own() -> None:
    with capture(None, service="stock") as traces:
        for _ in records(event("sqs"), continue_trace=True):
            with subsegment("work"):
                pass
    documents = [(one["name"], one["trace_id"], one.get("parent_id")) for one in traces.documents]
    assert documents[:2] == [("stock", sender_root(1), f"{1:016x}"), ("stock", sender_root(3), f"{3:016x}")]
    assert documents[2][2] is None  # no sender: a trace of its own
    assert len(documents) == 3  # the second sender was not sampled
    assert shapes(traces) == [("stock", [("work", [])])] * 3
    assert traces.roots[0].annotations == {}
    assert traces.roots[0].metadata == {"record": {"source": "aws:sqs", "name": "orders", "id": SQS_ID + "1"}}


def test_a_segment_of_a_record_is_named_by_hand_or_after_the_service_or_after_the_queue() -> None:
    one = {"Records": event("sqs")["Records"][:1]}
    for name, service, expected in [("mine", "stock", "mine"), (None, "stock", "stock"), (None, None, "orders")]:
        with capture(None, service=service) as traces:
            list(records(one, name=name, continue_trace=True))
        assert traces.one.name == expected


def test_an_unsampled_trace_goes_on_unsampled_or_recorded_where_that_is_wanted() -> None:
    one = {"Records": event("sqs")["Records"][1:2]}
    with capture(None) as traces:
        for _ in records(one, continue_trace=True):
            assert trace_header() == sender(2, sampled=0)
        assert len(traces) == 0
        for _ in records(one, continue_trace=True, include_unsampled=True):
            pass
    assert traces.one.document["trace_id"] == sender_root(2)


def test_a_poll_s_messages_continue_their_senders_traces() -> None:
    with capture(None) as traces:
        for _ in records(event("received"), name="stock", continue_trace=True):
            pass
    assert (traces.one.name, traces.one.document["trace_id"]) == ("stock", sender_root(1))


def test_in_lambda_which_owns_the_segment_a_record_stays_below_the_invocation() -> None:
    with capture() as traces:
        list(records(event("kinesis"), continue_trace=True))
    assert [root.document["trace_id"] for root in traces.roots] == [ROOT, ROOT]


def test_a_worker_without_a_segment_records_nothing_and_is_told_so_if_it_wants() -> None:
    with capture(None) as traces:
        assert len(list(records(event("sqs")))) == 4
    assert len(traces) == 0
    with capture(None, context_missing="RUNTIME_ERROR"), pytest.raises(SegmentNotFoundError):
        list(records(event("kinesis")))
