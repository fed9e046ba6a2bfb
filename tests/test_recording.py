"""Recording: what entities take, how they close, and what reaches the emitter."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import weakref
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.schema import checked
from xray_lambda import _cause, current_subsegment, segment, subsegment, traced_handler
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids, fake_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(clock=fake_clock(), new_id=counting_ids()) as caught:
        yield caught
        for document in caught._emitter.documents:
            checked(document)


def test_a_handler_with_its_calls_is_one_document(traces: Traces) -> None:
    with subsegment("handler"), subsegment("outer"), subsegment("inner", namespace="remote"):
        pass
    assert traces.documents == [
        {
            "type": "subsegment",
            "trace_id": ROOT,
            "parent_id": "53995c3f42cd8ad8",
            "name": "handler",
            "id": "0000000000000001",
            "start_time": 1700000000.0,
            "end_time": 1700000000.005,
            "subsegments": [
                {
                    "name": "outer",
                    "id": "0000000000000002",
                    "start_time": 1700000000.001,
                    "end_time": 1700000000.004,
                    "subsegments": [
                        {
                            "name": "inner",
                            "id": "0000000000000003",
                            "start_time": 1700000000.002,
                            "end_time": 1700000000.003,
                            "namespace": "remote",
                        }
                    ],
                }
            ],
        }
    ]


def test_everything_that_can_be_said_of_a_call_stands_in_its_section(traces: Traces) -> None:
    with subsegment("call") as sub:
        sub.annotate(order=17, paid=True)
        sub.annotate({"price": 2.5}, tier="gold")
        sub.metadata(basket=["tea"])
        sub.metadata({"x": 1}, namespace="AWS.mine")
        sub.http(method="GET", url="https://example.com/", user_agent=None, traced=True)
        sub.status(429, content_length=12)
        sub.aws(operation="GetItem", table_names=["a", "b"], region=None)
        sub.sql(url="pg://db/x", sanitized_query="select ?", user="me")
    document = traces.one.document
    assert {key: document[key] for key in document if key not in ("id", "start_time", "end_time")} == {
        "type": "subsegment",
        "trace_id": ROOT,
        "parent_id": "53995c3f42cd8ad8",
        "name": "call",
        "annotations": {"order": 17, "paid": True, "price": 2.5, "tier": "gold"},
        "metadata": {"default": {"basket": ["tea"]}, "AWS_mine": {"x": 1}},
        "http": {
            "request": {"method": "GET", "url": "https://example.com/", "traced": True},
            "response": {"status": 429, "content_length": 12},
        },
        "error": True,
        "throttle": True,
        "aws": {"operation": "GetItem", "table_names": ["a", "b"]},
        "sql": {"url": "pg://db/x", "sanitized_query": "select ?", "user": "me"},
    }


def test_what_is_put_after_the_end_is_not_recorded(traces: Traces) -> None:
    with subsegment("done") as sub:
        pass
    sub.annotate(late=1)
    sub.metadata(late=1)
    sub.http(method="GET")
    sub.status(500)
    sub.aws(operation="x")
    sub.sql(user="x")
    sub.exception(ValueError())
    sub.close()  # type: ignore[attr-defined]
    assert [sorted(document) for document in traces.documents] == [
        ["end_time", "id", "name", "parent_id", "start_time", "trace_id", "type"]
    ]


def test_metadata_is_what_it_was_when_the_subsegment_closed(traces: Traces) -> None:
    basket = ["tea"]
    with subsegment("root"):
        with subsegment("child") as sub:
            sub.metadata(basket=basket)
            basket.append("milk")
        basket.append("later")
    assert traces.find("child").metadata == {"default": {"basket": ["tea", "milk"]}}


def test_a_child_that_outlives_its_parent_sends_itself(traces: Traces) -> None:
    with subsegment("parent"):
        child = subsegment("child")
        child.__enter__()
    child.__exit__(None, None, None)
    assert [document["name"] for document in traces.documents] == ["parent", "child"]
    assert traces.documents[1]["parent_id"] == traces.documents[0]["id"]


def test_a_subsegment_belongs_where_it_was_made_and_may_be_entered_in_another_thread(traces: Traces) -> None:
    with subsegment("parent"):
        child = subsegment("child")
        thread = threading.Thread(target=lambda: child.__enter__().__exit__(None, None, None))
        thread.start()
        thread.join()
    assert traces.one.names() == ("parent", [("child", [])])


def test_a_block_closed_out_of_turn_leaves_no_wrong_parent_behind(traces: Traces) -> None:
    """As a generator does that is dropped half-way, with a block open in it."""
    with subsegment("root"):
        first = subsegment("first").__enter__()
        with subsegment("second"):
            first.__exit__(None, None, None)
        with subsegment("third"):
            pass
    assert traces.one.names() == ("root", [("first", [("second", [])]), ("third", [])])


def test_a_clock_that_is_set_back_ends_nothing_before_it_began() -> None:
    times = iter([2_000_000_000_000_000_000, 1_000_000_000_000_000_000])
    with capture(clock=lambda: next(times)) as traces:
        with subsegment("work"):
            pass
        assert traces.one.duration == 0


def test_the_oldest_children_go_out_one_by_one_when_a_parent_holds_too_much() -> None:
    """One in, one out: a burst of all of them would overflow the daemon's socket buffer."""
    sent: list[int] = []
    with capture(stream_bytes=1000, new_id=counting_ids()) as traces:
        with subsegment("parent"):
            for number in range(100):
                with subsegment(f"child{number:03}"):
                    pass
                sent.append(len(traces.documents))
        names = [document["name"] for document in traces.documents]
        parent = traces.documents[-1]
    assert max(after - before for before, after in pairwise(sent)) == 1
    assert names[:-1] == [f"child{number:03}" for number in range(len(names) - 1)]
    assert [child["name"] for child in parent["subsegments"]] == [
        f"child{number:03}" for number in range(len(names) - 1, 100)
    ]


def test_a_child_larger_than_the_budget_goes_out_at_once() -> None:
    with capture(stream_bytes=100) as traces:
        with subsegment("parent"), subsegment("child") as child:
            child.metadata(text="x" * 500)
        assert [document["name"] for document in traces.documents] == ["child", "parent"]


def test_a_parent_with_much_of_its_own_sends_its_children_alone() -> None:
    """45 kB of children and 30 kB of metadata do not fit one document: all arrive, in more than one."""
    with capture() as traces:
        with subsegment("parent") as parent:
            parent.metadata(text="x" * 30_000)
            for number in range(45):
                with subsegment(f"child{number}") as child:
                    child.metadata(text="y" * 900)
        for document in traces._emitter.documents:
            checked(document)
        assert len(traces.one.children) == 45
        assert len(traces.one.metadata["default"]["text"]) == 30_000
        assert len(traces.documents) > 1


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (HEADER, ["work"]),
        (HEADER.replace("Sampled=1", "Sampled=0"), []),
        (HEADER.replace("Sampled=1", "Sampled=?"), []),
        (f"Root={ROOT}", []),
        ("nonsense", []),
        ("", []),
        (None, []),
    ],
)
def test_only_a_sampled_trace_is_recorded(header: str | None, names: list[str]) -> None:
    with capture(header) as traces:
        with subsegment("work") as sub, subsegment("inner"):
            sub.annotate(order=1)
            assert sub.sampled is bool(names)
        assert [node.name for node in traces.roots] == names


def test_an_untraced_block_takes_every_call() -> None:
    with capture(None) as traces:
        with subsegment("work") as sub:
            sub.annotate(order=1)
            sub.metadata(x=1)
            sub.http(method="GET")
            sub.status(500)
            sub.aws(operation="x")
            sub.sql(user="x")
            sub.flag("fault")
            sub.exception(ValueError())
            assert (sub.id, sub.trace_id, sub.header(), sub.child("x")) == (None, None, None, sub)
        assert len(traces) == 0


def test_the_programs_exception_passes_as_itself(traces: Traces) -> None:
    class FrozenError(Exception):
        __slots__ = ()

        def __setattr__(self, name: str, value: object) -> None:
            raise AssertionError(name)

    error = FrozenError("no")
    with pytest.raises(FrozenError) as caught, subsegment("work"):
        raise error
    assert caught.value is error
    assert traces.one.exceptions[0]["message"] == "no"


def test_an_exception_is_recorded_where_it_was_raised_and_named_by_its_id_above(traces: Traces) -> None:
    with pytest.raises(KeyError), subsegment("outer"), subsegment("middle"), subsegment("inner"):
        raise KeyError("sku")
    inner = traces.find("inner")
    assert traces.find("outer").document["cause"] == inner.exceptions[0]["id"]
    assert traces.find("middle").document["cause"] == inner.exceptions[0]["id"]
    assert [node.flags for node in traces.one.walk()] == [{"fault"}] * 3


def test_an_exception_recorded_by_hand_is_still_told_of_where_it_goes_on(traces: Traces) -> None:
    def work() -> None:
        with subsegment("work") as sub:
            try:
                raise ValueError("no")
            except ValueError as error:
                sub.exception(error)
                raise

    with pytest.raises(ValueError, match="no"):
        work()
    assert [one["message"] for one in traces.one.exceptions] == ["no"]


def test_a_new_exception_of_the_same_kind_is_recorded_anew(traces: Traces) -> None:
    with subsegment("root"):
        for name in ("first", "second"):
            with pytest.raises(ValueError, match=name), subsegment(name):
                raise ValueError(name)
    assert [node.exceptions[0]["message"] for node in traces.one.children] == ["first", "second"]


def test_ignored_exceptions_are_no_faults() -> None:
    with capture(ignore=(KeyError,)) as traces:
        with pytest.raises(LookupError), subsegment("here", ignore=(IndexError,)):
            raise IndexError
        with pytest.raises(KeyError), subsegment("everywhere"):
            raise KeyError
        with pytest.raises(ValueError), subsegment("neither", ignore=(IndexError,)):  # noqa: PT011 - any will do
            raise ValueError
        assert [(node.name, node.flags) for node in traces.roots] == [
            ("here", set()),
            ("everywhere", set()),
            ("neither", {"fault"}),
        ]


@pytest.mark.parametrize("error", [SystemExit(), SystemExit(0), GeneratorExit()])
def test_a_clean_end_is_no_fault(traces: Traces, error: BaseException) -> None:
    with pytest.raises(type(error)), subsegment("work"):
        raise error
    assert traces.one.flags == set()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError(), RecursionError()])
def test_a_violent_end_is_a_fault(traces: Traces, error: BaseException) -> None:
    with pytest.raises(type(error)), subsegment("work"):
        raise error
    assert traces.one.flags == {"fault"}


def test_a_cancelled_task_says_so_and_is_no_fault(traces: Traces) -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def work() -> None:
            async with subsegment("work"):
                started.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert traces.one.flags == set()
    assert traces.one.metadata == {"xray_lambda": {"cancelled": True}}


def test_a_fault_of_ours_while_encoding_costs_the_details_and_no_more() -> None:
    with capture(strict=False) as traces:
        with subsegment("work") as sub:
            sub.details = {"aws": object()}  # type: ignore[attr-defined]
        assert traces.one.names() == ("work", [])


@pytest.mark.parametrize("name", [None, 17, b"x", ["unhashable"], "", "  ", "x" * 500, "a\x00b", "\ud800", "é|漢"])
def test_any_name_is_recorded_under_one_that_x_ray_takes(name: object) -> None:
    with capture(strict=False) as traces:
        with subsegment(name):  # type: ignore[arg-type]
            pass
        checked(traces._emitter.documents[0])


def test_a_segment_of_our_own_stands_alone() -> None:
    with capture(None, clock=fake_clock(), new_id=counting_ids()) as traces:
        with segment("nightly") as root, subsegment("step"):
            assert current_subsegment().segment is root
        document = checked(traces._emitter.documents[0])
    assert document.pop("trace_id").startswith("1-6553f100-")
    about = (document.pop("service"), document.pop("aws"))
    assert document == {
        "name": "nightly",
        "id": "0000000000000001",
        "start_time": 1700000000.001,
        "end_time": 1700000000.004,
        "subsegments": [
            {
                "name": "step",
                "id": "0000000000000002",
                "start_time": 1700000000.002,
                "end_time": 1700000000.003,
            }
        ],
    }
    assert sorted(about[0]) == ["runtime", "runtime_version"]
    assert about[1]["xray"]["sdk"] == "xray_lambda"


def test_a_fault_of_ours_while_describing_an_exception_costs_the_description_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    for ours in ("is_fault", "describe"):
        with monkeypatch.context() as patched, capture(strict=False) as traces:
            patched.setattr(_cause, ours, broken)
            with pytest.raises(KeyError, match="theirs"), subsegment("work"):
                raise KeyError("theirs")
            assert (traces.one.name, traces.one.flags) == ("work", {"fault"})


def test_early_sending_shows_what_is_killed_half_way() -> None:
    """The handler as in progress, and each child as it closes: what a timeout leaves behind is complete so far."""
    seen: list[list[tuple[str, bool]]] = []

    @traced_handler(service="shop")
    def handler(event: object, context: object) -> None:
        with subsegment("first"), subsegment("inner"):
            pass
        seen.append([(checked(text)["name"], "in_progress" in text) for text in caught._emitter.documents])

    with capture(early=True) as caught:
        handler({}, None)
        first, *_, last = caught.documents
    assert seen == [[("handler", True), ("inner", False), ("first", False)]]
    assert first["annotations"] == {"ColdStart": True, "Service": "shop"}
    assert (first["id"], first["name"]) == (last["id"], last["name"])
    assert "in_progress" not in last


def test_what_x_ray_does_not_know_of_a_section_stays_out() -> None:
    with capture() as traces:
        with subsegment("call", namespace="local") as sub:  # type: ignore[arg-type]
            sub.http(method="GET", body="secret", traced=1, x_forwarded_for=True)
            sub.sql(user="u" * 300, preparation="maybe", rows=3)
            sub.aws(operation=17, retries=2, tags={"a": "b"})
            sub.flag("odd")  # type: ignore[arg-type]
        document = checked(traces._emitter.documents[0])
    assert document["http"] == {"request": {"method": "GET", "traced": True}}
    assert document["sql"] == {"user": "u" * 250}
    assert document["aws"] == {"operation": "17", "retries": 2, "tags": {"a": "b"}}
    assert "namespace" not in document


def test_nonsense_put_on_an_entity_costs_that_and_no_more() -> None:
    with capture(strict=False) as traces:
        with subsegment("call") as sub:
            sub.annotate(17)  # type: ignore[arg-type]
            sub.metadata(17)  # type: ignore[arg-type]
            sub.status("teapot")  # type: ignore[arg-type]
            sub.exception("no exception")  # type: ignore[arg-type]
            sub.annotate(order=1)
        document = checked(traces._emitter.documents[0])
    assert document["annotations"] == {"order": 1}


def test_a_forked_child_sends_what_it_adds_and_leaves_the_rest_to_its_parent(traces: Traces) -> None:
    reader, writer = os.pipe()
    with subsegment("parent"), subsegment("inner"):
        child = os.fork()
        if child == 0:
            with subsegment("child"):
                pass
            current_subsegment().close()  # type: ignore[attr-defined]
            os.write(writer, "\n".join(traces._emitter.documents).encode())
            os._exit(0)
        os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        (sent,) = pipe.read().splitlines()
    assert traces.one.names() == ("parent", [("inner", [])])
    document = checked(sent)
    assert (document["name"], document["parent_id"]) == ("child", traces.find("inner").id)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@example.com:8443/a/b?token=1#part", "https://example.com:8443/a/b"),
        ("postgres://user:p%40w@db.example/shop?sslmode=x", "postgres://db.example/shop"),
        ("https://example.com", "https://example.com"),
        ("/only/a/path?with=query", "/only/a/path"),
        ("sqlite:///file.db", "sqlite:///file.db"),
    ],
)
def test_a_url_is_recorded_without_what_may_be_secret(url: str, shown: str) -> None:
    with capture() as traces:
        with subsegment("call") as sub:
            sub.http(url=url)
            sub.sql(url=url)
        document = traces.one.document
    assert (document["http"]["request"]["url"], document["sql"]["url"]) == (shown, shown)


def test_an_entity_entered_within_itself_leaves_the_context_as_it_was(traces: Traces) -> None:
    with subsegment("outer"):
        sub = subsegment("twice")
        with sub, sub:
            pass
        with subsegment("after"):
            pass
    assert traces.one.names() == ("outer", [("twice", []), ("after", [])])


def test_a_program_that_goes_from_segment_to_segment_keeps_none_of_them() -> None:
    with capture(None):
        seen: list[weakref.ref[object]] = []

        async def main() -> None:
            done = asyncio.Event()

            def tick(left: int) -> None:
                with segment("tick") as root:
                    root.metadata(data=(data := Data()))
                    seen.append(weakref.ref(data))
                    if left:
                        asyncio.get_running_loop().call_soon(tick, left - 1)
                    else:
                        done.set()

            tick(50)
            await done.wait()

        asyncio.run(main())
        gc.collect()
    assert sum(one() is not None for one in seen) <= 1


class Data:
    """Something of the program's that metadata refers to."""


def test_a_time_out_that_strikes_while_we_work_reaches_the_program() -> None:
    class LateError(Exception):
        pass

    def late(*_: object) -> None:
        raise LateError

    before = signal.signal(signal.SIGALRM, late)
    try:
        with capture(strict=False):
            for attempt in range(30):
                signal.setitimer(signal.ITIMER_REAL, 0.001 + attempt / 100_000)
                with pytest.raises(LateError):  # noqa: PT012 - it may strike anywhere
                    while True:
                        with subsegment("work") as sub:
                            sub.annotate(order=1)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_whatever_stands_for_a_header_a_segment_is_recorded() -> None:
    with capture(None, strict=False) as traces:
        for header in ({"X-Amzn-Trace-Id": None}, {"traceparent": b"00-"}, [("a", "b")], {7: "x"}):
            with segment("worker", header=header):  # type: ignore[arg-type]
                pass
        assert len(traces) == 4


def test_early_documents_count_once_in_a_capture() -> None:
    @traced_handler
    def handler(event: object, context: object) -> None:
        with subsegment("work"):
            pass

    with capture(early=True) as caught:
        handler({}, None)
        assert caught.one.names() == ("handler", [("work", [])])


def test_one_decorator_may_be_put_on_several_handlers() -> None:
    decorate = traced_handler(service="shop")

    def first(event: object, context: object) -> None:
        """Do nothing."""

    def second(event: object, context: object) -> None:
        """Do nothing."""

    with capture() as caught:
        decorate(first)({}, None)
        decorate(second)({}, None)
        assert [root.name for root in caught.roots] == ["first", "second"]


def test_an_exception_class_alone_may_be_ignored() -> None:
    with capture() as caught:
        with pytest.raises(KeyError), subsegment("work", ignore=KeyError):  # type: ignore[arg-type]
            raise KeyError
        assert caught.one.flags == set()
