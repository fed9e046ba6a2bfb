"""Django in its own server, and under ASGI in uvicorn: thousands of requests told apart."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.servers.process import HOST
from tests.web.wsgi_processes import ask_many, get, server, told_apart

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emitters.daemon import Daemon

RUNSERVER = (
    "from tests.web import django_site\n"
    "from django.core.management import execute_from_command_line\n"
    f"execute_from_command_line(['manage.py', 'runserver', '--noreload', '--skip-checks', '{HOST}:{{port}}'])"
)
UVICORN = ("-m", "uvicorn", "--host", HOST, "--port", "{port}", "--factory", "tests.web.apps:django_asgi_app")


def test_djangos_own_server_is_traced_in_all_its_threads(
    tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(["-c", RUNSERVER], tmp_path, daemon, monkeypatch) as port:
        bodies = ask_many(port, [f"/echo/r{number}" for number in range(50)], at_once=8)
        told_apart(daemon.wait_for(50), bodies)
        assert get(port, "/fail/value")[0] == 500
        (failed,) = daemon.wait_for(1)
        assert get(port, "/file")[2] == b"jinja {{ item }}"
        (file,) = daemon.wait_for(1)
    assert failed["cause"]["exceptions"][0]["message"] == "no such price"
    assert file["http"]["response"]["content_length"] == 16


@pytest.mark.full
@pytest.mark.parametrize("prefix", ["", "/later"])
def test_2000_requests_at_once_under_asgi_make_2000_trees_of_their_own(
    prefix: str, tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"{prefix}/echo/r{number}" for number in range(2000)]
    bodies: list[bytes] = []
    with server(UVICORN, tmp_path, daemon, monkeypatch) as port:
        asking = Thread(target=lambda: bodies.extend(ask_many(port, paths)))
        asking.start()
        documents = daemon.wait_for(2000)
        asking.join()
    told_apart(documents, bodies)
    assert daemon.take() == []
