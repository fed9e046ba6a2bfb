"""`xray-lambda tail`: each finished trace in the terminal, from a viewer that runs or as a daemon itself."""

from __future__ import annotations

import json
import queue
import re
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.cli.commands import PATIENCE, run, start
from tests.cli.test_cli_view import send
from tests.cli.viewers import viewing
from tests.servers.process import free_port
from tests.viewer.made import a_trace_id, alone, call, http, segment

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.full


class Tailing(NamedTuple):
    """A `tail` that runs: its process, and the lines that it printed."""

    process: subprocess.Popen[str]
    lines: queue.Queue[str]
    started: str

    def next(self) -> str:
        return self.lines.get(timeout=PATIENCE)

    def until(self, pattern: str) -> list[str]:
        """Return the lines up to one that has this in it."""
        found = [self.next()]
        while not re.search(pattern, found[-1]):
            found.append(self.next())
        return found

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        assert self.process.stderr is not None
        code = self.process.wait(PATIENCE)
        return code, self.process.stderr.read()


@contextmanager
def tailing(port: int, *arguments: str, cwd: Path) -> Iterator[Tailing]:
    with start("tail", "--port", str(port), *arguments, cwd=cwd) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: queue.Queue[str] = queue.Queue()

        def read() -> None:
            for line in process.stdout or ():
                lines.put(line.rstrip("\n"))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield Tailing(process, lines, process.stderr.readline())
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            reader.join()


def test_a_trace_is_printed_as_a_tree_once_it_is_over(tmp_path: Path) -> None:
    port = free_port()
    query = call(
        "stock@db", 0.1, 0.2, namespace="remote", sql={"database_type": "PostgreSQL", "sanitized_query": "SELECT 1"}
    )
    whole = segment(http=http(200, url="http://shop.example/orders"), subsegments=[query])
    later = alone(whole["id"], "later", 0.4)
    with tailing(port, cwd=tmp_path) as it:
        where = f"AWS_XRAY_DAEMON_ADDRESS=127.0.0.1:{port}"
        assert it.started == f"Receiving by UDP and TCP; programs find this by {where}. Ctrl-C ends it.\n"
        send(port, whole, later)
        lines = it.until("^$")
        code, rest = it.end()
    assert re.fullmatch(
        rf"\d\d:\d\d:\d\d {whole['trace_id']}  GET, http://shop.example/orders, 200, 1,000 ms", lines[0]
    )
    assert [re.sub(r" +█+ +", " ", line).strip() for line in lines[1:]] == [
        "shop 1,000 ms",
        "│  GET http://shop.example/orders → 200",
        "├─ stock@db 200.0 ms",
        "│     sql PostgreSQL SELECT 1",
        "└─ later 500.0 ms",
        "",
    ]
    assert (code, rest) == (0, "")


def test_subsegments_of_a_function_hang_from_a_line_in_its_place(tmp_path: Path) -> None:
    port = free_port()
    with tailing(port, cwd=tmp_path) as it:
        send(port, alone("53995c3f42cd8ad8", "handler"))
        lines = it.until("^$")
        it.end()
    assert [line.split("  ")[0] for line in lines[1:3]] == ["(its segment did not come)", "└─ handler"]


def test_a_line_of_json_for_each_goes_into_a_pipe_and_import_takes_it(tmp_path: Path) -> None:
    port = free_port()
    bodies = [segment(trace_id=a_trace_id(number)) for number in range(3)]
    with tailing(port, "--json", cwd=tmp_path) as it:
        send(port, *bodies)
        lines = [it.next() for _ in bodies]
        code, _ = it.end(signal.SIGTERM)
    assert code == 0
    assert sorted(json.loads(line)["trace_id"] for line in lines) == [body["trace_id"] for body in bodies]
    done = run("traces", "import", "-", "--store", "traces.db", cwd=tmp_path, stdin="\n".join(lines))
    assert done.stdout.startswith("-: 3 documents of 3 traces, into ")


def test_a_filter_leaves_the_others_out(tmp_path: Path) -> None:
    port = free_port()
    with tailing(port, "--filter", "fault AND annotation.order = 17", cwd=tmp_path) as it:
        send(
            port,
            segment(trace_id=a_trace_id(1), annotations={"order": 17}),
            segment(trace_id=a_trace_id(2), fault=True, annotations={"order": 16}),
            segment(trace_id=a_trace_id(3), fault=True, annotations={"order": 17}),
        )
        lines = it.until("^$")
        it.end()
    assert a_trace_id(3) in lines[0]
    assert it.lines.empty()


def test_where_a_viewer_runs_it_is_asked_and_goes_on_afterwards(tmp_path: Path) -> None:
    with viewing("--memory", cwd=tmp_path) as viewer:
        with tailing(viewer.port, "--json", cwd=tmp_path) as it:
            assert it.started == (
                f"Attached to the viewer at 127.0.0.1:{viewer.port} (process {viewer.process.pid}); "
                "Ctrl-C ends this, not that.\n"
            )
            body = segment()
            send(viewer.port, body)
            assert json.loads(it.next()) == {"trace_id": body["trace_id"], "documents": [body]}
            assert it.end() == (0, "")
        assert viewer.process.poll() is None
        viewer.end()


def test_it_ends_with_the_viewer_that_it_asks(tmp_path: Path) -> None:
    with viewing("--memory", cwd=tmp_path) as viewer, tailing(viewer.port, cwd=tmp_path) as it:
        viewer.end()
        assert it.process.wait(PATIENCE) == 0
        assert it.process.stderr is not None
        assert it.process.stderr.read() == "The viewer has ended.\n"


def test_what_a_document_says_does_not_steer_the_terminal(tmp_path: Path) -> None:
    port = free_port()
    nasty = "\x1b]0;owned\x07\x1b[2J"
    with tailing(port, cwd=tmp_path) as it:
        send(port, segment(http=http(200, url=nasty), user=nasty, subsegments=[call(f"a{nasty}")]))
        lines = it.until("^$")
        it.end()
    assert not re.search(r"[\x00-\x1f\x7f]", "".join(lines))


def test_a_filter_that_is_none_is_named(tmp_path: Path) -> None:
    done = run("tail", "--filter", "fault AND", cwd=tmp_path)
    assert done.returncode == 2
    assert "the filter 'fault AND' is not one: " in done.stderr
