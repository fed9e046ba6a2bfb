"""A daemon known by name: looked up once and in the background, while documents wait and their senders do not."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.emitters.daemon import PATIENCE, Daemon
from tests.emitters.test_udp import in_child, names, send
from xray_lambda._config import parse_address
from xray_lambda._emitters import resolver as resolver_module
from xray_lambda._emitters.resolver import Resolver
from xray_lambda._emitters.udp import UDPEmitter

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "xray-daemon.invalid"


class Lookup:
    """Stands for getaddrinfo: answers with the address of `daemon` once it may, or fails as often as told."""

    def __init__(self, daemon: Daemon, failures: int = 0) -> None:
        self.daemon = daemon
        self.failures = failures
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.calls: list[tuple[str, int]] = []
        self.threads: list[threading.Thread] = []

    def __call__(self, host: str, port: int, family: int, kind: int) -> list[tuple[Any, ...]]:
        self.calls.append((host, port))
        self.threads.append(threading.current_thread())
        assert self.may_answer.wait(PATIENCE)
        if len(self.calls) <= self.failures:
            raise OSError(-2, "Name or service not known")
        return [(self.daemon.family, kind, 0, "", (self.daemon.host, self.daemon.port))]

    def ended(self) -> None:
        """Wait for the lookups under way."""
        for thread in self.threads:
            thread.join(PATIENCE)


def emitter_with(lookup: Callable[..., Any]) -> UDPEmitter:
    emitter = UDPEmitter(parse_address(f"{HOST}:2000"))
    emitter._resolver = Resolver(HOST, 2000, emitter._resolved, lookup)
    return emitter


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_name_is_looked_up_once_while_documents_wait(host: str) -> None:
    with Daemon(host) as daemon:
        lookup = Lookup(daemon)
        lookup.may_answer.clear()
        emitter = emitter_with(lookup)
        send(emitter, 1, 2, 3)
        assert names(daemon) == []
        lookup.may_answer.set()
        lookup.ended()
        send(emitter, 4)
        assert names(daemon) == [1, 2, 3, 4]
        assert lookup.calls == [(HOST, 2000)]
        assert lookup.threads[0] is not threading.current_thread()


def test_the_systems_own_lookup_is_used() -> None:
    with Daemon() as daemon:
        emitter = UDPEmitter(parse_address(f"127.1:{daemon.port}"))  # no address to us, one to getaddrinfo
        send(emitter, 1)
        assert [one["name"] for one in daemon.wait_for(1)] == ["1"]


def test_of_very_many_documents_the_newest_wait() -> None:
    with Daemon() as daemon:
        lookup = Lookup(daemon)
        lookup.may_answer.clear()
        emitter = emitter_with(lookup)
        send(emitter, *range(250))
        lookup.may_answer.set()
        lookup.ended()
        assert names(daemon) == list(range(50, 250))


def test_a_name_that_cannot_be_resolved_is_told_of_once_and_tried_again_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Daemon() as daemon:
        lookup = Lookup(daemon, failures=2)
        emitter = emitter_with(lookup)
        send(emitter, 1)
        lookup.ended()
        send(emitter, 2, 3)
        assert len(lookup.calls) == 1
        for number in (4, 5):
            let_the_pause_pass(monkeypatch)
            send(emitter, number)
            lookup.ended()
        assert names(daemon) == [1, 2, 3, 4, 5]
    assert len(lookup.calls) == 3
    [record] = caplog.records
    assert (record.levelno, HOST in record.getMessage()) == (logging.WARNING, True)


def let_the_pause_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.monotonic() + resolver_module._RETRY_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)


def test_a_document_that_comes_while_the_answer_does_is_not_lost() -> None:
    """Another thread has seen that there is no address yet, and gets to hold its document when there is one."""
    with Daemon() as daemon:
        lookup = Lookup(daemon)
        emitter = emitter_with(lookup)
        resolver = emitter._resolver
        assert resolver is not None
        take, late = resolver._take, threading.Thread(target=resolver.hold, args=(b"late",))

        def take_and_let_another_in() -> list[bytes]:
            taken = take()
            if not late.ident:
                late.start()
                late.join(PATIENCE)
            return taken

        resolver._take = take_and_let_another_in  # type: ignore[method-assign]
        resolver.hold(b"first")
        lookup.ended()
        late.join(PATIENCE)
        lookup.ended()
        assert sorted(daemon.take_datagrams()) == [b"first", b"late"]


def test_a_forked_child_looks_up_by_itself_and_sends_nothing_twice() -> None:
    with Daemon() as daemon:
        lookup = Lookup(daemon)
        lookup.may_answer.clear()
        emitter = emitter_with(lookup)
        send(emitter, 1)

        def work() -> None:
            lookup.threads.clear()
            lookup.may_answer.set()
            send(emitter, 2)
            lookup.ended()
            send(emitter, 3)

        fork_quietly(work)
        assert names(daemon) == [2, 3]
        lookup.may_answer.set()
        lookup.ended()
        assert names(daemon) == [1]


def fork_quietly(work: Callable[[], None]) -> None:
    """Fork where another thread runs, of which newer Pythons warn: the lookup is that thread."""
    with (
        pytest.warns(DeprecationWarning, match="use of fork")
        if sys.version_info >= (3, 12)
        else contextlib.nullcontext()
    ):
        in_child(work)


@pytest.mark.parametrize(("answers_after", "arrive"), [(0.2, ["1", "2"]), (60, [])])
def test_at_exit_documents_that_wait_are_sent_if_the_answer_comes_within_a_second(
    answers_after: float, arrive: list[str]
) -> None:
    with Daemon() as daemon:
        program = f"""
import time
from tests.emitters.test_udp import send
from xray_lambda._config import parse_address
from xray_lambda._emitters.resolver import Resolver
from xray_lambda._emitters.udp import UDPEmitter

def lookup(host, port, family, kind):
    time.sleep({answers_after})
    return [(2, kind, 0, "", ("127.0.0.1", {daemon.port}))]

emitter = UDPEmitter(parse_address("{HOST}:2000"))
emitter._resolver = Resolver("{HOST}", 2000, emitter._resolved, lookup)
send(emitter, 1, 2)
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=PATIENCE)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert [one["name"] for one in daemon.take()] == arrive


def test_no_thread_is_started_for_an_address() -> None:
    before = threading.active_count()
    with Daemon() as daemon:
        send(UDPEmitter(parse_address(daemon.address)), 1)
        assert (threading.active_count(), names(daemon)) == (before, [1])
