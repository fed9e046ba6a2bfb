"""`xray-lambda traces import|export|pull`: traces from and into files, and from a real X-Ray account."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray_lambda.cli.console import Problem, printable
from xray_lambda.cli.stores import open_file
from xray_lambda.cli.viewing import xray_client
from xray_lambda.viewer import client, filters, pull, transfer
from xray_lambda.viewer.documents import Document, Rejected, parse
from xray_lambda.viewer.store import Cursor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from xray_lambda.viewer.store import Store

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_AGE = re.compile(r"(\d{1,9}(?:\.\d+)?)([smhd])", re.ASCII)
_SECONDS = re.compile(r"\d{1,11}(?:\.\d{1,9})?", re.ASCII)
_AT_ONCE = 1_000
MOST_REASONS = 5
LARGEST_FILE = 1 << 30


def run(arguments: argparse.Namespace) -> int:
    """Do what the second word says; 1 where something was not taken."""
    return _ACTIONS[arguments.act](arguments)


def import_(arguments: argparse.Namespace) -> int:
    """Add the traces of files to the store, or to a viewer that keeps its traces in memory."""
    faults = 0
    for name in arguments.files:
        try:
            texts = list(transfer.texts_in(_content(name)))
        except ValueError as fault:
            raise Problem(f"{name} holds no traces: {fault}") from None
        faults += _add(texts, name, arguments)
    return 1 if faults else 0


def pull_(arguments: argparse.Namespace) -> int:
    """Fetch traces from X-Ray into the store, by their ids or by a filter."""
    if not arguments.trace_ids and arguments.filter is None:
        raise Problem("name traces by their ids, or a filter with --filter (--filter '' is all of them)")
    since, until = moment(arguments.since), moment(arguments.until)
    account = xray_client(arguments.region, arguments.profile, arguments.endpoint_url)
    texts = _pulled(account, arguments, since, until)
    return 1 if _add(texts, "X-Ray", arguments) else 0


def export(arguments: argparse.Namespace) -> int:
    """Write traces of the store as `aws xray batch-get-traces` prints them."""
    condition = _condition(arguments.filter)
    since, until = moment(arguments.since), moment(arguments.until)
    with _store(arguments) as store, _output(arguments.output) as write:
        ids = arguments.trace_ids or _matching(store, condition, since, until)
        count = transfer.export(store, ids, write)
    print(f"{count} trace{'' if count == 1 else 's'} exported.", file=sys.stderr)
    return 0 if count or not arguments.trace_ids else 1


def _pulled(account: Any, arguments: argparse.Namespace, since: float, until: float) -> list[str]:
    import botocore.exceptions  # noqa: PLC0415 - half a second, for those who pull

    try:
        ids = arguments.trace_ids or pull.matching(account, arguments.filter, since, until, arguments.limit)
        texts = list(pull.documents(account, ids))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as fault:
        raise Problem(f"X-Ray did not answer as hoped: {printable(fault)}") from None
    if not texts:
        raise Problem("X-Ray has no such traces: is it the right region and account, and the right time (--since)?")
    return texts


def _add(texts: list[str], source: str, arguments: argparse.Namespace) -> int:
    """Store documents and say how many; returns how many were refused."""
    refused: list[str] = []
    found = list(_parsed(texts, refused))
    name, in_memory = _where(arguments)
    if in_memory:
        place = f"the viewer at {arguments.host}:{arguments.port}"
        refused += client.put(arguments.host, arguments.port, [document.text for document in found])
    else:
        with contextlib.closing(open_file(name)) as store:
            for start in range(0, len(found), _AT_ONCE):
                store.add(found[start : start + _AT_ONCE])
            place = str(store.path)
    traces = len({document.trace_id for document in found})
    print(f"{source}: {len(found)} documents of {traces} traces, into {place}")
    for reason in refused[:MOST_REASONS]:
        print(f"{source}: refused: {printable(reason, 300)}", file=sys.stderr)
    if len(refused) > MOST_REASONS:
        print(f"{source}: and {len(refused) - MOST_REASONS} more were refused", file=sys.stderr)
    return len(refused)


def _parsed(texts: Iterable[str], refused: list[str]) -> Iterator[Document]:
    for text in texts:
        try:
            yield parse(text)
        except Rejected as rejected:
            refused.append(rejected.reason)


def _where(arguments: argparse.Namespace) -> tuple[str | None, bool]:
    """Return the store's file, None for the default, and whether it is the memory of a viewer that runs instead."""
    if arguments.store is not None:
        return arguments.store, False
    running = client.ask(arguments.host, arguments.port)
    name = None if running is None else running.get("store")
    return (str(name) if name else None), running is not None and not name


@contextlib.contextmanager
def _store(arguments: argparse.Namespace) -> Iterator[Store]:
    name, in_memory = _where(arguments)
    if in_memory:
        raise Problem(f"the viewer at {arguments.host}:{arguments.port} keeps its traces in memory: ask it for them")
    if name is not None and not Path(name).exists():
        raise Problem(f"there is no store {name}")
    with contextlib.closing(open_file(name)) as store:
        yield store


def _matching(store: Store, condition: filters.Condition | None, since: float, until: float) -> Iterator[str]:
    """Yield the ids of all traces of a time, page by page."""
    where = ("1", ()) if condition is None else (condition.sql, condition.parameters)
    before = None
    while rows := store.query(*where, since=since, until=until, limit=_AT_ONCE, before=before):
        yield from (row["trace_id"] for row in rows)
        before = Cursor(rows[-1]["start"], rows[-1]["trace_id"])


def _condition(expression: str | None) -> filters.Condition | None:
    try:
        return filters.where(filters.parse(expression)) if expression and expression.strip() else None
    except filters.FilterError as error:
        raise Problem(f"the filter {printable(expression, 200)!r} is not one: {error}") from None


def moment(text: str) -> float:
    """Read a time as seconds since 1970: `15m` (so long ago), `now`, an ISO date or such seconds. Raises Problem."""
    if text == "now":
        return time.time()
    age = _AGE.fullmatch(text)
    if age:
        return max(0.0, time.time() - float(age[1]) * _UNITS[age[2]])
    try:
        return float(text) if _SECONDS.fullmatch(text) else _iso(text)
    except (ValueError, OverflowError):
        raise Problem(f"{text!r} is no time: write 15m, 3h or 2d for so long ago, or 2026-01-31T12:00") from None


def _iso(text: str) -> float:
    if text[4:5] != "-":
        raise ValueError(text)  # Python 3.11 takes digits alone for a date, and milliseconds would be one
    return dt.datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text)).timestamp()


def _content(name: str) -> bytes:
    try:
        with contextlib.ExitStack() as opened:
            file = sys.stdin.buffer if name == "-" else opened.enter_context(Path(name).open("rb"))
            content = file.read(LARGEST_FILE + 1)
    except OSError as fault:
        raise Problem(f"{name} cannot be read: {fault.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise Problem(f"{name} is larger than {LARGEST_FILE:,} bytes: import it in parts")
    return content


@contextlib.contextmanager
def _output(name: str) -> Iterator[Callable[[str], object]]:
    """Yield what writes to a file, which only its owner reads, or to standard output."""
    if name == "-":
        yield sys.stdout.write
        return
    try:
        path = Path(name)
        path.touch(mode=0o600)
        with path.open("w", encoding="utf-8") as file:
            yield file.write
    except OSError as fault:
        raise Problem(f"{name} cannot be written: {fault.strerror}") from None


_ACTIONS = {"import": import_, "export": export, "pull": pull_}
