"""The WSGI door in Python's own server, and for a hundred thousand requests, and in Lambda behind an adapter."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from tests.lambda_runtime.documents import cold, plain
from tests.lambda_runtime.runtime import invoke
from tests.lambda_runtime.runtime_api import Invocation
from tests.servers.process import HOST
from tests.web import apps
from tests.web.wsgi_processes import ROOT, get
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces


class Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def wsgiref_server(app: Any) -> Iterator[int]:
    """Run Python's own server in a thread."""
    with make_server(HOST, 0, app, handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as caught:
        yield caught


def test_wsgirefs_server_answers_as_it_did_and_is_traced(traces: Traces) -> None:
    with wsgiref_server(apps.wsgi_app()) as port, wsgiref_server(apps.plain) as untraced:
        for path in ("/stream", "/file", "/nowhere"):
            ours, without = get(port, path), get(untraced, path)
            assert ours[0::2] == without[0::2]
            assert {*ours[1]} - {*without[1]} == {"x-amzn-trace-id"}
        body = get(port, "/echo/a")[2]
    assert len(traces) == 4
    assert traces.roots[-1].document["trace_id"].encode() in body
    assert [root.document["http"]["response"]["status"] for root in traces.roots] == [200, 200, 404, 200]


_MANY = """
import io, os, socket, sys
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
os.environ["AWS_XRAY_DAEMON_ADDRESS"] = "127.0.0.1:%d" % receiver.getsockname()[1]
os.environ["XRAY_LAMBDA_SAMPLING"] = "all"
from tests.web import apps
from tests.web.wsgi import environ_of
app = apps.wsgi_app()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

paths = [environ_of(path) for path in ("/echo/a", "/stream", "/nowhere")]

def ask(times):
    for number in range(times):
        environ = dict(paths[number % 3], HTTP_X_FORWARDED_FOR="10.%d.%d.1" % (number % 200, number % 250))
        if number % 4 == 0:
            environ["HTTP_X_AMZN_TRACE_ID"] = "Root=1-5759e988-%024x;Sampled=%d" % (number, number % 8 == 0)
        body = app(environ, lambda status, headers: None)
        for chunk in body if number % 5 else ():
            pass
        if hasattr(body, "close"):
            body.close()

ask(10_000)
before = resident()
ask(100_000)
print(resident() - before)
"""


@pytest.mark.full
def test_a_hundred_thousand_requests_grow_memory_by_less_than_5_mb() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MANY], capture_output=True, text=True, check=False, cwd=ROOT, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 5_000_000


_FUNCTION = """
from xray_lambda import subsegment, traced_handler
from xray_lambda.web.wsgi import XRayMiddleware

def app(environ, start_response):
    with subsegment("price"):
        start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]

app = XRayMiddleware(app, service="shop")

@traced_handler
def handler(event, context):
    begun = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": event["path"], "HTTP_HOST": "shop", "wsgi.url_scheme": "https",
               "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    body = app(environ, lambda status, headers: begun.append((status, dict(headers))))
    answer = {"statusCode": int(begun[0][0][:3]), "headers": begun[0][1], "body": b"".join(body).decode()}
    body.close()
    return answer
"""


def test_in_lambda_an_app_behind_an_adapter_joins_the_invocation() -> None:
    outcome = invoke(_FUNCTION, Invocation(event={"path": "/items/7"}))
    (answer,) = outcome.answers
    assert answer.body["headers"] == {"Content-Type": "text/plain"}
    request = {"method": "GET", "url": "https://shop/items/7", "client_ip": "203.0.113.9"}
    assert plain(answer.documents) == [
        cold(
            subsegments=[
                {
                    "name": "shop",
                    "http": {"request": request, "response": {"status": 200}},
                    "subsegments": [{"name": "price"}],
                }
            ]
        )
    ]
