"""Doors behind gunicorn: thousands of requests told apart, workers killed, clients that hang up or speak nonsense."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.servers.process import HOST
from tests.web.apps import FILE, FIRST, SECOND
from tests.web.wsgi_processes import ask_many, get, server, told_apart
from xray_lambda.testing import ROOT

if TYPE_CHECKING:
    from tests.emitters.daemon import Daemon

THREADS = ("--worker-class", "gthread", "--threads", "8")


def gunicorn(app: str, *options: str) -> list[str]:
    bound = ["--bind", f"{HOST}:{{port}}", "--no-control-socket", "--graceful-timeout", "1"]
    return ["-m", "gunicorn", *bound, *options, f"tests.web.apps:{app}()"]


@pytest.mark.full
@pytest.mark.parametrize("app", ["wsgi_app", "flask_app", "bottle_app", "django_app"])
def test_2000_requests_at_once_make_2000_trees_of_their_own(
    app: str, tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"/echo/r{number}" for number in range(2000)]
    bodies: list[bytes] = []
    with server(gunicorn(app, *THREADS, "--workers", "2"), tmp_path, daemon, monkeypatch) as port:
        asking = Thread(target=lambda: bodies.extend(ask_many(port, paths)))
        asking.start()
        documents = daemon.wait_for(2000)
        asking.join()
    told_apart(documents, bodies)
    assert {document["http"]["response"]["status"] for document in documents} == {200}
    assert daemon.take() == []


@pytest.mark.parametrize("options", [(), THREADS, ("--preload", "--workers", "3"), (*THREADS, "--preload")])
def test_each_kind_of_worker_traces_what_it_answers(
    options: tuple[str, ...], tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(gunicorn("wsgi_app", *options), tmp_path, daemon, monkeypatch) as port:
        bodies = ask_many(port, [f"/echo/r{number}" for number in range(40)], at_once=8)
        told_apart(daemon.wait_for(40), bodies)
        status, headers, body = get(port, "/stream", X_Amzn_Trace_Id=f"Root={ROOT};Sampled=?")
        (document,) = daemon.wait_for(1)
    assert (status, body) == (200, FIRST + SECOND)
    assert headers["x-amzn-trace-id"] == f"Root={ROOT};Sampled=1"
    assert [sub["name"] for sub in document["subsegments"]] == ["first", "second"]
    assert document["http"]["request"] == {
        "method": "GET", "url": f"http://{HOST}:{port}/stream", "client_ip": HOST,
    }  # fmt: skip


def test_files_failures_and_404s_reach_the_client_and_the_daemon(
    tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(gunicorn("wsgi_app"), tmp_path, daemon, monkeypatch) as port:
        assert get(port, "/file")[2] == Path(FILE).read_bytes()
        assert get(port, "/nowhere")[0] == 404
        assert get(port, "/fail")[0] == 500
        file, nowhere, failed = daemon.wait_for(3)
    assert file["http"]["response"] == {"status": 200}
    assert nowhere["error"] is True
    assert failed["cause"]["exceptions"][0]["message"] == "no such price"


def test_kill_9_of_a_worker_loses_only_the_requests_in_flight(
    tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(gunicorn("wsgi_app", *THREADS), tmp_path, daemon, monkeypatch) as port:
        bodies = ask_many(port, [f"/echo/r{number}" for number in range(100)], at_once=4)
        (worker,) = {int(body.split()[2]) for body in bodies}
        with socket.create_connection((HOST, port)) as held:
            held.sendall(b"GET /hold HTTP/1.1\r\nHost: shop\r\n\r\n")
            bodies += ask_many(port, ["/echo/meanwhile"], at_once=1)
            documents = daemon.wait_for(101)  # a client may have its answer before the worker is done with it
            os.kill(worker, signal.SIGKILL)
            assert held.recv(1) == b""
        told_apart(documents, bodies)
        again = ask_many(port, ["/echo/again"], at_once=1)
        assert int(again[0].split()[2]) != worker
        told_apart(daemon.wait_for(1), again)


def test_a_client_that_hangs_up_half_way_ends_its_request_and_no_other(
    tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(gunicorn("wsgi_app", *THREADS), tmp_path, daemon, monkeypatch) as port:
        with socket.create_connection((HOST, port)) as client:
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert client.recv(1000)
        (document,) = daemon.wait_for(1)
        told_apart(daemon.wait_for(0), [])
        bodies = ask_many(port, ["/echo/next"], at_once=1)
        told_apart(daemon.wait_for(1), bodies)
    assert document["metadata"] == {"xray_lambda": {"disconnected": True}}
    assert "fault" not in document


def test_an_exception_half_way_is_a_fault_with_the_status_that_was_sent(
    tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(gunicorn("wsgi_app"), tmp_path, daemon, monkeypatch) as port:
        with socket.create_connection((HOST, port)) as client:
            client.sendall(b"GET /fail-half-way HTTP/1.0\r\n\r\n")
            received = b"".join(iter(lambda: client.recv(65536), b""))
        (document,) = daemon.wait_for(1)
    assert received.endswith(FIRST) or FIRST in received
    assert document["http"]["response"]["status"] == 200
    assert document["cause"]["exceptions"][0]["message"] == "half-way"


NONSENSE = {
    "garbage": b"\x00\xff" * 100 + b"\r\n\r\n",
    "no host": b"GET /echo/a HTTP/1.0\r\n\r\n",
    "a huge header": b"GET /echo/b HTTP/1.1\r\nHost: shop\r\nX-Amzn-Trace-Id: " + b"Root=" * 1500 + b"\r\n\r\n",
    "a header too large": b"GET /echo/c HTTP/1.1\r\nHost: shop\r\nX-Big: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "strange bytes": b"GET /echo/%FF%00 HTTP/1.1\r\nHost: \xff\r\nX-Forwarded-For: \xfe\r\nUser-Agent: \xfd\r\n\r\n",
    "half a request": b"GET /echo/d HT",
}


def test_requests_that_make_no_sense_harm_nothing(
    tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(gunicorn("wsgi_app", *THREADS), tmp_path, daemon, monkeypatch) as port:
        answers = {name: _raw(port, sent) for name, sent in NONSENSE.items()}
        bodies = ask_many(port, ["/echo/sane"], at_once=1)
        reached = sum(answer.split()[1:2] == [b"200"] for answer in answers.values())
        documents = daemon.wait_for(reached + 1)
    assert answers["no host"].startswith(b"HTTP/1.0 200")
    assert answers["a huge header"].startswith(b"HTTP/1.1 200")
    assert len(bodies) == 1
    assert len(documents) == reached + 1


def _raw(port: int, request: bytes) -> bytes:
    """Send bytes, and return what comes back before the server closes, or within a second."""
    with socket.create_connection((HOST, port), timeout=1) as client:
        try:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            return client.recv(65536)
        except OSError:
            return b""
