"""Ids: their form, and that no two processes ever hand out the same one."""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING

import pytest

from xray_lambda import _ids
from xray_lambda._header import is_trace_id
from xray_lambda._ids import new_id, new_trace_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")


@pytest.fixture(autouse=True)
def no_block() -> Iterator[None]:
    _ids._block.clear()
    yield
    _ids._block.clear()


def test_an_id_is_sixteen_hex_digits() -> None:
    assert all(re.fullmatch("[0-9a-f]{16}", new_id()) for _ in range(1000))


def test_no_id_comes_twice() -> None:
    assert len({new_id() for _ in range(100_000)}) == 100_000


def test_no_id_comes_twice_in_many_threads() -> None:
    found: list[list[str]] = [[] for _ in range(8)]

    def take(ids: list[str]) -> None:
        ids.extend(new_id() for _ in range(2000))

    threads = [threading.Thread(target=take, args=(ids,)) for ids in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for ids in found for one in ids}) == 16_000


def test_every_digit_of_every_id_is_random() -> None:
    ids = [new_id() for _ in range(2000)]
    assert [len(set(digits)) for digits in zip(*ids, strict=True)] == [16] * 16


def test_a_trace_id_begins_with_the_epoch_seconds() -> None:
    made = new_trace_id(0x5759E988)
    assert is_trace_id(made)
    assert made.startswith("1-5759e988-")
    assert len({new_trace_id(1) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(("now", "digits"), [(0, "00000000"), (2**32 - 1, "ffffffff"), (2**32 + 5, "00000005")])
def test_a_trace_id_has_its_form_at_any_time(now: int, digits: str) -> None:
    assert new_trace_id(now)[:11] == f"1-{digits}-"


def in_a_fork(work: Callable[[], list[str]]) -> list[str]:
    """Run `work` in a forked child, and return what it said."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, "\n".join(work()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read().split("\n")
    os.waitpid(child, 0)
    return said


@forks
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_never_hands_out_an_id_of_its_parent() -> None:
    new_id()
    assert len(_ids._block) == 63
    children = [in_a_fork(lambda: [new_id() for _ in range(500)]) for _ in range(3)]
    ours = [new_id() for _ in range(500)]
    assert len({*ours, *(one for ids in children for one in ids)}) == 2000


@forks
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_without_a_block_and_its_parent_keeps_its_own() -> None:
    new_id()
    before = list(_ids._block)
    assert in_a_fork(lambda: [str(len(_ids._block))]) == ["0"]
    assert _ids._block == before


def test_forks_are_watched_once_however_many_blocks_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    watchers: list[object] = []
    monkeypatch.setattr(_ids, "_watching_forks", False)
    monkeypatch.setattr(os, "register_at_fork", lambda **hooks: watchers.append(hooks), raising=False)
    for _ in range(1000):
        new_id()
    assert watchers == [{"after_in_child": _ids._block.clear}]


def test_ids_are_made_where_the_system_has_no_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ids, "_watching_forks", False)
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    assert len(new_id()) == 16


def test_no_block_is_kept_for_a_snapshot_to_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    assert len({new_id() for _ in range(1000)}) == 1000
    assert _ids._block == []


@pytest.mark.parametrize("kind", ["on-demand", "provisioned-concurrency", "lambda-managed-instances"])
def test_a_block_is_read_ahead_where_nothing_is_restored(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
    new_id()
    assert len(_ids._block) == 63
