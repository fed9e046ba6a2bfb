"""Celery: what is recorded where a task is sent, and what goes along with it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import celery
import kombu.exceptions
import pytest
from celery import signals
from celery.app.base import Celery
from celery.app.task import Context
from celery.app.trace import build_tracer

from tests.libraries.cards import caught
from tests.libraries.celery_program import application
from tests.servers.process import free_port
from xray_lambda import patch, segment, subsegment, trace_header, unpatch
from xray_lambda._context import current
from xray_lambda.libraries import celery as card
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids, fake_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

ORIGINAL = vars(Celery)["send_task"]
TASK_ID = "9a1c8a3e-6b1f-4d0c-8f67-1d0f0a1f7c11"
UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An application whose broker is in memory, with a queue of its own."""
    with application("memory://") as made:
        made.conf.task_default_queue = request.node.name
        patch("celery")
        yield made


def sent(app: Any) -> Any:
    """Return the headers of the next message, as a worker would get them."""
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(app.conf.task_default_queue)
        message = queue.get(timeout=5)
        message.ack()
        queue.close()
    return message.headers


def test_a_task_that_is_sent_as_x_ray_gets_it(app: Any) -> None:
    with capture(clock=fake_clock(), new_id=counting_ids()) as traces, subsegment("handler"):
        app.tasks["shop.add"].apply_async((1, 2), task_id=TASK_ID, queue="stock")
    (document,) = (node.document for node in traces.one.children)
    assert document == {
        "name": "shop.add",
        "id": document["id"],
        "start_time": 1700000000.001,
        "end_time": 1700000000.002,
        "namespace": "remote",
        "metadata": {"celery": {"task_id": TASK_ID, "queue": "stock"}},
    }


def test_the_message_carries_the_trace_below_the_subsegment_that_sent_it(app: Any) -> None:
    with capture() as traces, subsegment("handler"):
        app.send_task("shop.add", (1, 2))
    assert sent(app)["X-Amzn-Trace-Id"] == f"Root={ROOT};Parent={traces.find('shop.add').id};Sampled=1"


def test_the_caller_s_own_headers_stay_its_own_and_a_stale_trace_among_them_is_replaced(app: Any) -> None:
    given = {"X-Tenant": "blue", "x-amzn-trace-id": "Root=1-00000000-000000000000000000000000", "TraceParent": "stale"}
    before = dict(given)
    with capture() as traces, subsegment("handler"):
        app.send_task("shop.add", (1, 2), headers=given)
        app.tasks["shop.add"].apply_async((1, 2), headers=given)
    assert given == before
    for node in traces.one.children:
        headers = sent(app)
        found = {key.lower(): value for key, value in headers.items() if "tra" in key.lower() or key == "X-Tenant"}
        assert found == {"x-tenant": "blue", "x-amzn-trace-id": f"Root={ROOT};Parent={node.id};Sampled=1"}


def test_traceparent_goes_along_where_it_is_asked_for(app: Any) -> None:
    with capture(propagate=("xray", "w3c")) as traces, subsegment("handler"):
        app.send_task("shop.add", (1, 2))
    headers = sent(app)
    assert headers["traceparent"] == f"00-{ROOT[2:].replace('-', '')}-{traces.find('shop.add').id}-01"
    assert headers["X-Amzn-Trace-Id"].startswith(f"Root={ROOT};")


def test_an_unsampled_trace_goes_on_unsampled_and_nothing_is_recorded(app: Any) -> None:
    with capture(UNSAMPLED) as traces:
        app.send_task("shop.add", (1, 2))
    assert sent(app)["X-Amzn-Trace-Id"] == UNSAMPLED
    assert len(traces) == 0


def test_outside_a_trace_a_message_is_as_it_was(app: Any) -> None:
    with capture(None):
        app.send_task("shop.add", (1, 2), headers={"traceparent": "mine"})
    headers = sent(app)
    assert headers["traceparent"] == "mine"
    assert "X-Amzn-Trace-Id" not in headers


@pytest.mark.parametrize("ignored", ["shop.*", "Celery.shop.add", "Celery.*"])
def test_an_ignored_task_is_not_recorded_and_carries_nothing(app: Any, ignored: str) -> None:
    with capture(ignore_calls=[ignored]) as traces, subsegment("handler"):
        app.send_task("shop.add", (1, 2))
    assert traces.one.names() == ("handler", [])
    assert "X-Amzn-Trace-Id" not in sent(app)


@pytest.mark.parametrize(("inject_to", "carries"), [("other.*", False), ("shop.*", True), ("Celery.shop.add", True)])
def test_the_trace_goes_along_with_the_tasks_that_are_named(app: Any, inject_to: str, carries: bool) -> None:
    with capture(inject_to=[inject_to]) as traces, subsegment("handler"):
        app.send_task("shop.add", (1, 2))
    assert ("X-Amzn-Trace-Id" in sent(app)) == carries
    assert traces.one.names() == ("handler", [("shop.add", [])])


def test_a_message_of_the_first_protocol_is_sent_as_ever(app: Any) -> None:
    app.conf.task_protocol = 1
    with capture() as traces, subsegment("handler"):
        app.send_task("shop.add", (1, 2), queue="stock")
    assert traces.find("shop.add").metadata == {"celery": {"queue": "stock"}}


def test_each_task_of_a_group_is_sent_by_itself_and_of_a_chain_the_first_one(app: Any) -> None:
    add = app.tasks["shop.add"]
    with capture() as traces, subsegment("handler"):
        celery.group(add.s(1, 2), add.s(3, 4), app=app).apply_async()
        celery.chain(add.s(1, 2), add.s(3), app=app).apply_async()
    assert traces.one.names() == ("handler", [("shop.add", [])] * 3)
    parents = [sent(app)["X-Amzn-Trace-Id"] for _ in range(3)]
    assert parents == [f"Root={ROOT};Parent={node.id};Sampled=1" for node in traces.one.children]


def test_an_application_of_the_program_s_own_class_sends_each_task_once() -> None:
    class Shop(Celery):  # type: ignore[misc]  # Celery ships no types
        def send_task(self, *args: Any, **kwargs: Any) -> Any:
            return super().send_task(*args, **kwargs)

    patch("celery")
    app = Shop("shop", broker="memory://", backend="cache+memory://")
    with capture() as traces, subsegment("handler"):
        app.send_task("shop.add", (1, 2))
    app.close()
    assert traces.one.names() == ("handler", [("shop.add", [])])


def test_what_the_broker_s_client_does_belongs_to_the_sending(redis_port: int) -> None:
    patch("celery", "redis")
    with application(f"redis://127.0.0.1:{redis_port}/1") as app, capture() as traces, subsegment("handler"):
        result = app.send_task("shop.add", (1, 2))
        result.forget()
    names = [node.name for node in traces.one.children]
    assert names[0] == "shop.add"
    assert traces.one.children[0].children == []
    assert set(names[1:]) <= {f"redis@127.0.0.1:{redis_port}"}  # `forget` is the program's own call


def test_a_broker_that_is_not_there_is_a_fault_and_its_exception_passes() -> None:
    patch("celery", "redis")
    once = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    nowhere = f"redis://user:hunter2@127.0.0.1:{free_port()}/1"
    with application(nowhere) as app, capture() as traces, subsegment("handler"):
        app.conf.broker_transport_options = once
        error = caught(lambda: app.send_task("shop.add", (1, 2), ignore_result=True))
        with subsegment("after"):
            pass
    assert isinstance(error, kombu.exceptions.OperationalError)
    sending, after = traces.one.children
    assert (sending.name, sending.flags, sending.children) == ("shop.add", {"fault"}, [])
    kinds = ["kombu.exceptions.OperationalError", "redis.exceptions.ConnectionError", "ConnectionRefusedError"]
    assert [one["type"] for one in sending.exceptions][:3] == kinds
    assert after.name == "after"
    assert "hunter2" not in json.dumps(traces.documents)


def test_arguments_that_cannot_be_sent_raise_as_ever_and_do_not_show(app: Any) -> None:
    with capture() as traces, subsegment("handler"):
        error = caught(lambda: app.send_task("shop.add", ({"hunter2"}, object())))
    assert isinstance(error, kombu.exceptions.EncodeError)
    assert traces.find("shop.add").flags == {"fault"}
    assert "hunter2" not in json.dumps(traces.documents)


def test_a_call_that_python_refuses_is_refused_as_ever(app: Any) -> None:
    with capture() as traces, subsegment("handler"):
        assert isinstance(caught(app.send_task), TypeError)
    assert traces.one.names() == ("handler", [])


def test_a_task_that_a_worker_runs_as_x_ray_gets_it(app: Any) -> None:
    task = app.tasks["shop.add"]
    run = build_tracer(task.name, task, app=app)
    message = {"X-Amzn-Trace-Id": HEADER, "id": TASK_ID, "delivery_info": {"routing_key": "stock"}}
    with capture(None, clock=fake_clock(), new_id=counting_ids()) as traces:
        run(TASK_ID, (1, 2), {}, message)
    (document,) = traces.documents
    about = {key: document.pop(key) for key in ("aws", "service")}
    assert about["service"]["runtime"] == "cpython"
    assert document == {
        "trace_id": ROOT,
        "parent_id": "53995c3f42cd8ad8",
        "name": "shop.add",
        "id": "0000000000000001",
        "start_time": 1700000000.0,
        "end_time": 1700000000.003,
        "annotations": {
            "task": "shop.add",
            "task_id": TASK_ID,
            "queue": "stock",
            "retries": 0,
            "task_state": "SUCCESS",
        },
        "subsegments": [
            {"name": "work", "id": "0000000000000002", "start_time": 1700000000.001, "end_time": 1700000000.002}
        ],
    }


def test_a_task_says_that_it_begins_where_that_is_wanted(app: Any) -> None:
    task = app.tasks["shop.add"]
    run = build_tracer(task.name, task, app=app)
    with capture(None, early=True) as traces:
        run(TASK_ID, (1, 2), {}, {"id": TASK_ID})
    started, ended = traces.documents[0], traces.documents[-1]
    assert started["in_progress"] is True
    assert (started["id"], started["annotations"]["task_id"]) == (ended["id"], TASK_ID)


class Lost:
    """A worker's request for a task whose process was killed."""

    worker_pid = -1
    time_start = 1_700_000_000.5

    def __init__(self, app: Any) -> None:
        self.task = app.tasks["shop.add"]
        self._context = Context({"id": TASK_ID, "X-Amzn-Trace-Id": HEADER})


def test_a_task_whose_process_was_killed_is_recorded_from_its_start_unless_that_has_told_of_itself(app: Any) -> None:
    with capture(None) as traces:
        card._lost(Lost(app), "TimeLimitExceeded", (30,))
        assert current.get() is None
    (document,) = traces.documents
    assert (document["start_time"], document["parent_id"], document["fault"]) == (
        1700000000.5,
        "53995c3f42cd8ad8",
        True,
    )
    assert traces.one.exceptions[0]["message"] == "TimeLimitExceeded(30,)"
    with capture(None, early=True) as traces:
        card._lost(Lost(app), "TimeLimitExceeded", (30,))
    assert len(traces) == 0
    in_this_one = Lost(app)
    in_this_one.worker_pid = os.getpid()
    with capture(None) as traces:
        card._lost(in_this_one, "TimeLimitExceeded", (30,))
    assert len(traces) == 0


# In place: no message, no segment.


def eager(app: Any) -> Any:
    app.conf.task_always_eager = True
    return app.tasks


def shape(traces: Traces) -> Any:
    return traces.one.names()


def test_a_task_that_runs_in_place_is_a_local_subsegment(app: Any) -> None:
    with capture() as traces, subsegment("handler"):
        assert eager(app)["shop.add"].delay(1, 2).get() == 3
        assert eager(app)["shop.add"].apply((1, 2), task_id=TASK_ID).get() == 3
    assert shape(traces) == ("handler", [("shop.add", [("work", [])])] * 2)
    ran = traces.one.children[1]
    assert ran.annotations == {"task": "shop.add", "task_id": TASK_ID, "retries": 0, "task_state": "SUCCESS"}
    assert "namespace" not in ran.document


def test_in_place_outside_a_trace_or_ignored_nothing_is_recorded(app: Any) -> None:
    with capture(None) as traces:
        assert eager(app)["shop.add"].delay(1, 2).get() == 3
    assert len(traces) == 0
    with capture(ignore_calls=["shop.add"]) as traces, subsegment("handler"):
        assert eager(app)["shop.add"].delay(1, 2).get() == 3
    assert shape(traces) == ("handler", [])


def test_in_place_an_exception_is_a_fault_handed_back_or_raised(app: Any) -> None:
    with capture() as traces, subsegment("handler"):
        assert eager(app)["shop.fail"].delay("hunter2").state == "FAILURE"
        app.conf.task_eager_propagates = True
        assert isinstance(caught(lambda: app.tasks["shop.fail"].delay("hunter2")), LookupError)
    assert [(node.flags, node.exceptions[0]["message"]) for node in traces.one.children] == [
        ({"fault"}, "no such order")
    ] * 2
    assert traces.one.children[0].annotations["task_state"] == "FAILURE"
    assert "hunter2" not in json.dumps(traces.documents)


def test_in_place_what_is_being_handled_around_a_task_is_not_taken_for_its_own(app: Any) -> None:
    with capture() as traces, subsegment("handler"):
        try:
            raise KeyError("handled")
        except KeyError:
            eager(app)["shop.add"].delay(1, 2)
    assert traces.one.children[0].flags == set()


def test_in_place_a_retry_runs_under_the_same_id(app: Any) -> None:
    """Inside the first run, or behind it: that depends on the version."""
    with capture() as traces, subsegment("handler"):
        assert eager(app)["shop.try_twice"].delay().get() == "done"
    first, second = [*traces.one.walk()][1:]
    assert [node.annotations["retries"] for node in (first, second)] == [0, 1]
    assert first.annotations["task_id"] == second.annotations["task_id"]
    assert [node.annotations["task_state"] for node in (first, second)] == ["RETRY", "SUCCESS"]
    assert [node.flags for node in (first, second)] == [{"error"}, set()]
    assert first.exceptions[0]["message"] == "busy"


def test_a_task_that_leaves_something_open_leaves_nothing_current(app: Any) -> None:
    with capture() as traces, subsegment("handler") as handler:
        eager(app)["shop.leave_open"].delay()
        assert trace_header() == f"Root={ROOT};Parent={handler.id};Sampled=1"
    assert shape(traces) == ("handler", [("shop.leave_open", [])])


def test_a_task_that_is_called_as_a_function_is_one(app: Any) -> None:
    with capture() as traces, subsegment("handler"):
        assert app.tasks["shop.add"](1, 2) == 3
    assert shape(traces) == ("handler", [("work", [])])


# The switch.


def test_unpatching_puts_the_original_back_and_stops_to_listen() -> None:
    listened = [signals.before_task_publish, signals.task_prerun, signals.task_postrun, signals.task_revoked]
    before = [[*signal.receivers] for signal in listened]
    patch("celery")
    patch("celery")
    assert [len(signal.receivers) for signal in listened] == [len(one) + 1 for one in before]
    assert Celery.send_task is not ORIGINAL
    unpatch("celery")
    assert [[*signal.receivers] for signal in listened] == before
    assert vars(Celery)["send_task"] is ORIGINAL


def test_a_signal_for_a_task_that_nothing_is_open_for_does_nothing(app: Any) -> None:
    with capture() as traces, segment("handler") as handler:
        card.end(task=app.tasks["shop.add"], state="SUCCESS")
        assert trace_header() == f"Root={ROOT};Parent={handler.id};Sampled=1"
    assert shape(traces) == ("handler", [])
