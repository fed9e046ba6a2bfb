"""A viewer that runs: what programs send is stored and told of, whatever else comes is refused and does no harm."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.viewer.made import a_trace_id, alone, documents, segment
from tests.viewer.running import HEADER, get, running, until
from xray_lambda.viewer import client, ports
from xray_lambda.viewer.documents import parse
from xray_lambda.viewer.doors import PortTaken, is_loopback, open_doors, url
from xray_lambda.viewer.ingest import Keep
from xray_lambda.viewer.serve import MOST_LINES_A_SECOND, MOST_REJECTIONS, Viewer
from xray_lambda.viewer.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.full


def test_what_is_sent_is_stored_and_told_of(tmp_path: Path) -> None:
    whole = segment()
    part = alone(whole["id"], "part")
    told: list[str] = []
    with running(tmp_path / "traces.db") as it:
        it.viewer.events.add(lambda event: told.extend(event.data) if event.kind == "traces" else None)
        it.send(whole, part)
        until(lambda: told)
        assert it.viewer.store.trace(whole["trace_id"]) == [whole, part]
        assert it.viewer.counters.received == 2
    assert set(told) == {whole["trace_id"]}


def test_the_end_stores_what_has_arrived(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    with running(path) as it:
        for number in range(300):
            it.send(segment(trace_id=a_trace_id(number)))
    with closing(Store(path)) as store:
        assert store.count() == 300


BAD = [b"", b"\xff\xfe", HEADER, HEADER + b"{", HEADER + b"[" * 60_000, HEADER + b"\xff" * 65_000, HEADER + b"{}" * 9]


def test_bad_datagrams_are_refused_with_a_reason_and_the_next_good_one_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running() as it, closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as out:
        for datagram in BAD:
            out.sendto(datagram, ("127.0.0.1", it.port))
        it.send(segment())
        until(it.viewer.store.count)
        assert it.viewer.counters.rejected == len(BAD)
        reasons = [rejection.reason for rejection in it.viewer.rejections]
    assert reasons[0] == 'the datagram has no newline after its header {"format": "json", "version": 1}'
    assert reasons[-1].startswith("the document is not JSON")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines[:MOST_LINES_A_SECOND] == [f"rejected, by UDP: {reason}" for reason in reasons[:MOST_LINES_A_SECOND]]


def test_a_flood_of_bad_datagrams_fills_neither_log_nor_memory(caplog: pytest.LogCaptureFixture) -> None:
    with running() as it, closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as out:
        for _ in range(5_000):
            out.sendto(b"no header at all", ("127.0.0.1", it.port))
        until(lambda: it.viewer.counters.rejected + it.viewer.counters.dropped >= 5_000)
        assert len(it.viewer.rejections) == MOST_REJECTIONS
    assert len(caplog.records) < 100


def test_documents_of_one_trace_come_in_any_order_and_twice() -> None:
    whole = segment()
    parts = [alone(whole["id"], f"part {number}") for number in range(5)]
    with running() as it:
        it.send(*reversed(parts), whole, *parts, whole)
        until(lambda: it.viewer.counters.received == 12)
        until(lambda: [row["documents"] for row in it.viewer.store.query()] == [6])


def test_a_trace_that_never_ends_is_shown_as_running() -> None:
    with running() as it:
        it.send(segment(seconds=None))
        until(it.viewer.store.count)
        assert [row["in_progress"] for row in it.viewer.store.query()] == [True]


def test_a_store_that_takes_nothing_is_said_and_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as it:
        put = it.viewer.store.put

        def full(_: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(it.viewer.store, "put", full)
        it.send(segment())
        until(lambda: it.viewer.counters.unstored)
        monkeypatch.setattr(it.viewer.store, "put", put)
        it.send(segment())
        until(it.viewer.store.count)
        status = it.viewer.status()
    assert status["problem"]["text"] == "1 documents could not be stored: database or disk is full"
    assert (status["received"], status["unstored"]) == (2, 1)


def test_a_full_disk_loses_what_it_cannot_take_and_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path / "traces.db") as it:
        it.send(segment(trace_id=a_trace_id(1)))
        until(it.viewer.store.count)
        with it.viewer.store._writing:  # the most pages that the file may have: what a disk's end looks like
            pages = it.viewer.store._writer.execute("PRAGMA page_count").fetchone()[0]
            it.viewer.store._writer.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(50):
            it.send(segment(trace_id=a_trace_id(100 + number), metadata={"a": {"b": "x" * 20_000}}))
        until(lambda: it.viewer.problem)
        assert "database or disk is full" in it.viewer.status()["problem"]["text"]
        with it.viewer.store._writing:
            it.viewer.store._writer.execute("PRAGMA max_page_count = 1000000")
        it.send(segment(trace_id=a_trace_id(2)))
        until(lambda: it.viewer.store.summaries([a_trace_id(2)]))
        assert len(it.viewer.store.trace(a_trace_id(1))) == 1


def test_old_traces_are_forgotten_while_it_runs() -> None:
    with running(keep=Keep(days=1e-9)) as it:
        it.send(segment())
        until(it.viewer.store.count)
        it.daemon._ingest._next_tidy = 0.0
        until(lambda: it.viewer.store.count() == 0)


def test_a_fault_of_ours_costs_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(text: bytes) -> Any:
        if b"bad" in text:
            raise RecursionError
        return parse(text)

    monkeypatch.setattr("xray_lambda.viewer.documents.parse", fails)
    with running() as it:
        it.send(segment("bad"), segment("good"))
        until(it.viewer.store.count)
        assert [rejection.reason for rejection in it.viewer.rejections] == [
            "the viewer could not read it: RecursionError()"
        ]


def test_when_it_is_quiet_the_disk_catches_up(tmp_path: Path) -> None:
    path, copy = tmp_path / "traces.db", tmp_path / "copy.db"
    with running(path) as it:
        it.send(segment())
        until(it.viewer.store.count)
        it.daemon._ingest._next_tidy = 0.0
        until(lambda: not it.daemon._ingest._unsynced)
        copy.write_bytes(path.read_bytes())  # without the log
    with closing(Store(copy)) as store:
        assert store.count() == 1


def test_other_commands_ask_it_what_it_is(tmp_path: Path) -> None:
    with running(tmp_path / "traces.db") as it:
        answer = client.ask("127.0.0.1", it.port)
        assert answer is not None
        assert answer["store"] == str(tmp_path / "traces.db")
        assert answer["screen"] == f"http://127.0.0.1:{it.screen_port}/"
    assert client.ask("127.0.0.1", it.port) is None


def test_what_another_process_adds_is_told_of(tmp_path: Path) -> None:
    told: list[str] = []
    with running(tmp_path / "traces.db") as it, closing(Store(tmp_path / "traces.db")) as other:
        it.viewer.events.add(lambda event: told.extend(event.data) if event.kind == "traces" else None)
        body = segment()
        other.add(documents(body))
        until(lambda: told == [body["trace_id"]])


def test_finished_traces_are_streamed_with_their_documents() -> None:
    shown, hidden = segment(trace_id=a_trace_id(1), fault=True), segment(trace_id=a_trace_id(2))
    later = alone(shown["id"], "later", trace_id=a_trace_id(1))
    found: list[dict[str, Any]] = []
    with running() as it:

        def follow() -> None:
            found.extend(client.follow("127.0.0.1", it.port, "fault"))

        following = threading.Thread(target=follow)
        following.start()
        until(lambda: it.viewer.events._listeners)
        it.send(hidden, shown)
        until(lambda: len(found) == 1)
        it.send(later)
        until(lambda: len(found) == 2)
    following.join(10)
    assert [trace["documents"] for trace in found] == [[shown], [shown, later]]
    assert [trace["again"] for trace in found] == [False, True]


def test_a_filter_that_is_none_is_refused_in_words() -> None:
    with running() as it, pytest.raises(client.Refused):
        list(client.follow("127.0.0.1", it.port, "fault AND ("))


def test_a_port_that_is_taken_says_by_whom() -> None:
    with running() as it:
        with pytest.raises(PortTaken, match=rf"TCP port {it.port} of 127.0.0.1 is in use by process \d+ \(.*python"):
            open_doors("127.0.0.1", it.port, 0)
        with pytest.raises(PortTaken, match=f"TCP port {it.screen_port} of 127.0.0.1 is in use by process"):
            open_doors("127.0.0.1", 0, it.screen_port)


def test_a_udp_port_that_is_taken_says_by_whom_too() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"UDP port {port} of 127.0.0.1 is in use by process"):
            open_doors("127.0.0.1", port, 0)


def test_nobody_has_a_port_that_is_free() -> None:
    assert ports.holder(1, "tcp") == "another process"


def test_a_host_that_is_not_here_is_said() -> None:
    with pytest.raises(PortTaken, match=r"of 192\.0\.2\.1 cannot be opened"):
        open_doors("192.0.2.1", 0, None)
    with pytest.raises(PortTaken, match=r"the host 'no\.such\.host\.invalid' is not known"):
        open_doors("no.such.host.invalid", 0, None)


def test_loopback_is_known_as_such_and_shown_for_all_addresses() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")  # noqa: S104 - that is the case
    assert not is_loopback("192.0.2.1")
    assert url("0.0.0.0", 2001) == "http://127.0.0.1:2001/"  # noqa: S104 - the same
    assert url("::1", 2001) == "http://[::1]:2001/"


def test_ipv6_has_its_brackets() -> None:
    with closing(open_doors("::1", 0, 0)) as doors:
        assert doors.screen is not None
        assert doors.screen_address == f"http://[::1]:{doors.screen.getsockname()[1]}/"
        assert doors.udp.getsockname()[:2] == ("::1", doors.port)


def test_events_reach_a_listener_and_a_slow_one_keeps_nobody_waiting() -> None:
    viewer = Viewer(Store(None))

    async def listen() -> list[Any]:
        listening = viewer.events.listen(timeout=0.05)
        first = await anext(listening)  # it listens from its first wait on
        for number in range(2_000):
            viewer.events.tell("traces", [number])
        viewer.events.close()
        return [first, *[event.data async for event in listening if event is not None]]

    heard = asyncio.run(listen())
    assert heard[0] is None
    assert len(heard) == 1_000
    assert heard[-1] == [1_999]
    assert not viewer.events._listeners
    viewer.store.close()


def test_unknown_paths_and_methods_are_refused() -> None:
    with running() as it:
        assert get(it.port, "/nothing")[0] == 404
        assert json.loads(get(it.port, "/xray-lambda")[1])["received"] == 0
