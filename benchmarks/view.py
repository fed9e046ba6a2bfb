"""Loads the viewer: documents by UDP at a steady rate, what became of them, and filters over all that is stored."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xray_lambda.viewer import filters
from xray_lambda.viewer.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = b'{"format":"json","version":1}\n'
SERVICES = ("shop", "stock", "billing", "mail", "search")
# What a filter has to find among everything; X-Ray's own words.
FILTERS = (
    "fault",
    'service("shop") { fault }',
    'annotation.order = "17"',
    "responsetime > 0.09",
    "http.status = 500",
    'service("stock") AND NOT error AND duration > 0.05',
    'http.url CONTAINS "/orders/99"',
    'edge("shop", "stock")',
)


class Load(NamedTuple):
    """How many documents a second are sent for how long, and how many of them make a trace."""

    rate: int
    seconds: float
    per_trace: int


class Usage(NamedTuple):
    """What the viewer's processes took: seconds of CPU, and most bytes of memory."""

    cpu: float
    memory: int


def main() -> None:
    """Run it all and print the figures."""
    options = _options()
    load = Load(options.rate, options.seconds, options.documents_per_trace)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "traces.db"
        with _viewer(store, options.command) as viewer:
            port = _port(viewer)
            print(f"{load.rate:,} documents a second for {load.seconds:g} s, {load.per_trace} to a trace")
            sent, took = _send(port, load)
            _report_load(viewer, port, sent, took)
        _report_filters(store)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=10_000, help="documents a second (default: 10000)")
    parser.add_argument("--seconds", type=float, default=60, help="for how long (default: 60)")
    parser.add_argument("--documents-per-trace", type=int, default=5, help="(default: 5)")
    view = [
        sys.executable,
        "-m",
        "xray_lambda",
        "view",
        "--port",
        "0",
        "--screen-port",
        "0",
        "--no-open",
        "--keep-mb",
        "8000",
    ]
    parser.add_argument("--command", nargs="+", default=[*view, "--store"], help=argparse.SUPPRESS)
    return parser.parse_args()


def _viewer(store: Path, command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen([*command, str(store)], stdout=subprocess.PIPE, text=True)


def _port(viewer: subprocess.Popen[str]) -> int:
    assert viewer.stdout is not None
    for line in viewer.stdout:
        found = re.match(r"Daemon +\S+:(\d+) ", line)
        if found:
            return int(found[1])
    raise SystemExit("the viewer did not start")


def _send(port: int, load: Load) -> tuple[int, float]:
    """Send from a process of its own, on the same two cores; returns how many documents, and in which time."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_sending, (port, load))


def _sending(port: int, load: Load) -> tuple[int, float]:
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect(("127.0.0.1", port))
    total, sent, started = int(load.rate * load.seconds), 0, time.monotonic()
    while sent < total:
        due = min(total, int((time.monotonic() - started) * load.rate) + 1)
        while sent < due:
            out.send(_datagram(sent, load.per_trace))
            sent += 1
        time.sleep(0.002)
    return sent, time.monotonic() - started


def _template() -> str:
    """A segment of about 1 kB: what a request to a small service leaves behind, with two subsegments."""
    times = {"start_time": 1111111111.25, "end_time": 2222222222.25}
    sql = {"sanitized_query": "SELECT * FROM items WHERE sku = ?", "database_type": "PostgreSQL", "url": "db/shop"}
    query = {**times, "id": "cccccccccccccccc", "name": "shop@db", "namespace": "remote", "sql": sql}
    table = {"operation": "GetItem", "region": "eu-west-1", "table_name": "prices", "request_id": "R" * 52}
    call = {**times, "id": "dddddddddddddddd", "name": "DynamoDB", "namespace": "aws", "aws": table}
    request = {"method": "GET", "url": "https://shop.example/orders/99999", "client_ip": "203.0.113.9"}
    document = {
        **times,
        "trace_id": "1-66666666-eeeeeeeeeeeeeeeeeeeeeeee",
        "id": "aaaaaaaaaaaaaaaa",
        "parent_id": "bbbbbbbbbbbbbbbb",
        "name": "SERVICE",
        "http": {"request": request, "response": {"status": 777}},
        "annotations": {"order": "99999"},
        "fault": True,
        "subsegments": [query, call],
    }
    return json.dumps(document)


_BASE = int(time.time())
_TEXT = _template()


def _datagram(number: int, per_trace: int) -> bytes:
    trace, place = divmod(number, per_trace)
    start = time.time()
    fault = trace % 50 == 0 and not place
    text = (
        _TEXT.replace("1-66666666-eeeeeeeeeeeeeeeeeeeeeeee", f"1-{_BASE:08x}-{trace:024x}")
        .replace("aaaaaaaaaaaaaaaa", f"{number + 1:016x}")
        .replace("cccccccccccccccc", f"{(number + 1) << 32:016x}")
        .replace("dddddddddddddddd", f"{(number + 1) << 33:016x}")
        .replace("1111111111.25", f"{start:.6f}")
        .replace("2222222222.25", f"{start + 0.01 + number % 100 / 1000:.6f}")
        .replace("SERVICE", SERVICES[place % len(SERVICES)])
        .replace("99999", str(trace % 1000))
        .replace("777", "500" if fault else "200")
        .replace('"fault": true', f'"fault": {"true" if fault else "false"}')
    )
    parent = f"{number:016x}" if place else ""
    text = text.replace("bbbbbbbbbbbbbbbb", parent) if place else text.replace('"parent_id": "bbbbbbbbbbbbbbbb", ', "")
    return HEADER + text.encode()


def _report_load(viewer: subprocess.Popen[str], port: int, sent: int, took: float) -> None:
    ended = time.monotonic()
    status: dict[str, Any] = {}
    while status.get("received", 0) + status.get("dropped", 0) < sent and time.monotonic() < ended + 60:
        time.sleep(0.05)
        status = _status(port)
    taken = time.monotonic() - ended
    path = status["store"]
    while _count(path, "pending") and time.monotonic() < ended + 600:
        time.sleep(0.1)
    settled = time.monotonic() - ended
    usage = _usage(viewer.pid)
    print(f"sent                    {sent:>12,} in {took:.1f} s ({sent / took:,.0f} a second)")
    for name in ("received", "dropped", "rejected", "unstored"):
        print(f"{name:24}{_status(port)[name]:>12,}")
    print(f"stored documents        {_count(path, 'documents'):>12,} {taken:.1f} s after the last was sent")
    print(f"summarised traces       {_count(path, 'traces'):>12,} {settled:.1f} s after the last was sent")
    print(f"the viewer's CPU        {usage.cpu:>12.1f} s, memory {usage.memory / 1e6:,.0f} MB at most")
    viewer.terminate()
    viewer.wait()


def _status(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/xray-lambda", timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _count(path: str, table: str) -> int:
    connection = sqlite3.connect(path, timeout=60)
    try:
        number: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - a table of ours
        return number
    finally:
        connection.close()


def _usage(process: int) -> Usage:
    """Add up a process and its children; the memory is the most that each ever had."""
    numbers = [process]
    for task in Path(f"/proc/{process}/task").iterdir():
        numbers += map(int, (task / "children").read_text(encoding="ascii").split())
    cpu, memory = 0.0, 0
    for number in numbers:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{number}/status").read_text(encoding="utf-8"))
        memory += int(peak[1]) * 1000 if peak else 0
    return Usage(cpu, memory)


def _timed(act: Callable[[], int]) -> tuple[float, int]:
    """Do something; returns the milliseconds that it took, and its answer."""
    started = time.perf_counter()
    answer = act()
    return (time.perf_counter() - started) * 1000, answer


def _report_filters(path: Path) -> None:
    store = Store(path)
    with store.read() as connection:
        count, subsegments = connection.execute("SELECT count(*), sum(subsegments) FROM traces").fetchone()
    print(f"\n{count:,} traces with {subsegments:,} subsegments, {path.stat().st_size / 1e6:,.0f} MB")
    for text in FILTERS:
        condition = filters.where(filters.parse(text))
        page, rows = _timed(lambda: len(store.query(condition.sql, condition.parameters, limit=100)))  # noqa: B023 - at once
        whole, number = _timed(lambda: store.count(condition.sql, condition.parameters))  # noqa: B023 - at once
        print(f"{text:52} {rows:>4} rows {page:>7.1f} ms; {number:>8,} in all {whole:>7.1f} ms")
    store.close()


if __name__ == "__main__":
    main()
