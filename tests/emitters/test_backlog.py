"""The backlog: what waits is bounded in number and bytes, the oldest give way, and each is counted."""

from __future__ import annotations

import threading

from xray_lambda._emitters.backlog import Backlog


def filled(backlog: Backlog, *documents: str) -> Backlog:
    for document in documents:
        backlog.put(document)
    return backlog


def test_documents_leave_in_the_order_in_which_they_came() -> None:
    backlog = filled(Backlog(), "a", "b", "c")
    assert [backlog.take(2, 100), backlog.take(2, 100), backlog.take(2, 100)] == [["a", "b"], ["c"], []]


def test_putting_says_how_many_there_are() -> None:
    backlog = Backlog()
    assert [backlog.put("a"), backlog.put("b")] == [1, 2]
    assert len(backlog) == 2


def test_a_batch_has_so_many_bytes_at_most_but_never_is_empty() -> None:
    backlog = filled(Backlog(), "x" * 6, "x" * 4, "x", "x" * 20, "x")
    assert [len(backlog.take(50, 10)) for _ in range(4)] == [2, 1, 1, 1]


def test_the_oldest_give_way_to_more_than_the_number() -> None:
    backlog = filled(Backlog(max_documents=3), *"abcde")
    assert (backlog.take(9, 100), backlog.dropped) == (["c", "d", "e"], 2)


def test_the_oldest_give_way_to_more_than_the_bytes() -> None:
    backlog = filled(Backlog(max_bytes=10), "aaaa", "bbbb", "cccc", "d")
    assert (backlog.take(9, 100), backlog.dropped) == (["bbbb", "cccc", "d"], 1)


def test_one_document_beyond_all_bytes_empties_the_line_and_leaves_it_usable() -> None:
    backlog = filled(Backlog(max_bytes=10), "a", "x" * 11)
    assert (len(backlog), backlog.dropped) == (0, 2)
    assert filled(backlog, "b").take(9, 100) == ["b"]


def test_bytes_that_were_taken_make_room() -> None:
    backlog = Backlog(max_bytes=10)
    for _ in range(100):
        filled(backlog, "x" * 9).take(1, 100)
    assert backlog.dropped == 0


def test_a_wrong_estimate_of_the_bytes_is_set_right() -> None:
    backlog = filled(Backlog(max_bytes=10), "abcd")
    backlog._bytes = -1_000_000  # as threads that add at once might leave it
    backlog.recount()
    assert filled(backlog, "efgh", "ijkl").take(9, 100) == ["efgh", "ijkl"]


def test_nothing_is_lost_or_doubled_between_threads_that_put_and_one_that_takes() -> None:
    backlog = Backlog()
    start = threading.Barrier(5)

    def put(first: int) -> None:
        start.wait()
        for number in range(first, first + 2000):
            backlog.put(str(number))

    threads = [threading.Thread(target=put, args=(first,)) for first in range(0, 8000, 2000)]
    for thread in threads:
        thread.start()
    start.wait()
    taken: list[str] = []
    while any(thread.is_alive() for thread in threads) or backlog:
        taken += backlog.take(50, 10_000)
    assert sorted(map(int, taken)) == list(range(8000))
