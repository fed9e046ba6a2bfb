"""Servers as processes that run the programs of `apps`, and clients that ask them, many at once."""

from __future__ import annotations

import http.client
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers.process import HOST, free_port, listens, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.emitters.daemon import Daemon, Document

ROOT = Path(__file__).parent.parent.parent
_BUFFER_BYTES = 8 * 1024 * 1024
_FORCED = 33  # SO_RCVBUFFORCE, for which Python has no name


@contextmanager
def server(command: Sequence[str], folder: Path, daemon: Daemon, monkeypatch: Any) -> Iterator[int]:
    """Run a server whose command has `{port}` in it, and yield its port; its traces go to the daemon."""
    with_room_for_many(daemon)
    port = free_port()
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", daemon.address)
    monkeypatch.setenv("XRAY_LAMBDA_SAMPLING", "all")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = [sys.executable, *(part.format(port=port) for part in command)]
    with running(made, folder, lambda: listens(port)):
        daemon.take()
        yield port


def with_room_for_many(daemon: Daemon) -> None:
    """Let the daemon's socket hold what thousands of requests send, where we may."""
    try:
        daemon._socket.setsockopt(socket.SOL_SOCKET, _FORCED, _BUFFER_BYTES)
    except PermissionError:  # not root: it is read often enough, most likely
        return


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Ask a server one thing."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def ask_many(port: int, paths: Sequence[str], at_once: int = 32) -> list[bytes]:
    """Ask for all paths, as many at a time as told, each client over one connection; return the bodies."""

    def client(mine: Sequence[str]) -> list[bytes]:
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        bodies = []
        for path in mine:
            connection.request("GET", path)
            answer = connection.getresponse()
            bodies.append(answer.read())
            assert answer.status == 200, (path, bodies[-1])
        connection.close()
        return bodies

    with ThreadPoolExecutor(at_once) as pool:
        shares = [paths[number::at_once] for number in range(at_once)]
        return [body for bodies in pool.map(client, shares) for body in bodies]


def told_apart(documents: Sequence[Document], bodies: Sequence[bytes]) -> None:
    """Check that each request has one tree of its own: name and trace agree in answer, annotation and subsegment."""
    answers = dict(body.decode().split()[:2] for body in bodies)
    trees = {}
    for document in documents:
        (sub,) = document["subsegments"]
        assert document["annotations"]["name"] == sub["annotations"]["name"] == sub["name"]
        trees[sub["name"]] = document["trace_id"]
    assert len(documents) == len(bodies) == len(trees)
    assert trees == answers
    ids = [one["id"] for document in documents for one in (document, *document["subsegments"])]
    assert len(set(ids)) == len(ids)
    assert len(set(trees.values())) == len(trees)
