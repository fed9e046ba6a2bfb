"""Compares what tracing adds to an ASGI request and to one of aiohttp's server: see docs/performance.md.

ASGI beside OpenTelemetry's middleware, where that is installed (`pip install --pre opentelemetry-instrumentation-asgi
opentelemetry-sdk`); aiohttp beside aws-xray-sdk's. Every case answers in the same process, without sockets; cases take
turns in short batches, so that whatever else the machine does hits all alike; figures are medians of CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import socket
import time
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any

from compare import receive, server

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Case = Callable[[int], Coroutine[Any, Any, None]]  # answers as many requests
    Maker = Callable[[int], Coroutine[Any, Any, Case]]  # makes it, for requests that are sampled or not

HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={}"
TRACEPARENT = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-0{}"
TIMES = 200
REQUEST = {"type": "http.request", "body": b"", "more_body": False}


def main() -> None:
    """Print what each tracer adds to a request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="batches of each case")
    rounds = parser.parse_args().rounds
    with server(receive, socket.SOCK_DGRAM) as port:
        os.environ["AWS_XRAY_DAEMON_ADDRESS"] = f"127.0.0.1:{port}"
        logging.disable(logging.CRITICAL)
        print("\nCPU time added to one request, us:\n\n| request | bare | the other | xray_lambda | times less |")
        print("|---|---|---|---|---|", flush=True)
        for sampled in (1, 0):
            for name, makers in (("ASGI", asgi_makers), ("aiohttp", aiohttp_makers)):
                show(name + ("" if sampled else ", unsampled"), measured(makers(), sampled, rounds))


def measured(makers: dict[str, Maker], sampled: int, rounds: int) -> dict[str, float]:
    """Return the CPU time of one request in each case, in microseconds.

    Each has an event loop of its own: aws-xray-sdk replaces its loop's task factory.
    """
    loops = {name: asyncio.new_event_loop() for name in makers}
    cases = {name: loops[name].run_until_complete(make(sampled)) for name, make in makers.items()}
    for name, case in cases.items():
        loops[name].run_until_complete(case(TIMES))
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name in random.sample(list(cases), len(cases)):
            began = time.process_time_ns()
            loops[name].run_until_complete(cases[name](TIMES))
            taken[name].append((time.process_time_ns() - began) / TIMES / 1e3)
    for loop in loops.values():
        loop.close()
    return {name: median(values) for name, values in taken.items()}


def asgi_makers() -> dict[str, Maker]:
    """Return what makes a plain ASGI app's cases: bare, and with each middleware."""
    from xray_lambda.web.asgi import XRayMiddleware  # noqa: PLC0415 - it reads the environment

    apps: dict[str, Any] = {"bare": hello, "xray_lambda": XRayMiddleware(hello, service="bench")}
    if find_spec("opentelemetry") and find_spec("opentelemetry.instrumentation"):
        apps["the other"] = _opentelemetry()
    return {name: partial(_asgi_case, app) for name, app in apps.items()}


async def _asgi_case(app: Any, sampled: int) -> Case:
    return partial(_through_asgi, app, _scope(sampled))


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer with a greeting."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


def _opentelemetry() -> Any:
    """Return the app in OpenTelemetry's middleware, whose spans go nowhere: to export them comes on top."""
    provider = import_module("opentelemetry.sdk.trace").TracerProvider()
    wrap = import_module("opentelemetry.instrumentation.asgi").OpenTelemetryMiddleware
    # Its spans of the single messages are left out.
    return wrap(hello, tracer_provider=provider, exclude_spans=["receive", "send"])


def _scope(sampled: int) -> dict[str, Any]:
    trace = [(b"x-amzn-trace-id", HEADER.format(sampled)), (b"traceparent", TRACEPARENT.format(sampled))]
    headers = {b"host": b"shop.example.com", b"user-agent": b"curl/8", b"accept": b"*/*", b"accept-encoding": b"gzip"}
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/hello", "raw_path": b"/hello", "query_string": b"", "root_path": "",
        "headers": [*headers.items(), *((name, value.encode()) for name, value in trace)],
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000),
    }  # fmt: skip


async def _through_asgi(app: Any, scope: dict[str, Any], times: int) -> None:
    async def take() -> dict[str, Any]:
        return REQUEST

    async def send(_message: Any) -> None:
        """Take what is sent."""

    for _ in range(times):
        await app(dict(scope), take, send)


def aiohttp_makers() -> dict[str, Maker]:
    """Return what makes the cases of aiohttp's server with a plain handler: bare, and with each middleware."""
    from aws_xray_sdk.ext.aiohttp.middleware import middleware as peers_middleware  # noqa: PLC0415

    from xray_lambda.web.aiohttp import middleware  # noqa: PLC0415

    async def peers(sampled: int) -> Case:
        from aws_xray_sdk.core import xray_recorder  # noqa: PLC0415
        from aws_xray_sdk.core.async_context import AsyncContext  # noqa: PLC0415

        xray_recorder.configure(service="bench", sampling=False, context=AsyncContext())
        return await _aiohttp_case([peers_middleware], sampled)

    ours = partial(_aiohttp_case, [middleware(service="bench")])
    return {"bare": partial(_aiohttp_case, []), "the other": peers, "xray_lambda": ours}


async def _aiohttp_case(middlewares: list[Any], sampled: int) -> Case:
    from aiohttp import web  # noqa: PLC0415 - as above

    async def handler(_request: Any) -> web.Response:
        return web.Response(text="hello")

    app = web.Application(middlewares=middlewares)
    app.router.add_get("/hello", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    protocol = runner.server()
    transport = Transport()
    protocol.connection_made(transport)
    head = f"GET /hello HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: curl/8\r\nX-Amzn-Trace-Id: {HEADER}\r\n\r\n"
    return partial(_through_aiohttp, protocol, transport, head.format(sampled).encode())


class Transport(asyncio.Transport):
    """A connection whose other end is this program."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()

    def write(self, data: Any) -> None:
        """Tell of an answer."""
        if bytes(data).endswith(b"hello"):
            self.answered.set()

    def writelines(self, list_of_data: Any) -> None:
        """Tell of an answer."""
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        """Stay open."""
        return False


async def _through_aiohttp(protocol: Any, transport: Transport, request: bytes, times: int) -> None:
    for _ in range(times):
        transport.answered.clear()
        protocol.data_received(request)
        await transport.answered.wait()


def show(request_kind: str, row: dict[str, float]) -> None:
    """Print a row in Markdown."""
    bare, ours = row["bare"], row["xray_lambda"] - row["bare"]
    if "the other" not in row:
        print(f"| {request_kind} | {bare:.1f} | not installed | {ours:.1f} | |", flush=True)
        return
    theirs = row["the other"] - bare
    print(f"| {request_kind} | {bare:.1f} | {theirs:.1f} | {ours:.1f} | {theirs / ours:.1f} |", flush=True)


if __name__ == "__main__":
    main()
