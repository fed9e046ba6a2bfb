"""The store keeps documents as they came, and a summary of each trace to search by."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.viewer.made import NOON, a_trace_id, alone, call, documents, segment
from xray_lambda.viewer.store import Cursor, Store, pending, tables, writing
from xray_lambda.viewer.store.memory import MemoryFolder
from xray_lambda.viewer.store.tables import UnusableStore
from xray_lambda.viewer.summaries import summarize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "deeper" / "traces.db" if request.param == "file" else None
    with closing(Store(path)) as opened:
        yield opened


def test_a_trace_comes_back_as_it_came(store: Store) -> None:
    whole = segment(annotations={"order": 17, "vip": True, "name": "Ann"}, subsegments=[call("db")])
    part = alone(whole["id"], "later", metadata={"a": {"b": [1.5, None, "ü", {}]}})
    changed = store.add(documents(whole, part))
    assert changed == [whole["trace_id"]]
    assert store.trace(whole["trace_id"]) == [whole, part]
    assert store.texts(whole["trace_id"])[0] == (whole["id"], json.dumps(whole))
    [row] = store.query()
    assert row["annotations"] == {"order": 17, "vip": True, "name": "Ann"}
    assert (row["documents"], row["subsegments"], row["name"]) == (2, 2, "shop")
    assert row["bytes"] == len(json.dumps(whole)) + len(json.dumps(part))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_complete_document_replaces_one_in_progress_and_never_the_reverse(
    store: Store, order: tuple[int, int]
) -> None:
    running = segment(seconds=None)
    over = {**running, "end_time": NOON + 3}
    del over["in_progress"]
    both = documents(running, over)
    for place in order:
        store.add([both[place]])
    assert store.trace(running["trace_id"]) == [over]
    assert [row["in_progress"] for row in store.query()] == [False]


def test_a_document_that_comes_twice_is_there_once(store: Store) -> None:
    twice = documents(segment()) * 2
    store.add(twice)
    store.add(twice)
    assert [row["documents"] for row in store.query()] == [1]


def test_pages_go_from_the_newest_to_the_oldest(store: Store) -> None:
    store.add(documents(*(segment(start=number // 2, trace_id=a_trace_id(number)) for number in range(10))))
    pages, before = [], None
    while rows := store.query(limit=3, before=before):
        pages += [row["trace_id"] for row in rows]
        before = Cursor(rows[-1]["start"], rows[-1]["trace_id"])
    assert pages == [a_trace_id(number) for number in reversed(range(10))]


def test_a_time_range_and_a_condition_narrow_what_is_found(store: Store) -> None:
    store.add(documents(*(segment(start=number, trace_id=a_trace_id(number), fault=number > 2) for number in range(5))))
    found = store.query("fault AND name = ?", ["shop"], since=NOON, until=NOON + 3)
    assert [row["trace_id"] for row in found] == [a_trace_id(3)]
    assert store.count("fault", since=NOON + 4) == 1
    assert store.count() == 5
    assert {row["trace_id"] for row in store.summaries([a_trace_id(1), a_trace_id(4), "1-none"])} == {
        a_trace_id(1),
        a_trace_id(4),
    }


def test_a_reader_cannot_write(store: Store) -> None:
    with store.read() as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM documents")


def test_what_is_put_waits_to_be_summarised_until_it_is_quiet(store: Store) -> None:
    store.put(documents(segment()))
    assert store.settle(quiet=60) == []
    assert store.count() == 0
    assert len(store.settle()) == 1
    assert store.count() == 1


def test_what_was_not_summarised_before_a_crash_is_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    first = Store(path)
    first.put(documents(segment()))
    with closing(Store(path)) as second:  # the first one never came to it
        assert len(second.settle()) == 1
        assert second.count() == 1
    first.close()


def test_beyond_what_memory_holds_the_table_knows_what_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MOST_IN_MEMORY", 3)
    store.put(documents(*(segment(trace_id=a_trace_id(number)) for number in range(10))))
    assert len(store.settle()) == 10


def test_what_is_added_waits_for_no_others(store: Store) -> None:
    store.put(documents(*(segment(trace_id=a_trace_id(number)) for number in range(50))))
    assert store.add(documents(segment(trace_id=a_trace_id(99)))) == [a_trace_id(99)]
    assert [row["trace_id"] for row in store.query()] == [a_trace_id(99)]
    assert len(store.settle()) == 50


def test_summaries_end_when_their_time_is_over(store: Store) -> None:
    store.put(documents(*(segment(trace_id=a_trace_id(number)) for number in range(500))))
    assert 0 < len(store.settle(budget=1e-9)) < 500


@pytest.fixture
def waiting() -> Iterator[pending.Pending]:
    with closing(sqlite3.connect(":memory:")) as connection:
        line = pending.Pending(connection)
        line._more = False
        yield line


def test_a_trace_dear_to_summarise_rests_before_it_is_again(waiting: pending.Pending) -> None:
    waiting.touch(["dear", "cheap"], now=1.0)
    waiting.done({"dear": 0.5, "cheap": 0.001}, now=2.0)
    waiting.touch(["dear", "cheap"], now=3.0)
    assert waiting.due(3.0, 10) == ["cheap"]
    waiting.done({"cheap": 0.001}, now=4.0)
    assert waiting.due(7.0, 10) == ["dear"]


def test_what_is_added_is_summarised_at_once_however_dear_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "_DEAR", -1.0)
    whole = segment()
    store.add(documents(whole))
    store.put(documents(alone(whole["id"], "part")))
    assert store.settle(quiet=0) == []
    store.add(documents(alone(whole["id"], "another")))
    assert [row["documents"] for row in store.query()] == [3]


def test_the_newest_are_summarised_first(waiting: pending.Pending) -> None:
    for number in range(5):
        waiting.touch([str(number)], now=float(number))
    assert waiting.due(3.0, 2) == ["3", "2"]


def test_traces_that_are_too_old_are_forgotten(store: Store) -> None:
    store.add(documents(*(segment(trace_id=a_trace_id(number)) for number in range(1_200))))
    assert store.retain(keep_days=1, keep_bytes=1 << 40) == 0
    assert store.retain(keep_days=-1, keep_bytes=1 << 40) == 1_200
    assert store.count() == 0
    with store.read() as connection:
        for table in ("documents", "traces", "services", "annotations", "pending"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


def test_beyond_a_size_the_oldest_are_forgotten(store: Store) -> None:
    for number in range(3_000):
        store.put(documents(segment(trace_id=a_trace_id(number), metadata={"a": {"b": "x" * 1_000}})))
    store.settle()
    before = store.size()
    assert store.retain(keep_days=1, keep_bytes=before // 2) > 1_000
    assert before // 3 < store.size() < before // 2
    assert store.count() > 500


def test_everything_is_forgotten_at_once(store: Store) -> None:
    store.add(documents(*(segment(trace_id=a_trace_id(number)) for number in range(500))))
    store.clear()
    assert (store.count(), store.settle()) == (0, [])
    assert store.size() < 200_000
    store.add(documents(segment()))
    assert store.count() == 1


def test_many_threads_read_while_one_writes(store: Store) -> None:
    faults: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                for row in store.query("duration > 0", limit=10):
                    store.trace(row["trace_id"])
        except Exception as fault:
            faults.append(fault)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(100):
        store.add(documents(segment(trace_id=a_trace_id(number))))
    done.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert store.count() == 100


def test_what_is_synced_needs_no_log_any_more(tmp_path: Path) -> None:
    path, alone_ = tmp_path / "traces.db", tmp_path / "copy.db"
    with closing(Store(path)) as store:
        store.add(documents(segment()))
        store.sync()
        alone_.write_bytes(path.read_bytes())
    with closing(Store(alone_)) as copy:
        assert copy.count() == 1


def test_two_memories_are_two_stores() -> None:
    with closing(Store(None)) as one, closing(Store(None)) as other:
        one.add(documents(segment()))
        assert (one.count(), other.count()) == (1, 0)


def test_what_is_kept_in_memory_is_its_owners_and_goes_with_the_store(tmp_path: Path) -> None:
    memory = MemoryFolder(tmp_path)
    assert memory.file.parent.stat().st_mode & 0o777 == 0o700
    memory.file.touch()
    memory.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_in_memory_goes_with_the_next_one_and_nothing_else(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from xray_lambda.viewer.store.memory import MemoryFolder\n"
        "kept = MemoryFolder(pathlib.Path(sys.argv[1]))\n"
        "kept.file.touch()\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    [left] = tmp_path.iterdir()
    stranger = tmp_path / "xray-lambda-notes"
    stranger.mkdir()
    kept = MemoryFolder(tmp_path)
    other = MemoryFolder(tmp_path)
    assert not left.exists()
    assert {stranger, kept.file.parent, other.file.parent} == set(tmp_path.iterdir())
    kept.remove()
    other.remove()


def test_reading_does_not_wait_for_what_is_being_forgotten(store: Store) -> None:
    store.add(documents(*(segment(trace_id=a_trace_id(number)) for number in range(50))))
    with tables.transaction(store._writer):
        store._writer.execute("DELETE FROM traces")
        assert store.count() == 50, "as before, and at once"
    assert store.count() == 0


def test_a_store_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "traces.db"
    with closing(Store(path)) as store:
        store.add(documents(segment()))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"traces.db": 0o600, "traces.db-wal": 0o600, "traces.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_another_process_adds_and_it_shows(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    with closing(Store(path)) as store:
        before, moment = store.foreign_version(), time.time()
        code = (
            "import sys; from pathlib import Path; from xray_lambda.viewer.store import Store;"
            "from xray_lambda.viewer.documents import parse; Store(Path(sys.argv[1])).add([parse(sys.argv[2])])"
        )
        subprocess.run([sys.executable, "-c", code, str(path), json.dumps(segment())], check=True)
        assert store.foreign_version() != before
        assert store.changed_since(moment - 1) == [row["trace_id"] for row in store.query()]


@pytest.mark.parametrize("content", [b"no database at all, but a long enough text to be taken for one" * 100, b"x"])
def test_a_file_that_is_no_database_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    path.chmod(0o644)
    with pytest.raises(UnusableStore, match=r"notes\.txt is no database: name another file with --store"):
        Store(path)
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_another_programs_database_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (a)")
    before = path.read_bytes()
    with pytest.raises(UnusableStore, match=r"is a database of another program: name another file with --store"):
        Store(path)
    assert path.read_bytes() == before


def test_another_versions_store_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    Store(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 1")
    with pytest.raises(UnusableStore, match="was written by another version of xray-lambda: remove it"):
        Store(path)


def test_a_damaged_store_says_so(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    with closing(Store(path)) as store:
        store.add(documents(*(segment(trace_id=a_trace_id(number)) for number in range(200))))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    try:
        with closing(Store(path)) as store, pytest.raises(sqlite3.DatabaseError):
            store.add(documents(segment()))
    except UnusableStore as fault:
        assert "traces.db cannot be used as the store" in str(fault)  # noqa: PT017 - either is right


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnusableStore, match="file is no folder"):
        Store(tmp_path / "file" / "traces.db")


def test_strange_names_of_files_are_names_of_files(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory&b#c %41.db"
    Store(path).close()
    assert path.stat().st_size > 0


def test_a_trace_without_end_is_shown_by_how_it_began(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_DOCUMENTS", 30)
    whole = segment()
    store.add(documents(whole, *(alone(whole["id"], f"part {number}") for number in range(50))))
    assert len(store.trace(whole["trace_id"])) == 30
    assert [row["documents"] for row in store.query()] == [30]
    monkeypatch.setattr(writing, "MOST_CHARACTERS", 1_000)
    assert 0 < len(store.trace(whole["trace_id"])) < 10


def test_a_trace_that_cannot_be_summarised_keeps_no_other_waiting(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(bodies: list[Any]) -> Any:
        if bodies[0]["name"] == "bad":
            raise KeyError("start")
        return summarize(bodies)

    monkeypatch.setattr("xray_lambda.viewer.store.writing.summary_of", fails)
    bad, good = segment("bad", trace_id=a_trace_id(1)), segment("good", trace_id=a_trace_id(2))
    store.add(documents(bad, good))
    assert [row["name"] for row in store.query()] == ["good"]
    assert store.settle() == []
    assert store.trace(a_trace_id(1)) == [bad]
    assert f"the trace {a_trace_id(1)} could not be summarised" in caplog.text


def test_values_cannot_be_statements(store: Store) -> None:
    nasty = "x'); DROP TABLE documents; --"
    body = segment(user=nasty, annotations={"key": nasty}, subsegments=[call(nasty)])
    store.add(documents(body))
    assert store.trace(nasty) == []
    assert store.summaries([nasty, body["trace_id"]])[0]["annotations"] == {"key": nasty}


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64 - 1, 10**40, -(10**40), 1e308])
def test_numbers_beyond_what_sqlite_holds_do_no_harm(store: Store, number: float) -> None:
    body = segment(annotations={"n": number}, http={"response": {"status": 200, "content_length": number}})
    store.add(documents(body))
    assert store.count() == 1
