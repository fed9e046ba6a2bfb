"""The thread that asks X-Ray: when it begins, what it leaves alone, how it ends."""

from __future__ import annotations

import atexit
import contextvars
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.sampling.fakes import NO_LOCAL, SHOP, samplers_threads, threads_left
from tests.servers.xray_api import BROKEN, HANGING, XRayAPI
from xray_lambda import _guard, patch, segment, unpatch
from xray_lambda._context import current
from xray_lambda._recorder import current_entity
from xray_lambda.sampling.central import CentralSampler
from xray_lambda.sampling.clients import DirectClient
from xray_lambda.sampling.daemon import DaemonClient
from xray_lambda.sampling.local import LocalSampler
from xray_lambda.sampling.poller import Poller
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RULES = "/GetSamplingRules"
PATIENCE = 20


class Step:
    """What a poller calls: tells when it was, and in what context."""

    def __init__(self, pause: float = 3600.0) -> None:
        self.pause = pause
        self.called = threading.Event()
        self.seen: list[Any] = []

    def __call__(self) -> float:
        self.seen.append((request_of.get(None), current_entity(), threading.current_thread()))
        self.called.set()
        return self.pause


request_of: contextvars.ContextVar[str] = contextvars.ContextVar("request_of")


@pytest.fixture
def step() -> Step:
    return Step()


@pytest.fixture
def poller(step: Step) -> Iterator[Poller]:
    poller = Poller(step, lambda: None)
    yield poller
    poller.stop()


def test_it_begins_once_when_it_is_told_to(poller: Poller, step: Step) -> None:
    assert not poller.started
    assert threads_left() == []
    for _ in range(3):
        poller.start()
    assert step.called.wait(PATIENCE)
    assert len(samplers_threads()) == len(step.seen) == 1


def test_it_never_keeps_a_program_from_ending(poller: Poller) -> None:
    poller.start()
    assert all(thread.daemon for thread in samplers_threads())


def test_many_first_requests_start_one_thread(poller: Poller, step: Step) -> None:
    barrier = threading.Barrier(8)

    def begin() -> None:
        barrier.wait()
        poller.start()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert step.called.wait(PATIENCE)
    assert len(samplers_threads()) == 1


def carrying(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """Return what starts threads in the context of who starts them, as newer Pythons can, and other tracers do."""

    def carry(thread: threading.Thread) -> None:
        context, run = contextvars.copy_context(), thread.run
        vars(thread)["run"] = lambda: context.run(run)
        start(thread)

    return carry


def test_what_it_does_belongs_to_no_request(poller: Poller, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched, capture(header=None) as traces, segment("request") as request:
        patched.setattr(threading.Thread, "start", carrying(threading.Thread.start))
        request_of.set("the first request")
        poller.start()
        assert step.called.wait(PATIENCE)
    (asked_by, entity, _) = step.seen[0]
    assert asked_by is None
    assert not entity.sampled
    assert entity.trace_id is None
    assert request.sampled
    assert [root.names() for root in traces.roots] == [("request", [])]


def test_the_card_of_threads_carries_no_request_into_it(poller: Poller, step: Step) -> None:
    patch("threads")
    try:
        with capture(header=None), segment("request"):
            poller.start()
            assert step.called.wait(PATIENCE)
        assert step.seen[0][1].trace_id is None
    finally:
        unpatch("threads")


def test_its_calls_are_not_traced_nor_missed(caplog: pytest.LogCaptureFixture) -> None:
    patch("http.client")
    try:
        with capture(header=None, context_missing="RUNTIME_ERROR") as traces, XRayAPI() as api:
            sampler = CentralSampler(DaemonClient("127.0.0.1", api.port), LocalSampler(NO_LOCAL))
            sampler.decide(SHOP)
            api.wait_for(RULES)
            sampler.close()
        assert len(traces) == 0
        assert caplog.records == []
    finally:
        unpatch("http.client")


def test_its_calls_straight_to_xray_are_not_traced_either(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    patch("botocore", "urllib3", "http.client")
    try:
        with capture(header=None, context_missing="RUNTIME_ERROR") as traces, XRayAPI() as api:
            monkeypatch.setenv("AWS_ENDPOINT_URL_XRAY", f"http://127.0.0.1:{api.port}")
            with segment("request"):
                sampler = CentralSampler(DirectClient(), LocalSampler(NO_LOCAL))
                sampler.decide(SHOP)
                api.wait_for(RULES)
            sampler.close()
        assert traces.one.names() == ("request", [])
        assert [record for record in caplog.records if record.name == "xray_lambda"] == []
    finally:
        unpatch()


def test_it_ends_when_it_is_told_to_and_does_not_begin_again(poller: Poller, step: Step) -> None:
    poller.start()
    assert step.called.wait(PATIENCE)
    poller.stop()
    step.seen[0][2].join(PATIENCE)
    assert not step.seen[0][2].is_alive()
    poller.start()
    poller.stop()
    assert threads_left() == []


def test_stopped_before_it_began_it_never_begins(poller: Poller) -> None:
    poller.stop()
    poller.start()
    assert threads_left() == []
    poller.start_anew()
    assert poller.started


def test_a_forked_child_begins_though_another_thread_of_its_parent_was_just_beginning(
    poller: Poller, step: Step
) -> None:
    holds, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with poller._lock:
            holds.set()
            may_go.wait(PATIENCE)

    other = threading.Thread(target=hold)
    other.start()
    assert holds.wait(PATIENCE)
    poller.start_anew()  # as in the child, where the other thread is gone and the lock is held for ever
    poller.start()
    assert step.called.wait(PATIENCE)
    may_go.set()
    other.join()


def test_it_leaves_nothing_to_be_done_at_exit(poller: Poller, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[Any] = []
    monkeypatch.setattr(atexit, "register", wanted.append)
    monkeypatch.setattr(
        atexit, "unregister", lambda gone: wanted.__setitem__(slice(None), [one for one in wanted if one != gone])
    )
    poller.start()
    assert wanted == [poller.stop]
    poller.stop()
    assert wanted == []


def test_a_step_may_stop_its_own_poller() -> None:
    stopped = threading.Event()

    def step() -> float:
        own[0].stop()
        stopped.set()
        return 0.0

    own = [Poller(step, lambda: None)]
    own[0].start()
    assert stopped.wait(PATIENCE)
    own[0].stop()
    assert threads_left() == []


def test_after_a_fault_of_ours_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    monkeypatch.setattr("xray_lambda.sampling.poller._AFTER_A_FAULT", 0.01)
    calls: list[int] = []
    twice = threading.Event()

    def step() -> float:
        calls.append(1)
        if len(calls) == 1:
            raise LookupError
        twice.set()
        return 3600.0

    poller = Poller(step, lambda: None)
    poller.start()
    assert twice.wait(PATIENCE)
    poller.stop()


def test_where_no_thread_can_be_had_that_is_told(
    poller: Poller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    poller.start()
    poller.start()
    assert [record.getMessage() for record in caplog.records] == [
        "xray_lambda: local sampling rules decide: can't start new thread"
    ]


@pytest.fixture
def api() -> Iterator[XRayAPI]:
    with XRayAPI() as api:
        yield api


def sampler_of(api: XRayAPI) -> CentralSampler:
    return CentralSampler(DaemonClient("127.0.0.1", api.port), LocalSampler(NO_LOCAL))


def test_a_sampler_asks_nothing_before_its_first_request(api: XRayAPI) -> None:
    sampler = sampler_of(api)
    assert threads_left() == []
    assert sampler.decide(SHOP).rule is None
    api.wait_for(RULES)
    sampler.close()
    assert threads_left() == []
    assert api.asked(RULES) == 1


def test_no_request_waits_for_a_daemon_that_hangs(api: XRayAPI) -> None:
    api.faulty = HANGING
    client = DaemonClient("127.0.0.1", api.port, seconds=60, seconds_in_all=60)
    sampler = CentralSampler(client, LocalSampler(NO_LOCAL))
    sampler.decide(SHOP)
    api.wait_for(RULES)
    assert not any(sampler.decide(SHOP).sampled for _ in range(100))
    sampler.close()
    assert threads_left() == [], "the call under way was broken off"


def test_a_daemon_in_trouble_is_told_once(api: XRayAPI, caplog: pytest.LogCaptureFixture) -> None:
    api.faulty = BROKEN
    sampler = sampler_of(api)
    sampler.decide(SHOP)
    api.wait_for(RULES, 2)
    sampler.close()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    where = f"the X-Ray daemon at 127.0.0.1:{api.port} (TCP)"
    why = 'status 500, \'{"__type":"InternalFailure"}\''
    meanwhile = "Tried again, told once; local sampling rules decide until they can be had."
    assert told == [f"xray_lambda: X-Ray's sampling rules cannot be had from {where}: {why}. {meanwhile}"]


def test_nothing_is_current_that_was_not(api: XRayAPI) -> None:
    before = current.get()
    sampler = sampler_of(api)
    sampler.decide(SHOP)
    assert current.get() is before
    sampler.close()
