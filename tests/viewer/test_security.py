"""A request is for this host, comes from no other site's page, and has a bounded body."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.viewer.running import Running, ask, get, running
from xray_lambda.viewer.daemon import LARGEST_CALL, LARGEST_REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


ROUTES = [Route("/length", length, methods=["POST"])]


@pytest.fixture(scope="module")
def viewer() -> Iterator[Running]:
    with running(screen=ROUTES, routes=ROUTES, names=["my.machine.example"]) as started:
        yield started


@pytest.fixture(params=["api", "screen"])
def port(viewer: Running, request: pytest.FixtureRequest) -> int:
    return viewer.port if request.param == "api" else viewer.screen_port


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:2001", "localhost:80", "LOCALHOST", "a.localhost", "[::1]:2001", "my.machine.example:1",
     "192.0.2.7", "localhost."],
)  # fmt: skip
def test_numbers_and_known_names_are_this_host(port: int, host: str) -> None:
    assert ask(port, "POST", "/length", b"abc", host=host) == (200, b"3")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "xray", "", "[::1", "127.0.0.1@evil.example"],
)
def test_a_name_that_anyone_can_point_here_is_not(port: int, host: str) -> None:
    status, words = ask(port, "POST", "/length", b"abc", host=host)
    assert status == 421
    assert b"--allow-host" in words


def test_without_a_host_there_is_no_answer(viewer: Running) -> None:
    with closing(socket.create_connection(("127.0.0.1", viewer.port))) as raw:
        raw.sendall(b"GET /xray-lambda HTTP/1.0\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1:1", "null", "http://localhost:1", ""])
def test_another_sites_page_is_turned_away(port: int, origin: str) -> None:
    assert ask(port, "POST", "/length", b"abc", host="127.0.0.1:1", origin=origin)[0] == 403


def test_the_page_itself_and_programs_are_not(port: int) -> None:
    assert ask(port, "POST", "/length", b"abc", host="127.0.0.1:1", origin="http://127.0.0.1:1") == (200, b"3")
    assert ask(port, "POST", "/length", b"abc", sec_fetch_site="same-origin") == (200, b"3")
    assert ask(port, "POST", "/length", b"abc", sec_fetch_site="cross-site")[0] == 403


def test_no_answer_says_that_other_sites_may_read_it(viewer: Running) -> None:
    with closing(socket.create_connection(("127.0.0.1", viewer.port))) as raw:
        raw.sendall(b"OPTIONS /xray-lambda HTTP/1.1\r\nHost: localhost\r\nAccess-Control-Request-Method: GET\r\n\r\n")
        assert b"access-control" not in raw.recv(10_000).lower()


def test_a_body_has_a_largest_size(viewer: Running) -> None:
    for port, most in ((viewer.port, LARGEST_CALL), (viewer.screen_port, LARGEST_REQUEST)):
        assert ask(port, "POST", "/length", b"x" * most) == (200, str(most).encode())
        assert ask(port, "POST", "/length", None, content_length=str(most + 1))[0] == 413
        assert ask(port, "POST", "/length", None, content_length="9" * 30)[0] in (400, 413)


def test_a_body_that_does_not_say_its_size_has_one_too(viewer: Running) -> None:
    with closing(socket.create_connection(("127.0.0.1", viewer.screen_port))) as raw:
        raw.sendall(b"POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        answer = b""
        try:
            for _ in range(1_000):
                raw.sendall(chunk)
            answer = raw.recv(1_000)
        except OSError:  # it hung up in the middle, as it may
            return
        assert answer.startswith(b"HTTP/1.1 413")


def test_open_to_others_a_name_without_a_dot_is_a_neighbour() -> None:
    with running(routes=ROUTES, open_to_others=True) as opened:
        assert ask(opened.port, "POST", "/length", b"abc", host="xray:2000") == (200, b"3")
        assert ask(opened.port, "POST", "/length", b"abc", host="evil.example")[0] == 421


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/\\..\\x"])
def test_paths_lead_nowhere_else(viewer: Running, path: str) -> None:
    assert get(viewer.port, path)[0] in (404, 400)
