"""The Runtime API hands out one event as Lambda does, and tells what comes back."""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from xray_lambda.cli.runtime_api import Happening, Invocation, serve

NEXT = "/2018-06-01/runtime/invocation/next"
PATIENCE = 30


class Served(NamedTuple):
    address: str
    happenings: queue.SimpleQueue[Happening]

    def ask(self, method: str, path: str, body: bytes | Iterator[bytes] | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        connection.request(method, path, body)
        answer = connection.getresponse()
        read = (answer.status, answer.read())
        connection.close()
        return read

    def kind(self) -> str:
        return self.happenings.get(timeout=PATIENCE).kind


@pytest.fixture
def served() -> Iterator[Served]:
    happenings: queue.SimpleQueue[Happening] = queue.SimpleQueue()
    with serve(Invocation(b'{"id": 7}', {"Lambda-Runtime-Trace-Id": "Root=x"}, 3), happenings.put) as address:
        yield Served(address, happenings)


def test_the_first_next_gets_the_event_its_headers_and_a_deadline(served: Served) -> None:
    connection = http.client.HTTPConnection(served.address, timeout=PATIENCE)
    connection.request("GET", NEXT)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b'{"id": 7}')
    assert answer.headers["Lambda-Runtime-Trace-Id"] == "Root=x"
    assert 0 < int(answer.headers["Lambda-Runtime-Deadline-Ms"]) / 1000 - time.time() <= 3
    assert served.kind() == "next"
    connection.close()


def test_the_second_next_is_told_of_and_held() -> None:
    happenings: queue.SimpleQueue[Happening] = queue.SimpleQueue()
    with serve(Invocation(b"{}", {}, 3), happenings.put) as address:
        served = Served(address, happenings)
        served.ask("GET", NEXT)
        waiting = http.client.HTTPConnection(address, timeout=PATIENCE)
        waiting.request("GET", NEXT)
        assert [served.kind(), served.kind()] == ["next", "next"]
    with pytest.raises((http.client.HTTPException, OSError)):
        waiting.getresponse()
    waiting.close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [("invocation/abc/response", "response"), ("invocation/abc/error", "error"), ("init/error", "init error")],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_posted_is_told_of_whole(served: Served, path: str, kind: str, *, chunked: bool) -> None:
    body = iter([b"one ", b"two"]) if chunked else b"one two"
    assert served.ask("POST", f"/2018-06-01/runtime/{path}", body) == (202, b'{"status":"OK"}')
    happening = served.happenings.get(timeout=PATIENCE)
    assert (happening.kind, happening.body) == (kind, b"one two")


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/2018-06-01/runtime/invocation/abc/nope")])
def test_other_paths_are_not_found(served: Served, method: str, path: str) -> None:
    assert served.ask(method, path)[0] == 404


def test_a_restored_runtime_may_go_on(served: Served) -> None:
    assert served.ask("GET", "/2018-06-01/runtime/restore/next")[0] == 200


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    with serve(Invocation(b"{}", {}, 3), lambda _: None) as address:
        Served(address, queue.SimpleQueue()).ask("GET", NEXT)
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(PATIENCE)
    assert threading.active_count() == before
