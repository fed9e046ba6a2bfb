"""Sending without a daemon under real servers: what was recorded in the second before SIGTERM arrives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.emitters.programs import ended, names, running
from tests.servers.aws import Service, service
from tests.servers.process import HOST, free_port, listens

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full
PATIENCE = 30
REQUESTS = 6

GUNICORN = ["-m", "gunicorn", "-b", "{host}:{port}", "tests.emitters.server_app:wsgi"]
UVICORN = ["-m", "uvicorn", "tests.emitters.server_app:asgi", "--host", "{host}", "--port", "{port}"]


@pytest.fixture
def x_ray() -> Iterator[Service]:
    with service() as server:
        yield server


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([*GUNICORN, "-w", "2"], id="gunicorn"),
        pytest.param([*GUNICORN, "-w", "2", "--threads", "3"], id="gunicorn with threads"),
        pytest.param([*GUNICORN, "-w", "2", "--preload"], id="gunicorn preloading"),
        pytest.param([*GUNICORN, "-w", "2", "-k", "gevent"], id="gunicorn with gevent"),
        pytest.param([*UVICORN, "--log-level", "error"], id="uvicorn"),
    ],
)
def test_all_requests_arrive_when_a_server_is_told_to_end(x_ray: Service, command: list[str]) -> None:
    port = free_port()
    with running([part.format(host=HOST, port=port) for part in command], x_ray.url) as process:
        until_it_listens(port)
        expected = [f"request-{number}" for number in range(REQUESTS)]
        for name in expected:
            with urlopen(f"http://{HOST}:{port}/{name}", timeout=PATIENCE) as answer:
                assert answer.read() == b"ok"
        process.terminate()
        done = ended(process)
    assert sorted(names(x_ray)) == expected, done.said


def until_it_listens(port: int) -> None:
    """Ask until the server answers: it gives no event to wait for."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if listens(port):
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the server did not start")
