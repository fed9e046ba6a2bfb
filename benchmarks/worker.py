"""One process with one tracer: times what standard input asks for, or its own set-up, or runs for callgrind."""

from __future__ import annotations

import json
import os
import sys
import time

import awslambdaric.bootstrap  # what Lambda's runtime has loaded before any function  # noqa: F401
import boto3  # noqa: F401

from tracers import TRACERS, handlers

_NAME = "_X_AMZN_TRACE_ID"


def main(name: str, *orders: str) -> None:
    """Do what the first of `orders` says: cold, count, or serve what comes in."""
    began = time.perf_counter_ns()
    tracer = TRACERS[name]()
    took = time.perf_counter_ns() - began
    if orders[:1] == ("cold",):
        print(took)
        return
    every = handlers(tracer)
    if not orders:
        from calls import calls  # noqa: PLC0415 - a cold start is measured without what it loads

        every |= calls(os.environ["BENCH_URL"])
    wrapped = {kind: tracer.wrap(handler) for kind, handler in every.items()}
    headers = {sampled: [_header(sampled) for _ in range(4096)] for sampled in (False, True)}
    if orders[:1] == ("count",):
        _run(wrapped[orders[1]], headers[True], int(orders[2]))
        return
    for line in sys.stdin:
        kind, sampled, times = json.loads(line)
        print(_run(wrapped[kind], headers[sampled], times), flush=True)


def _header(sampled: bool) -> str:  # noqa: FBT001
    return f"Root=1-5759e988-{os.urandom(12).hex()};Parent={os.urandom(8).hex()};Sampled={int(sampled)}"


def _run(handler: object, headers: list[str], times: int) -> float:
    """Return the CPU time of one invocation, in nanoseconds; each has a trace of its own, as on Lambda."""
    environ, event, context = os.environ, {"id": 1}, None
    began = time.process_time_ns()
    for number in range(times):
        environ[_NAME] = headers[number & 4095]
        handler(event, context)  # type: ignore[operator]
    return (time.process_time_ns() - began) / times


if __name__ == "__main__":
    main(*sys.argv[1:])
