"""`xray-lambda view`: a daemon with a screen, as its user starts and ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import environment, run
from tests.cli.viewers import viewing
from tests.viewer.made import documents, segment
from tests.viewer.running import HEADER, until
from xray_lambda.viewer import client
from xray_lambda.viewer.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.full


def send(port: int, *bodies: dict[str, Any]) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as out:
        for body in bodies:
            out.sendto(HEADER + json.dumps(body).encode(), ("127.0.0.1", port))


def received(port: int) -> dict[str, Any]:
    answer = client.ask("127.0.0.1", port)
    assert answer is not None
    return answer


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        number: int = connection.execute("SELECT count(*) FROM traces").fetchone()[0]
        return number


def test_it_says_where_everything_is_and_ends_cleanly_at_ctrl_c(tmp_path: Path) -> None:
    with viewing(cwd=tmp_path) as it:
        store = tmp_path / "cache" / "xray-lambda" / "traces.db"
        address = f"127.0.0.1:{it.port}"
        assert it.said == [
            f"Screen   {it.screen}",
            f"Daemon   {address} (UDP and TCP); programs find it by AWS_XRAY_DAEMON_ADDRESS={address}",
            f"Store    {store}, at most 1024 MB and 7 days",
            "Ctrl-C ends it.",
        ]
        with urllib.request.urlopen(it.screen) as page:
            assert page.status == 200
        code, rest = it.end()
    assert (code, rest) == (0, "The viewer has ended; what had arrived is stored.\n")


def test_sigterm_stores_what_has_arrived(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    with viewing("--store", str(path), cwd=tmp_path) as it:
        send(it.port, *(segment(trace_id=f"1-00000001-{number:024x}") for number in range(200)))
        code, _ = it.end(signal.SIGTERM)
    assert code == 0
    assert count(path) == 200


def test_a_kill_loses_no_document_that_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    with viewing("--store", str(path), cwd=tmp_path) as it:
        send(it.port, segment())
        until(lambda: received(it.port)["received"] == 1)
        until(lambda: count(path) == 1)
        it.process.kill()
        it.process.wait()
    with viewing("--store", str(path), cwd=tmp_path) as again:
        assert count(path) == 1
        again.end()


OURS = """
import xray_lambda
with xray_lambda.segment("ours"):
    with xray_lambda.subsegment("inner") as sub:
        sub.annotate(order=17)
"""
SDK = """
from aws_xray_sdk.core import xray_recorder
xray_recorder.configure(service="theirs", sampling=False, context_missing="RUNTIME_ERROR")
with xray_recorder.in_segment("theirs") as segment:
    segment.put_http_meta("url", "http://shop.example/" + "x" * 300)
    with xray_recorder.in_subsegment("inner") as inner:
        inner.put_annotation("order", 17)
        inner.put_metadata("basket", {"cup": 1})
    try:
        with xray_recorder.in_subsegment("fails", namespace="remote"):
            raise ValueError("no")
    except ValueError:
        pass
"""


@pytest.mark.parametrize(("program", "name", "parts"), [(OURS, "ours", 1), (SDK, "theirs", 2)])
def test_a_program_with_any_sdk_shows_up(tmp_path: Path, program: str, name: str, parts: int) -> None:
    with viewing("--memory", cwd=tmp_path) as it:
        address = f"127.0.0.1:{it.port}"
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**environment(), "AWS_XRAY_DAEMON_ADDRESS": address},
            check=True,
            cwd=tmp_path,
        )
        traces: list[dict[str, Any]] = []

        def shown() -> bool:
            with urllib.request.urlopen(f"{it.screen}api/traces") as answer:
                traces[:] = json.load(answer)["traces"]
            return bool(traces)

        until(shown)
        [trace] = traces
        assert (trace["name"], trace["subsegments"], trace["annotations"]["order"]) == (name, parts, 17)
        assert received(it.port)["rejected"] == 0
        it.end()


def test_what_is_rejected_is_a_line_in_the_log(tmp_path: Path) -> None:
    with viewing("--memory", cwd=tmp_path) as it:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as out:
            out.sendto(b"\x1b[31mred\n{}", ("127.0.0.1", it.port))
        until(lambda: received(it.port)["rejected"] == 1)
        _, rest = it.end()
    assert "rejected, by UDP: the datagram begins with '\\x1b[31mred'" in rest
    assert "\x1b" not in rest


def test_a_port_in_use_is_told_with_what_to_do(tmp_path: Path) -> None:
    with viewing("--memory", cwd=tmp_path) as it:
        taken = run("view", "--memory", "--no-open", "--port", str(it.port), "--screen-port", "0", cwd=tmp_path)
        assert taken.returncode == 2
        assert f"TCP port {it.port} of 127.0.0.1 is in use by process {it.process.pid} (" in taken.stderr
        assert f"That is a viewer already: its screen is {it.screen}" in taken.stderr
        screen_port = it.screen.rstrip("/").rpartition(":")[2]
        taken = run("view", "--memory", "--no-open", "--port", "0", "--screen-port", screen_port, cwd=tmp_path)
        assert "End it, or choose another with --screen-port." in taken.stderr
        it.end()


def test_a_port_of_another_program_is_told_with_what_to_do(tmp_path: Path) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        taken = run("view", "--memory", "--no-open", "--port", str(port), cwd=tmp_path)
    assert taken.returncode == 2
    assert f"is in use by process {os.getpid()} (" in taken.stderr
    assert "End it, or choose another with --port, and say so in AWS_XRAY_DAEMON_ADDRESS." in taken.stderr


def test_a_host_for_others_comes_with_a_warning(tmp_path: Path) -> None:
    with viewing("--memory", "--host", "0.0.0.0", cwd=tmp_path) as it:  # noqa: S104 - that is the case
        assert it.screen.startswith("http://127.0.0.1:")
        _, rest = it.end()
    assert "Warning: whoever reaches 0.0.0.0 can read these traces and send others: there is no password." in rest


def test_a_store_that_was_named_and_cannot_be_used_ends_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = run("view", "--no-open", "--port", "0", "--screen-port", "0", "--store", "notes.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert "notes.txt is no database: name another file with --store" in done.stderr
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_cache_folder_that_cannot_be_used_leaves_the_memory(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with viewing(cwd=tmp_path) as it:
        assert "Store    memory" in it.said
        send(it.port, segment())
        until(lambda: received(it.port)["received"] == 1)
        _, rest = it.end()
    assert "is no folder. Traces are kept in memory, until this ends." in rest


def test_what_comes_in_is_forwarded_to_another_daemon(tmp_path: Path) -> None:
    with viewing("--store", str(tmp_path / "other.db"), cwd=tmp_path) as other:
        with viewing("--memory", "--forward", f"udp://127.0.0.1:{other.port}", cwd=tmp_path) as it:
            assert f"Forward  udp://127.0.0.1:{other.port}" in it.said
            send(it.port, segment())
            until(lambda: received(it.port)["received"] == 1)
            it.end()
        until(lambda: count(tmp_path / "other.db") == 1)
        other.end()


def test_what_comes_in_is_forwarded_to_x_ray_as_another_viewer_plays_it(tmp_path: Path) -> None:
    account = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-central-1"}
    with viewing("--store", str(tmp_path / "other.db"), cwd=tmp_path) as other:
        account["AWS_ENDPOINT_URL_XRAY"] = f"http://127.0.0.1:{other.port}"
        with viewing("--memory", "--forward", "xray", cwd=tmp_path, **account) as it:
            send(it.port, *(segment(trace_id=f"1-00000001-{number:024x}") for number in range(60)))
            until(lambda: received(it.port)["forwarded"] == 60)
            it.end()
        assert count(tmp_path / "other.db") == 60
        other.end()


def test_without_an_account_nothing_is_forwarded_to_xray(tmp_path: Path) -> None:
    settings = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    done = run("view", "--no-open", "--memory", "--port", "0", "--forward", "xray", cwd=tmp_path, **settings)
    assert done.returncode == 2
    assert "no AWS credentials were found" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "x"], "'x' is no port"),
        (["--port", "65536"], "'65536' is no port"),
        (["--keep-days", "0"], "'0' is no number above 0"),
        (["--keep-mb", "nan"], "'nan' is no number above 0"),
        (["--store", "a", "--memory"], "not allowed with argument"),
        (["--forward", "nowhere"], "is neither xray nor HOST:PORT of another daemon"),
        (["--forward", "127.0.0.1:99999999"], "is neither xray nor HOST:PORT of another daemon"),
        (["--forward", "no.such.host.invalid:2000"], "is not to be found"),
        (["--host", "no.such.host.invalid"], "is not known"),
    ],
)
def test_wrong_words_are_named(tmp_path: Path, words: list[str], said: str) -> None:
    done = run("view", "--no-open", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["view"], ["tail"], ["traces", "import", "x"], ["demo", "--view"]])
def test_without_the_extra_the_command_that_brings_it_is_said(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['starlette'] = None\n")
    done = run(*words, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "this needs starlette: run pip install 'xray-lambda[view]'" in done.stderr


def test_what_was_stored_is_there_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    with closing(Store(path)) as store:
        store.add(documents(segment("earlier")))
    with viewing("--store", str(path), cwd=tmp_path) as it:
        with urllib.request.urlopen(f"{it.screen}api/traces") as answer:
            assert [trace["name"] for trace in json.load(answer)["traces"]] == ["earlier"]
        it.end()
