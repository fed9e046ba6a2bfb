"""Compares what tracers cost on Lambda, side by side in one run: `make bench`.

Workers take turns in short batches, so that whatever else the machine does hits all alike; figures are medians.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from calls import CALLS, serve
from tracers import TRACERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKER = Path(__file__).with_name("worker.py")
CASES = (("one", True), ("ten", True), ("hundred", True), ("one", False), ("ten", False))
CALL_KINDS = ("DynamoDB get_item", "S3 head_object", "requests get", "sqlite3 execute")
BATCH_SECONDS = 0.02
TRACED = ("aws-xray-sdk", "xray_lambda")


def main() -> None:
    """Run the parts that were asked for, and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="batches of each case, and cold starts of each tracer")
    parser.add_argument("--instructions", action="store_true", help="count instructions with valgrind: repeatable")
    arguments = parser.parse_args()
    with server(receive, socket.SOCK_DGRAM) as port, server(serve, socket.SOCK_STREAM) as http_port:
        environ = environment(port, http_port)
        print_costs("CPU time of an invocation over the bare handler's, us", costs(arguments.rounds, environ))
        print_calls(call_costs(arguments.rounds, environ))
        print_cold(cold(arguments.rounds, environ))
        if arguments.instructions:
            print_costs("Instructions of an invocation over the bare handler's, thousands", instructions(environ))


@contextmanager
def server(serve: Callable[[socket.socket], None], kind: socket.SocketKind) -> Iterator[int]:
    """Run a server in a process of its own, as the daemon and services are; yields the port."""
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        process = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
        process.start()
        yield listener.getsockname()[1]
        process.terminate()


def receive(receiver: socket.socket) -> None:
    """Take datagrams, as the daemon does."""
    while True:
        receiver.recv(65536)


def environment(port: int, http_port: int) -> dict[str, str]:
    """Return what a function finds around it."""
    return {
        "BENCH_URL": f"http://127.0.0.1:{http_port}",
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "LAMBDA_TASK_ROOT": "/var/task",
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{port}",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    }


def costs(rounds: int, environ: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return for each case what each tracer adds to the bare handler, in microseconds of CPU time."""
    workers = {name: _worker(name, environ) for name in TRACERS}
    rows: dict[str, dict[str, float]] = {}
    for kind, sampled in CASES:
        times = {name: _batch_size(worker, kind, sampled) for name, worker in workers.items()}
        added: dict[str, list[float]] = {name: [] for name in TRACERS if name != "bare"}
        for _ in range(rounds):
            bare = _ask(workers["bare"], "empty", sampled, times["bare"])
            for name in random.sample(sorted(added), len(added)):
                added[name].append(_ask(workers[name], kind, sampled, times[name]) - bare)
        rows[f"{kind}{'' if sampled else ', unsampled'}"] = {key: median(v) / 1000 for key, v in added.items()}
    for worker in workers.values():
        worker.communicate()
    return rows


def call_costs(rounds: int, environ: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return what each tracer adds to one call of a library, in microseconds of CPU time."""
    workers = {name: _worker(name, environ) for name in ("bare", *TRACED)}
    rows: dict[str, dict[str, float]] = {}
    for kind in CALL_KINDS:
        for sampled in (True, False):
            times = {name: _batch_size(worker, kind, sampled) for name, worker in workers.items()}
            taken: dict[str, list[float]] = {name: [] for name in TRACED}
            for _ in range(rounds):
                alone = {name: _net(workers[name], kind, sampled, times[name]) for name in random.sample([*workers], 3)}
                for name in TRACED:
                    taken[name].append((alone[name] - alone["bare"]) / CALLS)
            rows[f"{kind}{'' if sampled else ', unsampled'}"] = {key: median(v) / 1000 for key, v in taken.items()}
    for worker in workers.values():
        worker.communicate()
    return rows


def _net(worker: subprocess.Popen[str], kind: str, sampled: bool, times: int) -> float:  # noqa: FBT001
    """Return what the calls of an invocation take, the invocation itself aside."""
    return _ask(worker, kind, sampled, times) - _ask(worker, "empty", sampled, times)


def _worker(name: str, environ: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), name]
    return subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ask(worker: subprocess.Popen[str], kind: str, sampled: bool, times: int) -> float:  # noqa: FBT001
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps([kind, sampled, times]) + "\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


def _batch_size(worker: subprocess.Popen[str], kind: str, sampled: bool) -> int:  # noqa: FBT001
    """Warm the worker up, and return how often it runs the handler in one batch."""
    once = min(_ask(worker, kind, sampled, times) for times in (10, 30, 100))
    return max(5, int(BATCH_SECONDS * 1e9 / max(once, 1000)))


def cold(rounds: int, environ: dict[str, str]) -> dict[str, float]:
    """Return what set-up costs in a fresh process that has loaded the runtime and boto3, in milliseconds."""
    names = [*TRACED] * rounds
    random.shuffle(names)
    took: dict[str, list[float]] = {name: [] for name in TRACED}
    for name in names:
        done = subprocess.run(
            [sys.executable, str(WORKER), name, "cold"], env=environ, capture_output=True, text=True, check=True
        )
        took[name].append(int(done.stdout) / 1e6)
    return {name: median(values) for name, values in took.items()}


def instructions(environ: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return for each sampled case the instructions that each tracer adds, in thousands; the kernel's do not count."""
    if shutil.which("valgrind") is None:
        sys.exit("--instructions needs valgrind: install it, or leave the option out")
    bare = _count("bare", "empty", environ)
    return {
        kind: {name: (_count(name, kind, environ) - bare) / 1000 for name in TRACERS if name != "bare"}
        for kind, sampled in CASES
        if sampled and kind != "hundred"
    }


def _count(name: str, kind: str, environ: dict[str, str], few: int = 50, many: int = 150) -> float:
    """Return the instructions of one invocation: those of many less those of few, divided."""
    totals = []
    for times in (few, many):
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, str(WORKER)]
        done = subprocess.run(
            [*command, name, "count", kind, str(times)], env=environ, capture_output=True, text=True, check=True
        )
        found = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
        assert found is not None, done.stderr
        totals.append(int(found.group(1)))
    return (totals[1] - totals[0]) / (many - few)


def print_costs(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print a table in Markdown; one datagram is in both tracers' figures, and neither can go below it."""
    heads = ("subsegments", "aws-xray-sdk", "xray_lambda", "times less", "one datagram", "the rest, times less")
    print(f"\n{title}:\n\n| {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|")
    for case, row in rows.items():
        theirs, ours = row["aws-xray-sdk"], row["xray_lambda"]
        sent = 0 if "unsampled" in case else row["datagram"] - row["waiting"]
        rest = f"{sent:.1f} | {(theirs - sent) / (ours - sent):.1f}"
        print(f"| {case} | {theirs:.1f} | {ours:.1f} | {theirs / ours:.1f} | {rest} |", flush=True)


def print_calls(rows: dict[str, dict[str, float]]) -> None:
    """Print what a call costs, in Markdown."""
    print("\nCPU time added to one call, us:\n\n| call | aws-xray-sdk | xray_lambda | times less |\n|---|---|---|---|")
    for case, row in rows.items():
        theirs, ours = row["aws-xray-sdk"], row["xray_lambda"]
        print(f"| {case} | {theirs:.1f} | {ours:.1f} | {theirs / ours:.1f} |", flush=True)


def print_cold(row: dict[str, float]) -> None:
    """Print what set-up costs."""
    theirs, ours = row["aws-xray-sdk"], row["xray_lambda"]
    print(f"\nSet-up in a fresh process, boto3 loaded: aws-xray-sdk {theirs:.1f} ms, ", end="")
    print(f"xray_lambda {ours:.1f} ms, {theirs / ours:.1f} times less", flush=True)


if __name__ == "__main__":
    main()
