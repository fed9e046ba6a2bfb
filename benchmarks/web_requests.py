"""Compares what tracing adds to a request of Flask and of Django, beside aws-xray-sdk: see docs/performance.md.

Every case answers requests in the same process, straight through its WSGI app; cases take turns in short batches, so
that whatever else the machine does hits all alike; figures are medians of CPU time.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import socket
import sys
import time
import types
from statistics import median
from typing import TYPE_CHECKING, Any

from compare import receive, server

if TYPE_CHECKING:
    from collections.abc import Callable

    App = Callable[[dict[str, Any], Callable[..., Any]], Any]

HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={}"
TRACERS = ("bare", "datagram", "aws-xray-sdk", "xray_lambda")
APPS = ("bare", "aws-xray-sdk", "xray_lambda")
BATCH_SECONDS = 0.01
PEERS_MIDDLEWARE = "aws_xray_sdk.ext.django.middleware.XRayMiddleware"
OUR_MIDDLEWARE = "xray_lambda.web.django.XRayMiddleware"


def main() -> None:
    """Print what each tracer adds to a request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="batches of each case")
    rounds = parser.parse_args().rounds
    with server(receive, socket.SOCK_DGRAM) as port:
        os.environ["AWS_XRAY_DAEMON_ADDRESS"] = f"127.0.0.1:{port}"
        logging.disable(logging.CRITICAL)
        heads = ("request", "bare", "aws-xray-sdk", "xray_lambda", "times less", "one datagram", "the rest, times less")
        print(f"\nCPU time added to one request, us:\n\n| {' | '.join(heads)} |")
        print("|---|---|---|---|---|---|---|")
        for framework, apps in {"Flask": flask_apps(), "Django": django_apps()}.items():
            apps["datagram"] = sending(apps["bare"], port)
            for sampled in (True, False):
                show(framework + ("" if sampled else ", unsampled"), measured(apps, rounds, sampled=sampled))


def sending(app: App, port: int) -> App:
    """Return an app that sends one datagram a request: what this adds no tracer that sends can go below."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", port))

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        body = app(environ, start_response)
        sender.send(b"x" * 450)
        return body

    return answer


def flask_apps() -> dict[str, App]:
    """Return one Flask app, three times: bare, and with each middleware."""
    from aws_xray_sdk.core import xray_recorder  # noqa: PLC0415 - it reads the environment where it is imported
    from aws_xray_sdk.ext.flask.middleware import XRayMiddleware as PeersMiddleware  # noqa: PLC0415
    from flask import Flask  # noqa: PLC0415

    from xray_lambda.web.flask import XRayMiddleware  # noqa: PLC0415

    xray_recorder.configure(service="bench", sampling=False)
    apps = {name: Flask("bench") for name in APPS}
    for app in apps.values():
        app.add_url_rule("/hello", "hello", lambda: "hello")
    XRayMiddleware(apps["xray_lambda"], service="bench")
    PeersMiddleware(apps["aws-xray-sdk"], xray_recorder)
    return dict(apps)


def django_apps() -> dict[str, App]:
    """Return one Django site, three times: bare, and with each middleware."""
    import django  # noqa: PLC0415 - it has to be configured
    from django.conf import settings  # noqa: PLC0415
    from django.http import HttpResponse  # noqa: PLC0415
    from django.urls import path  # noqa: PLC0415

    urls: Any = types.ModuleType("bench_urls")
    urls.urlpatterns = [path("hello", lambda _: HttpResponse("hello"))]
    sys.modules["bench_urls"] = urls
    peers = {"AWS_XRAY_TRACING_NAME": "bench", "AUTO_INSTRUMENT": False, "SAMPLING": False}
    settings.configure(
        ROOT_URLCONF="bench_urls",
        ALLOWED_HOSTS=["*"],
        SECRET_KEY=os.urandom(8).hex(),
        INSTALLED_APPS=["aws_xray_sdk.ext.django"],
        XRAY_RECORDER=peers,
        XRAY={"service": "bench"},
        MIDDLEWARE=[],
    )
    django.setup()
    return {name: _django_app(name) for name in APPS}


def _django_app(name: str) -> App:
    from django.core.handlers.wsgi import WSGIHandler  # noqa: PLC0415 - as above
    from django.test.utils import override_settings  # noqa: PLC0415

    middleware = {"bare": [], "aws-xray-sdk": [PEERS_MIDDLEWARE], "xray_lambda": [OUR_MIDDLEWARE]}
    with override_settings(MIDDLEWARE=middleware[name]):
        app: App = WSGIHandler()
        return app


def measured(apps: dict[str, App], rounds: int, *, sampled: bool) -> dict[str, float]:
    """Return the CPU time of one request through each app, in microseconds."""
    environ = request(sampled=sampled)
    times = max(20, int(BATCH_SECONDS / min(_answer(apps["bare"], environ, 100) for _ in range(5))))
    for name in TRACERS:
        _answer(apps[name], environ, times)
    taken: dict[str, list[float]] = {name: [] for name in TRACERS}
    for _ in range(rounds):
        for name in random.sample(TRACERS, len(TRACERS)):
            taken[name].append(_answer(apps[name], environ, times) * 1e6)
    return {name: median(values) for name, values in taken.items()}


def request(*, sampled: bool) -> dict[str, Any]:
    """Return a request as WSGI has it."""
    from werkzeug.test import EnvironBuilder  # noqa: PLC0415 - comes with Flask

    builder = EnvironBuilder(path="/hello", headers=[("X-Amzn-Trace-Id", HEADER.format(int(sampled)))])
    return builder.get_environ()


def _answer(app: App, environ: dict[str, Any], times: int) -> float:
    """Return the CPU time of one request, in seconds."""

    def start_response(*_: object) -> None:
        """Begin the answer."""

    began = time.process_time_ns()
    for _ in range(times):
        body = app(dict(environ), start_response)
        b"".join(body)
        body.close()
    return (time.process_time_ns() - began) / times / 1e9


def show(request_kind: str, row: dict[str, float]) -> None:
    """Print a row in Markdown."""
    bare = row["bare"]
    theirs, ours = row["aws-xray-sdk"] - bare, row["xray_lambda"] - bare
    sent = 0 if "unsampled" in request_kind else row["datagram"] - bare
    rest = f"{sent:.1f} | {(theirs - sent) / (ours - sent):.1f}"
    print(f"| {request_kind} | {bare:.0f} | {theirs:.1f} | {ours:.1f} | {theirs / ours:.1f} | {rest} |", flush=True)


if __name__ == "__main__":
    main()
