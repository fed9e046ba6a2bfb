"""`xray-lambda tail`: each finished trace as a tree or as JSON, from a viewer that runs or as a daemon itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from xray_lambda.cli import tree
from xray_lambda.cli.console import Problem, console_for, printable
from xray_lambda.cli.drawing import draw, milliseconds
from xray_lambda.cli.viewing import log_to, open_doors, reachable
from xray_lambda.viewer import api, client, control, filters
from xray_lambda.viewer.daemon import Daemon
from xray_lambda.viewer.ingest import Keep
from xray_lambda.viewer.sampling import Sampling
from xray_lambda.viewer.serve import Viewer
from xray_lambda.viewer.store import Store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from xray_lambda.cli.console import Console
    from xray_lambda.cli.receiver import Document

# In memory, and forgotten soon: what is printed is what is kept.
_KEEP = Keep(days=1 / 24, megabytes=256)


def run(arguments: argparse.Namespace) -> int:
    """Print traces until Ctrl-C or SIGTERM, or until the viewer that it is attached to ends."""
    _check(arguments.filter)
    log_to(sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    show = _json_line if arguments.json else _drawn
    with contextlib.suppress(KeyboardInterrupt), _viewer(arguments.host, arguments.port) as (host, port):
        for trace in _followed(host, port, arguments.filter):
            sys.stdout.writelines(f"{line}\n" for line in show(trace))
            sys.stdout.flush()
        print("The viewer has ended.", file=sys.stderr)
    return 0


def _check(expression: str) -> None:
    try:
        if expression.strip():
            filters.parse(expression)
    except filters.FilterError as error:
        raise Problem(f"the filter {printable(expression, 200)!r} is not one: {error}") from None


def _followed(host: str, port: int, expression: str) -> Iterator[dict[str, Any]]:
    try:
        yield from client.follow(host, port, expression)
    except client.Refused as refused:
        raise Problem(f"the viewer refused: {printable(refused)}") from None
    except OSError as fault:
        raise Problem(f"the viewer at {host}:{port} does not answer: {fault}") from None


@contextlib.contextmanager
def _viewer(host: str, port: int) -> Iterator[tuple[str, int]]:
    """Attach to the viewer at a port, or be one for the length of a `with` block; yields its address."""
    other = client.ask(host, port)
    if other is not None:
        process = f"process {other.get('process')}"
        print(f"Attached to the viewer at {host}:{port} ({process}); Ctrl-C ends this, not that.", file=sys.stderr)
        yield host, port
        return
    opened = open_doors(host, port, None)
    viewer = Viewer(Store(None), about={"host": host, "port": opened.port, "screen": None})
    viewer.rules = Sampling(None)
    daemon = Daemon(viewer, opened, api=[*control.routes(viewer), *api.routes(viewer)], keep=_KEEP)
    started = threading.Event()
    thread = threading.Thread(target=daemon.run, args=(started.set,), daemon=True)
    thread.start()
    started.wait(10)
    where = f"AWS_XRAY_DAEMON_ADDRESS={reachable(opened)}"
    print(f"Receiving by UDP and TCP; programs find this by {where}. Ctrl-C ends it.", file=sys.stderr)
    try:
        yield host, opened.port
    finally:
        daemon.stop()
        thread.join(10)


def _json_line(trace: dict[str, Any]) -> Iterator[str]:
    yield json.dumps({"trace_id": trace["trace_id"], "documents": trace["documents"]}, ensure_ascii=True)


def _drawn(trace: dict[str, Any]) -> Iterator[str]:
    console = console_for(sys.stdout, os.environ)
    yield _heading(trace, console)
    documents = trace["documents"]
    yield from draw(*_rooted(trace["trace_id"], documents), console, "")
    yield ""


def _heading(trace: dict[str, Any], console: Console) -> str:
    summary = trace["summary"]
    moment = time.strftime("%H:%M:%S", time.localtime(summary["start"]))
    request = [str(summary[key]) for key in ("method", "url", "status") if summary[key] is not None]
    words = [*request, milliseconds(summary["duration"])]
    words += ["still in progress"] if summary["in_progress"] else []
    words += ["again, with more of it"] if trace["again"] else []
    return f"{moment} {console.paint(trace['trace_id'], 'bold')}  {printable(', '.join(words), 300)}"


def _rooted(trace_id: str, documents: list[Document]) -> tuple[Iterable[Document], Document]:
    """Choose what the tree hangs from: its one segment without a parent, else a line in place of what did not come."""
    roots = [document for document in documents if "type" not in document and not document.get("parent_id")]
    if len(roots) == 1:
        root = roots[0]
        above = {"parent_id": root.get("id"), "trace_id": trace_id}
        embedded = [{**child, **above} for child in tree.dictionaries(root.get("subsegments"))]
        return [*(document for document in documents if document is not root), *embedded], root
    known = {document.get("id") for document in documents}
    missing = {tree.text(document, "parent_id") for document in documents} - known - {None}
    name = "(its segment did not come)" if len(missing) == 1 and not roots else "(several segments)"
    starts = [tree.started(document) for document in documents]
    ends = [end for document in documents if (end := tree.ended(document)) is not None]
    root = {"name": name, "id": missing.pop() if len(missing) == 1 else "", "trace_id": trace_id}
    return documents, {**root, "start_time": min(starts), **({"end_time": max(ends)} if ends else {})}
