"""threads: whatever starts the work, it belongs to the trace of whoever asked for it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing.pool
import threading
from typing import TYPE_CHECKING

import pytest

from xray_lambda import patch, subsegment, unpatch
from xray_lambda._context import current
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    patch("threads")
    yield
    unpatch("threads")


def work(name: object = "work") -> str:
    with subsegment(str(name)):
        return threading.current_thread().name


class Worker(threading.Thread):
    """A thread whose class has its own run."""

    def run(self) -> None:
        work()


def test_a_thread_carries_the_trace_and_is_left_as_the_program_made_it() -> None:
    with capture() as traces:
        with subsegment("parent"):
            for thread in (threading.Thread(target=work), Worker(), threading.Timer(0, work)):
                thread.start()
                thread.join()
                assert "run" not in vars(thread)
        assert traces.one.names() == ("parent", [("work", [])] * 3)


def test_a_run_of_the_threads_own_is_kept() -> None:
    thread = threading.Thread()
    thread.run = own = lambda: None  # type: ignore[method-assign]
    thread.start()
    thread.join()
    assert thread.run is own


def test_starting_a_thread_twice_fails_as_before() -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="threads can only be started once"):
        thread.start()
    assert "run" not in vars(thread)


def test_a_pool_carries_the_trace_of_each_call_not_of_the_first() -> None:
    """The pool's threads are started by the first call; a later call outside any trace must not join its trace."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with capture() as first:
            with subsegment("first"):
                pool.submit(work).result()
            assert first.one.names() == ("first", [("work", [])])
        with capture() as second:
            with subsegment("second"):
                list(pool.map(work, ["a", "b"]))
            assert second.one.names() == ("second", [("a", []), ("b", [])])
        with capture(None):
            assert pool.submit(current.get).result() is None


def test_run_in_executor_carries_the_trace() -> None:
    async def main() -> None:
        with subsegment("parent"):
            await asyncio.get_running_loop().run_in_executor(None, work)

    with capture() as traces:
        asyncio.run(main())
        assert traces.one.names() == ("parent", [("work", [])])


def test_a_thread_pool_of_multiprocessing_carries_the_trace() -> None:
    with multiprocessing.pool.ThreadPool(2) as pool, capture() as traces:
        with subsegment("parent"):
            pool.apply(work, ("apply",))
            pool.map(work, ["map"])
            list(pool.imap(work, ["imap"]))
            pool.starmap(work, [("starmap",)])
            pool.apply_async(func=work, args=("apply_async",)).get()
        pool.close()
        pool.join()
        names = [child.name for child in traces.one.children]
    assert names == ["apply", "map", "imap", "starmap", "apply_async"]


def test_a_failing_call_fails_as_before() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
        with pytest.raises(TypeError):
            pool.submit()  # type: ignore[call-arg]
