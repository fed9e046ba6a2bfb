"""The direct emitter: batches, a line that is bounded, trying again, giving up, flushing; X-Ray is a stand-in."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from tests.emitters.xray import LATER, PATIENCE, REFUSED, REJECTED, FakeXRay
from xray_lambda import _guard
from xray_lambda._context import current
from xray_lambda._emitters import direct
from xray_lambda._emitters.backlog import Backlog
from xray_lambda._emitters.direct import DirectEmitter
from xray_lambda._emitters.service import SENT, Outcome
from xray_lambda._entity import UNTRACED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Make = Callable[..., DirectEmitter]


@pytest.fixture
def emitter_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., DirectEmitter]]:
    """Make emitters whose threads end with the test, and that do not rest long between attempts."""
    made: list[DirectEmitter] = []
    on_sigterm = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(direct, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(direct, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(direct, "_LONGEST_HURRIED_PAUSE", 0.001)

    def make(xray: FakeXRay, *, window: float = 0.01, **options: object) -> DirectEmitter:
        made.append(DirectEmitter(xray, window=window, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    signal.signal(signal.SIGTERM, on_sigterm)
    for emitter in made:
        thread = emitter._thread
        emitter.close()
        if thread is not None:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.levelno > logging.DEBUG]


def test_what_comes_together_is_one_batch(emitter_for: Make) -> None:
    xray = FakeXRay()
    emitter = emitter_for(xray, window=0.2)
    for document in "abc":
        emitter.send(document)
    assert emitter.flush(PATIENCE)
    assert xray.batches == [["a", "b", "c"]]
    assert emitter.lost == 0


def test_a_document_by_itself_goes_out_when_the_window_ends(emitter_for: Make) -> None:
    xray = FakeXRay()
    emitter_for(xray).send("a")
    assert xray.wait_for(1) == [["a"]]


def test_a_full_batch_does_not_wait_for_the_window(emitter_for: Make) -> None:
    xray = FakeXRay()
    emitter = emitter_for(xray, window=PATIENCE * 2)
    for number in range(50):
        emitter.send(str(number))
    assert [len(batch) for batch in xray.wait_for(1)] == [50]


def test_a_batch_has_fifty_documents_at_most_and_a_million_bytes(emitter_for: Make) -> None:
    xray = FakeXRay()
    emitter = emitter_for(xray, window=PATIENCE)
    for _ in range(130):
        emitter.send("x")
    for _ in range(20):
        emitter.send("x" * 64_000)
    assert emitter.flush(PATIENCE)
    assert sum(map(len, xray.batches)) == 150
    assert max(map(len, xray.batches)) == 50
    assert max(sum(map(len, batch)) for batch in xray.batches) <= 1_000_000


def test_the_caller_never_waits_for_x_ray(emitter_for: Make) -> None:
    xray = FakeXRay()
    xray.open.clear()
    emitter = emitter_for(xray)
    for number in range(100):
        emitter.send(str(number))
    xray.wait_for(1)
    assert xray.threads == {"xray_lambda-direct"}
    assert len(xray.documents) + len(emitter._backlog) == 100
    xray.open.set()
    assert emitter.flush(PATIENCE)
    assert sorted(map(int, xray.documents)) == list(range(100))


def test_sending_calls_two_functions_and_no_more(emitter_for: Make) -> None:
    """The house's count of instructions; it may only fall."""
    emitter = emitter_for(FakeXRay(), window=PATIENCE)
    emitter.send("a")
    while emitter._asleep:
        time.sleep(0.001)
    calls: list[str] = []
    sys.setprofile(lambda frame, event, argument: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        emitter.send("b")
    finally:
        sys.setprofile(None)
    assert calls == ["send", "put"]


def test_at_the_end_of_the_program_the_thread_falls_silent(emitter_for: Make, caplog: pytest.LogCaptureFixture) -> None:
    xray = FakeXRay(LATER)
    emitter = emitter_for(xray, exit_seconds=0.05)
    emitter.send("a")
    emitter.end()
    assert said(caplog) == [("WARNING", "xray_lambda: 1 documents are lost: the program ended before X-Ray took them")]
    before = len(xray.batches)
    xray.wait_for(before + 3)
    xray.answer(REFUSED)
    xray.wait_for(before + 6)
    assert len(said(caplog)) == 1
    xray.answer(SENT)


def test_no_thread_is_started_before_the_first_document(emitter_for: Make) -> None:
    emitter = emitter_for(FakeXRay())
    assert emitter._thread is None
    assert emitter.flush(0)
    assert emitter._thread is None


def test_many_threads_may_send_at_once(emitter_for: Make) -> None:
    xray = FakeXRay()
    emitter = emitter_for(xray)
    start = threading.Barrier(4)

    def work(first: int) -> None:
        start.wait()
        for number in range(first, first + 500):
            emitter.send(str(number))

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 2000, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert emitter.flush(PATIENCE)
    assert sorted(map(int, xray.documents)) == list(range(2000))


def test_a_batch_is_tried_again_while_x_ray_cannot_take_it(emitter_for: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "xray_lambda")
    xray = FakeXRay(LATER, LATER, LATER, SENT)
    emitter = emitter_for(xray)
    emitter.send("a")
    assert emitter.flush(PATIENCE)
    assert xray.batches == [["a"]] * 4
    assert emitter.lost == 0
    [(level, text)] = said(caplog)
    assert (level, "ThrottledException: slow down" in text) == ("INFO", True)


def test_a_batch_that_x_ray_cannot_digest_is_given_up_and_counted(
    emitter_for: Make, caplog: pytest.LogCaptureFixture
) -> None:
    xray = FakeXRay(*[LATER] * 10, SENT)
    emitter = emitter_for(xray)
    emitter.send("a")
    assert xray.wait_for(10) == [["a"]] * 10
    emitter.send("b")
    assert emitter.flush(PATIENCE)
    assert xray.batches[10:] == [["b"]]
    assert emitter.lost == 1
    assert (
        "WARNING",
        "xray_lambda: 1 documents are lost: X-Ray did not take them (ThrottledException: slow down)",
    ) in (said(caplog))


def test_pauses_grow_and_are_drawn_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    emitter = DirectEmitter(FakeXRay())
    longest = []
    for failures in range(1, 40):
        emitter._failures = failures
        pauses = [emitter._pause(LATER) for _ in range(200)]
        assert len(set(pauses)) > 100
        assert min(pauses) >= 0
        longest.append(max(pauses))
    assert longest[0] <= 1.0
    assert 20 < max(longest[10:]) <= 30.0


def test_our_random_pauses_do_not_disturb_the_programs_own_sequence() -> None:
    import random

    random.seed(7)
    expected = [random.random() for _ in range(2)]
    random.seed(7)
    first = random.random()
    DirectEmitter(FakeXRay())._pause(LATER)
    assert [first, random.random()] == expected


def test_a_rejected_batch_is_dropped_at_once_counted_and_told(
    emitter_for: Make, caplog: pytest.LogCaptureFixture
) -> None:
    xray = FakeXRay(REJECTED, SENT)
    emitter = emitter_for(xray)
    emitter.send("a")
    assert emitter.flush(PATIENCE)
    emitter.send("b")
    assert emitter.flush(PATIENCE)
    assert xray.batches == [["a"], ["b"]]
    assert emitter.lost == 1
    assert said(caplog) == [
        ("WARNING", "xray_lambda: 1 documents are lost: X-Ray rejects them (InvalidRequestException: no)")
    ]


def test_a_refusal_is_told_once_with_what_to_do_and_is_got_over(
    emitter_for: Make, caplog: pytest.LogCaptureFixture
) -> None:
    xray = FakeXRay(*[REFUSED] * 5, SENT)
    emitter = emitter_for(xray)
    emitter.send("a")
    assert xray.wait_for(6) == [["a"]] * 6
    assert emitter.flush(PATIENCE)
    assert emitter.lost == 0
    [(level, text)] = said(caplog)
    assert level == "WARNING"
    assert "AccessDeniedException: no. What to do: allow it. Told once" in text


def test_flushing_does_not_wait_for_what_is_refused(
    emitter_for: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(direct, "_LONGEST_PAUSE", 0.2)
    emitter = emitter_for(FakeXRay(REFUSED))
    emitter.send("a")
    start = time.monotonic()
    assert not emitter.flush(PATIENCE)
    assert time.monotonic() - start < PATIENCE / 2


def test_what_x_ray_did_not_process_counts_as_lost(emitter_for: Make) -> None:
    emitter = emitter_for(FakeXRay(Outcome("sent", lost=2)))
    for document in "abc":
        emitter.send(document)
    assert emitter.flush(PATIENCE)
    assert emitter.lost == 2


def test_the_oldest_are_dropped_counted_and_told_while_x_ray_is_down(
    emitter_for: Make, caplog: pytest.LogCaptureFixture
) -> None:
    xray = FakeXRay()
    xray.open.clear()
    emitter = emitter_for(xray, backlog=lambda: Backlog(max_documents=10))
    emitter.send("first")
    xray.wait_for(1)
    for number in range(25):
        emitter.send(str(number))
    xray.open.set()
    assert emitter.flush(PATIENCE)
    assert xray.documents == ["first", *map(str, range(15, 25))]
    assert emitter.lost == 15
    assert said(caplog) == [
        (
            "WARNING",
            "xray_lambda: 15 documents were dropped so far, the oldest: more were recorded than may wait for X-Ray",
        )
    ]


@pytest.mark.full
def test_memory_stays_bounded_under_a_hundred_thousand_documents_that_cannot_be_sent(emitter_for: Make) -> None:
    xray = FakeXRay(LATER)
    emitter = emitter_for(xray)
    document = "x" * 700
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(100_000):
            emitter.send(f"{document}{number}")
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 8_000_000  # 5 MB of text, and Python's own 50 bytes a document
    assert emitter.lost > 90_000
    xray.answer(SENT)


def test_flushing_gives_up_when_its_time_is_over(emitter_for: Make) -> None:
    xray = FakeXRay()
    xray.open.clear()
    emitter = emitter_for(xray)
    emitter.send("a")
    start = time.monotonic()
    assert not emitter.flush(0.05)
    assert time.monotonic() - start < PATIENCE / 2
    xray.open.set()
    assert emitter.flush(PATIENCE)


def test_flushing_waits_for_what_was_sent_before_and_not_for_what_comes_meanwhile(emitter_for: Make) -> None:
    xray = FakeXRay()
    emitter = emitter_for(xray)
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            emitter.send("more")
            time.sleep(0.0001)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        emitter.send("mine")
        assert emitter.flush(PATIENCE)
        assert "mine" in xray.documents
    finally:
        stop.set()
        thread.join()


def test_what_the_thread_does_is_no_part_of_a_trace(emitter_for: Make) -> None:
    seen: list[object] = []

    class Looking(FakeXRay):
        def put(self, documents: list[str]) -> Outcome:
            seen.append(current.get())
            return super().put(documents)

    emitter = emitter_for(Looking())
    emitter.send("a")
    assert emitter.flush(PATIENCE)
    assert seen == [UNTRACED]


def test_a_fault_of_ours_loses_one_batch_and_the_thread_goes_on(
    emitter_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(FakeXRay):
        def put(self, documents: list[str]) -> Outcome:
            if not self.batches:
                self.batches.append(documents)
                raise ZeroDivisionError
            return super().put(documents)

    monkeypatch.setattr(_guard, "strict", False)
    xray = Broken()
    emitter = emitter_for(xray)
    emitter.send("a")
    emitter.flush(PATIENCE)
    emitter.send("b")
    assert emitter.flush(PATIENCE)
    assert xray.batches == [["a"], ["b"]]
    assert emitter.lost == 1


def test_a_signal_handler_may_send_and_flush_while_the_program_does(emitter_for: Make) -> None:
    xray = FakeXRay()
    emitter = emitter_for(xray)
    sent = 0

    def on_alarm(number: int, frame: object) -> None:
        nonlocal sent
        emitter.send("signal")
        emitter.flush(PATIENCE)
        sent += 1

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    own = 0
    try:
        while sent < 30:
            emitter.send("own")
            own += 1
            if own % 100 == 0:
                emitter.flush(PATIENCE)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert emitter.flush(PATIENCE)
    assert len(xray.documents) == own + sent


def test_a_closed_emitter_sends_what_waits_and_ends_its_thread() -> None:
    xray = FakeXRay()
    xray.open.clear()
    emitter = DirectEmitter(xray, window=PATIENCE)
    emitter.send("a")
    thread = emitter._thread
    assert thread is not None
    emitter.close()
    xray.open.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert xray.documents == ["a"]
    assert xray.closed


def test_a_closed_emitter_does_not_wait_for_what_is_refused() -> None:
    emitter = DirectEmitter(FakeXRay(REFUSED), window=0.01)
    emitter.send("a")
    thread = emitter._thread
    assert thread is not None
    emitter.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert emitter.lost == 1


def test_what_comes_after_closing_is_sent_all_the_same(emitter_for: Make) -> None:
    xray = FakeXRay()
    emitter = emitter_for(xray)
    emitter.close()
    emitter.send("a")
    assert xray.wait_for(1) == [["a"]]
    assert emitter.flush(PATIENCE)


def test_without_a_thread_to_be_had_documents_wait_for_the_next_try(
    emitter_for: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    xray = FakeXRay()
    emitter = emitter_for(xray)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        emitter.send("a")
        assert not emitter.flush(0.01)
    emitter.send("b")
    assert emitter.flush(PATIENCE)
    assert xray.documents == ["a", "b"]
    assert ("WARNING", "xray_lambda: nothing can be sent to X-Ray: can't start new thread") in said(caplog)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_starts_with_an_empty_line_and_a_thread_of_its_own(emitter_for: Make) -> None:
    xray = FakeXRay()
    xray.open.clear()
    emitter = emitter_for(xray)
    emitter.send("under way")
    xray.wait_for(1)
    emitter.send("waits")
    child = os.fork()
    if child == 0:
        try:
            assert len(emitter._backlog) == 0
            assert emitter.flush(0)
            xray.open = threading.Event()
            xray.open.set()
            emitter.send("child")
            assert emitter.flush(PATIENCE)
            assert xray.batches[1:] == [["child"]]
            assert xray.forks == 1
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    xray.open.set()
    assert emitter.flush(PATIENCE)
    assert xray.documents == ["under way", "waits"]
