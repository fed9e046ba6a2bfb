"""With the layer and one variable, a function that knows nothing of tracing is traced; if ours fails, it still runs."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lambda_runtime.runtime import invoke
from tests.lambda_runtime.runtime_api import PARENT, ROOT, SAMPLED, Invocation
from tests.layer.function import WRAPPED, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.emitters.daemon import Document
    from tests.lambda_runtime.runtime import Outcome

HELLO = "def handler(event, context):\n    return 'hello'\n"
PLACE = "python/xray_lambda"


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.server.headers.append(self.headers["X-Amzn-Trace-Id"])  # type: ignore[attr-defined]
        body = b'{"Item": {"id": {"S": "1"}}}'
        self.send_response(200)
        self.send_header("x-amzn-RequestId", "4JL4OHL8C2VEJDVUSLPE")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


@contextmanager
def service() -> Iterator[tuple[str, list[str]]]:
    """Run a server that answers as DynamoDB does; yields its URL, and the trace headers that it is sent."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        server.headers = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server.headers  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


def changed(layer: Path, folder: Path) -> Path:
    """Return a copy of the layer that can be tampered with."""
    shutil.copytree(layer, folder)
    for file in folder.rglob("*"):
        file.chmod(file.stat().st_mode | 0o200)
    return folder


def names(outcome: Outcome) -> list[Any]:
    def shape(document: Document) -> tuple[str, list[Any]]:
        return document["name"], [shape(child) for child in document.get("subsegments", ())]

    return [shape(document) for document in outcome.documents]


def test_handler_aws_http_and_sql_calls_are_a_trace(layer: Path) -> None:
    source = """
        import os, sqlite3, urllib.request
        import botocore.session
        URL = os.environ["SERVICE"]
        account = {"aws_access_key_id": "a", "aws_secret_access_key": "hunter2", "region_name": "eu-west-1"}
        tables = botocore.session.get_session().create_client("dynamodb", endpoint_url=URL, **account)
        def handler(event, context):
            tables.get_item(TableName="orders", Key={"id": {"S": "hunter2"}})
            with urllib.request.urlopen(URL + "/prices?key=hunter2") as answer:
                answer.read()
            with sqlite3.connect(":memory:") as connection:
                connection.execute("SELECT 'hunter2'").fetchone()
            return "hello"
    """
    with service() as (url, headers):
        outcome = run(layer, source, Invocation(), env={**WRAPPED, "SERVICE": url})
    host = url.removeprefix("http://")
    assert outcome.bodies == ["hello"]
    assert names(outcome) == [("handler", [("DynamoDB", []), (host, []), (":memory:", [])])]
    [document] = outcome.documents
    assert (document["trace_id"], document["parent_id"]) == (ROOT, PARENT)
    assert headers == [f"Root={ROOT};Parent={call['id']};Sampled=1" for call in document["subsegments"][:2]]
    assert "hunter2" not in json.dumps(document)


def test_only_what_the_setting_names_is_patched(layer: Path) -> None:
    source = """
        import sqlite3, threading
        def handler(event, context):
            with sqlite3.connect(":memory:") as connection:
                connection.execute("SELECT 1")
    """
    nothing = run(layer, source, Invocation(), env={**WRAPPED, "XRAY_LAMBDA_PATCH": "none"})
    assert names(nothing) == [("handler", [])]
    one = run(layer, source, Invocation(), env={**WRAPPED, "XRAY_LAMBDA_PATCH": "sqlite3"})
    assert names(one) == [("handler", [(":memory:", [])])]


def test_a_wrong_setting_is_one_line_in_the_log(layer: Path) -> None:
    outcome = run(layer, "print('imported')\n" + HELLO, Invocation(), env={**WRAPPED, "XRAY_LAMBDA_PATCH": "sqlite"})
    assert outcome.bodies == ["hello"]
    first, second = outcome.stdout.splitlines()
    assert "XRAY_LAMBDA_PATCH: unknown library 'sqlite': did you mean 'sqlite3'?" in first
    assert second == "imported"
    assert names(outcome) == [("handler", [])]


def test_without_the_variable_nothing_is_traced_and_the_package_can_be_imported(layer: Path) -> None:
    source = """
        def handler(event, context):
            import xray_lambda
            with xray_lambda.subsegment("mine"):
                return xray_lambda.__file__
    """
    outcome = run(layer, source, Invocation())
    assert outcome.bodies[0].endswith(f"/{PLACE}/__init__.py")
    assert names(outcome) == [("mine", [])]


def test_a_handler_that_is_decorated_already_is_one_subsegment(layer: Path) -> None:
    source = """
        import functools
        from xray_lambda import traced_handler
        def logged(function):
            @functools.wraps(function)
            def wrapper(event, context):
                return function(event, context)
            return wrapper
        @logged
        @traced_handler(name="mine")
        def handler(event, context): return 1
    """
    assert names(run(layer, source, Invocation(), env=WRAPPED)) == [("mine", [])]


def test_the_module_is_imported_once(layer: Path) -> None:
    outcome = run(layer, "print('imported')\n" + HELLO, Invocation(), Invocation(), env=WRAPPED)
    assert outcome.stdout == "imported\n"
    assert names(outcome) == [("handler", []), ("handler", [])]


def test_threads_belong_to_the_trace(layer: Path) -> None:
    source = """
        import sqlite3
        from concurrent.futures import ThreadPoolExecutor
        def ask(number):
            with sqlite3.connect(":memory:") as connection:
                return connection.execute("SELECT 1").fetchone()
        def handler(event, context):
            with ThreadPoolExecutor(2) as pool:
                return list(pool.map(ask, range(2)))
    """
    assert names(run(layer, source, Invocation(), env=WRAPPED)) == [("handler", [(":memory:", []), (":memory:", [])])]


@pytest.mark.parametrize("part", ["libraries/__init__.py", "lambda_runtime/handler.py", "_recorder.py"])
def test_a_broken_part_of_ours_leaves_the_function_running_untraced(part: str, layer: Path, tmp_path: Path) -> None:
    broken = changed(layer, tmp_path / "opt")
    for bundle in (broken / PLACE).glob("_bundle.*"):
        bundle.unlink()
    (broken / PLACE / part).write_text("raise RuntimeError('broken')")
    outcome = run(broken, HELLO, Invocation(), env=WRAPPED)
    assert outcome.bodies == ["hello"]
    [line] = outcome.stdout.splitlines()
    assert line.startswith("[WARNING]")
    assert line.endswith("xray_lambda does not trace this function: RuntimeError: broken")


@pytest.mark.parametrize("package", ["wrapt", "jsonpickle"])
@pytest.mark.parametrize("place", ["layer", "function"])
def test_another_copy_of_a_package_is_left_to_its_owner(package: str, place: str, layer: Path, tmp_path: Path) -> None:
    """Ours is found under a private name, though theirs, which breaks what uses it, is first on the path."""
    source = f"""
        import datetime, sys
        from xray_lambda import metadata
        import {package}
        def handler(event, context):
            metadata(zone=datetime.timezone.utc, when=slice(1))
            loaded = sorted(name for name in sys.modules if name.partition(".")[0] == "{package}")
            return [{package}.THEIRS, loaded]
    """
    theirs = {f"{package}.py": "THEIRS = True\n"}
    if place == "layer":
        layer = changed(layer, tmp_path / "opt")
        (layer / "python" / f"{package}.py").write_text(theirs.pop(f"{package}.py"))
    outcome = run(layer, source, Invocation(), env=WRAPPED, files=theirs)
    assert outcome.bodies == [[True, [package]]]
    assert outcome.stdout == ""


def test_another_wrapper_goes_on_from_ours(layer: Path, tmp_path: Path) -> None:
    both = changed(layer, tmp_path / "opt")
    (both / "other").write_text('#!/bin/sh\nexport OTHER="$_HANDLER"\nexec "$@"\n')
    (both / "other").chmod(0o755)
    source = "import os\ndef handler(event, context): return os.environ['OTHER']\n"
    outcome = run(both, source, Invocation(), env={**WRAPPED, "XRAY_LAMBDA_NEXT_WRAPPER": "/opt/other"})
    assert outcome.bodies == ["xray_lambda.lambda_runtime.auto.handler"]
    assert names(outcome) == [("handler", [])]


def test_restored_copies_and_managed_instances_are_traced(layer: Path) -> None:
    snap = run(layer, HELLO, Invocation(), env={**WRAPPED, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"})
    assert (snap.restored, names(snap)) == (1, [("handler", [])])
    headers = [SAMPLED.replace("5759e988", f"5759e98{number}") for number in range(4)]
    env = {**WRAPPED, "AWS_LAMBDA_MAX_CONCURRENCY": "2"}
    managed = run(layer, HELLO, *map(Invocation, headers), env=env, workers=2)
    assert names(managed) == [("handler", [])] * 4
    assert len({document["id"] for document in managed.documents}) == 4


def test_an_unsampled_or_absent_trace_sends_nothing(layer: Path) -> None:
    outcome = run(layer, HELLO, Invocation(SAMPLED[:-1] + "0"), Invocation(None), env=WRAPPED)
    assert (outcome.bodies, outcome.documents) == (["hello", "hello"], [])


def test_nothing_listens_and_nothing_can_be_written(layer: Path) -> None:
    env = {**WRAPPED, "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:9", "TMPDIR": "/nowhere"}
    outcome = run(layer, HELLO, Invocation(), Invocation(), env=env)
    assert outcome.bodies == ["hello", "hello"]
    assert len(outcome.stdout.splitlines()) <= 1


def test_a_container_image_with_a_base_of_its_own_names_the_handler_last(layer: Path) -> None:
    source = "import os\ndef handler(event, context): return os.environ.get('_HANDLER')\n"
    command = (str(layer / "xray-lambda"), sys.executable, "-m", "awslambdaric", "app.handler")
    script = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
    env = {"PYTHONPATH": str(layer / "python"), "XRAY_LAMBDA_STRICT": ""}
    outcome = invoke(source, Invocation(), command=("-c", script, *command), env=env)
    assert outcome.bodies == [None]
    assert names(outcome) == [("handler", [])]
