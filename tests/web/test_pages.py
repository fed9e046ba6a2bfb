"""docs/servers.md: what it shows of WSGI, Flask, Django and Bottle runs as it stands there, and is traced so."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.process import HOST, free_port, listens, running
from tests.web.wsgi_processes import ROOT, get
from xray_lambda.web.wsgi import XRayMiddleware

if TYPE_CHECKING:
    from tests.emitters.daemon import Daemon, Document

pytestmark = pytest.mark.full
PAGE = (ROOT / "docs/servers.md").read_text("utf-8")


def section(heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"the page has no {heading!r}"
    return found[1]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def written(heading: str, folder: Path) -> list[str]:
    """Write the files of a section as their first lines name them, and return the last command that it shows."""
    for source in blocks(section(heading), "python"):
        name = re.match(r"# (\w+\.py)\n", source)
        if name:
            (folder / name[1]).write_text(source)
    install, run = blocks(section(heading), "sh")[0].splitlines()
    assert install.startswith("pip install xray-lambda ")
    return shlex.split(run)


def asked(command: list[str], folder: Path, daemon: Daemon, monkeypatch: Any, port: int, path: str) -> Document:
    """Run a command of the page, ask what it serves for a path, and return the segment."""
    while "=" in command[0]:
        monkeypatch.setenv(*command.pop(0).split("=", 1))
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", daemon.address)
    monkeypatch.setenv("XRAY_LAMBDA_SAMPLING", "all")
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")
    program = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
    with running(program, folder, lambda: listens(port)):
        assert get(port, path)[0] == 200
        (document,) = daemon.wait_for(1)
    return document


def test_flask_is_traced_as_shown(tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    command, port = written("Flask", tmp_path), free_port()
    document = asked([*command, "--port", str(port)], tmp_path, daemon, monkeypatch, port, "/items/17")
    assert (document["name"], document["annotations"]) == ("shop", {"route": "/items/<int:item>"})
    assert [(sub["name"], sub["annotations"]) for sub in document["subsegments"]] == [("price", {"item": 17})]


def test_django_is_traced_as_shown(tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    command, port = written("Django", tmp_path), free_port()
    command += ["--noreload", f"{HOST}:{port}"]  # which else would ask in a process of its own
    document = asked(command, tmp_path, daemon, monkeypatch, port, "/items/17/")
    assert (document["name"], document["annotations"]) == ("shop", {"route": "/items/<int:item>/", "item": 17})
    (query,) = document["subsegments"]
    assert (query["name"], query["sql"]["sanitized_query"]) == ("shop.db", "SELECT ? + %s")


def test_bottle_is_traced_as_shown(tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    command, port = written("Bottle", tmp_path), free_port()
    app = tmp_path / "app.py"
    app.write_text(app.read_text().replace("port=8080", f"port={port}"))
    document = asked(command, tmp_path, daemon, monkeypatch, port, "/items/17")
    assert (document["name"], document["annotations"]) == ("shop", {"route": "/items/<item:int>"})
    assert [(sub["name"], sub["annotations"]) for sub in document["subsegments"]] == [("price", {"item": 17})]


def test_any_wsgi_app_is_traced_as_shown(tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    command, port = written("Any WSGI app", tmp_path), free_port()
    command += ["--bind", f"{HOST}:{port}", "--no-control-socket"]
    document = asked(command, tmp_path, daemon, monkeypatch, port, "/")
    assert (document["name"], [sub["name"] for sub in document["subsegments"]]) == ("shop", ["greet"])


def test_the_options_are_as_shown() -> None:
    _, options = blocks(section("Any WSGI app"), "python")
    made = eval(options, {"XRayMiddleware": XRayMiddleware, "hello": lambda *_: []})  # noqa: S307 - the page's own words
    assert made.door.service == "shop"
    assert made.user({"HTTP_X_USER": "ada"}) == "ada"


def test_each_framework_of_the_table_has_a_section() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-").replace("'", "") for heading in headings}
    shown = re.findall(r"^\| \[[^]]+\]\(#([\w-]+)\)", PAGE, re.MULTILINE)
    assert shown
    assert set(shown) <= anchors
