"""The words that `xray-lambda view`, `tail` and `traces` take."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from xray_lambda.cli import view
from xray_lambda.cli.outcome import NOT_SET_UP

if TYPE_CHECKING:
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no other name for it
    Add = Callable[..., argparse.Action]

_VIEW = """\
Be an X-Ray daemon with a screen: whatever a program sends to the daemon's port shows in the browser at once.
Nothing leaves this machine, and no AWS account is asked, unless --forward says so."""
_VIEW_EXAMPLES = """\
examples:
  xray-lambda view
  xray-lambda view --memory --port 2010 --screen-port 2011
  xray-lambda view --forward xray                       AWS X-Ray gets everything too
  AWS_XRAY_DAEMON_ADDRESS=127.0.0.1:2010 python app.py  a program that sends there
"""
_TAIL = """\
Print each trace once it is over, as the tree that invoke prints. Where a viewer runs at the port, it is asked; else
this is a daemon itself."""
_TRACES = """\
Move traces between the viewer's store, files and AWS X-Ray. A viewer that runs shows what was added at once."""


def add_view(commands: Commands) -> None:
    """Add `view`."""
    command = _command(commands, "view", "be an X-Ray daemon with a screen in the browser", _VIEW, _VIEW_EXAMPLES)
    add = command.add_argument
    _add_address(add, "where to listen (default: 127.0.0.1, which no other machine reaches)")
    add("--screen-port", metavar="PORT", type=_port, default=2001, help="the screen's port (default: 2001)")
    store = command.add_mutually_exclusive_group()
    store.add_argument("--store", metavar="FILE", help="keep traces here (default: in your cache folder)")
    store.add_argument("--memory", action="store_true", help="keep traces in memory, until this ends")
    add("--keep-days", metavar="N", type=_positive, default=7.0, help="forget older traces (default: 7)")
    add("--keep-mb", metavar="N", type=_positive, default=1024.0, help="forget the oldest beyond this (default: 1024)")
    add(
        "--forward",
        metavar="TO",
        action="append",
        default=[],
        help="send everything on: xray, or HOST:PORT of another daemon; repeatable",
    )
    add("--rules", metavar="FILE", help="sampling rules to answer with (default: rules.json beside the store)")
    add(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a name that requests may be addressed to, beside this machine's own; repeatable",
    )
    add("--no-open", dest="open", action="store_false", help="open no browser")
    command.set_defaults(run=view.view)


def add_show(command: argparse.ArgumentParser) -> None:
    """Add what `demo` takes of `view`."""
    add = command.add_argument
    add("--view", action="store_true", help="show the trace in the browser too, and stay there until Ctrl-C")
    add("--port", metavar="PORT", type=_port, default=2000, help="with --view: the daemon's port (default: 2000)")
    add("--screen-port", metavar="PORT", type=_port, default=2001, help="with --view: the screen's (default: 2001)")
    add("--no-open", dest="open", action="store_false", help="with --view: open no browser")


def add_tail(commands: Commands) -> None:
    """Add `tail`."""
    command = _command(commands, "tail", "print each finished trace in the terminal", _TAIL)
    add = command.add_argument
    add("--json", action="store_true", help="print a line of JSON for each: trace_id, documents")
    add("--filter", metavar="EXPR", default="", help="only traces that this filter expression finds")
    _add_address(add, "where the viewer is, or where to listen (default: 127.0.0.1)")
    command.set_defaults(run=view.tail)


def add_traces(commands: Commands) -> None:
    """Add `traces` and the words that follow it."""
    command = _command(commands, "traces", "import, export or pull traces", _TRACES)

    def show_help(_: argparse.Namespace) -> int:
        command.print_help(sys.stderr)
        return NOT_SET_UP

    command.set_defaults(run=show_help)
    actions = command.add_subparsers(title="actions", metavar="ACTION")
    _add_import(actions)
    _add_export(actions)
    _add_pull(actions)


def _add_import(actions: Commands) -> None:
    text = "add the traces of files: as aws xray batch-get-traces prints them, or as export, invoke and tail --json do"
    command = actions.add_parser("import", help="add the traces of files", description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument("files", metavar="FILE", nargs="+", help="JSON; - is standard input")
    _add_store(command.add_argument)
    command.set_defaults(run=view.traces, act="import")


def _add_export(actions: Commands) -> None:
    text = "Write traces as aws xray batch-get-traces prints them."
    command = actions.add_parser("export", help="write traces as JSON", description=text)
    add = command.add_argument
    add("trace_ids", metavar="TRACE_ID", nargs="*", help="these traces (default: all that --filter finds)")
    add("--filter", metavar="EXPR", help="only traces that this filter expression finds")
    _add_times(add, "the beginning (default: 1970)", "0")
    add("--output", metavar="FILE", default="-", help="write here (default: -, standard output)")
    _add_store(add)
    command.set_defaults(run=view.traces, act="export")


def _add_pull(actions: Commands) -> None:
    text = "Fetch traces from AWS X-Ray, with the credentials that botocore finds."
    command = actions.add_parser("pull", help="fetch traces from AWS X-Ray", description=text)
    add = command.add_argument
    add("trace_ids", metavar="TRACE_ID", nargs="*", help="these traces")
    add("--filter", metavar="EXPR", help="traces that this filter expression finds")
    _add_times(add, "from when on (default: 1h, an hour ago)", "1h")
    add("--limit", metavar="N", type=_whole, default=100, help="at most so many (default: 100)")
    add("--region", metavar="NAME", help="the AWS region (default: as botocore finds it)")
    add("--profile", metavar="NAME", help="the AWS profile (default: as botocore finds it)")
    add("--endpoint-url", metavar="URL", help="another X-Ray than the region's own")
    _add_store(add)
    command.set_defaults(run=view.traces, act="pull")


def _command(
    commands: Commands, name: str, text: str, description: str, epilog: str | None = None
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=text,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_address(add: Add, text: str) -> None:
    add("--host", metavar="HOST", default="127.0.0.1", help=text)
    add("--port", metavar="PORT", type=_port, default=2000, help="the daemon's port, UDP and TCP (default: 2000)")


def _add_store(add: Add) -> None:
    add("--store", metavar="FILE", help="the store (default: that of the viewer that runs, or the one in your cache)")
    _add_address(add, "where to look for a viewer that runs (default: 127.0.0.1)")


def _add_times(add: Add, text: str, default: str) -> None:
    add("--since", metavar="TIME", default=default, help=f"{text}; 15m, 3h, 2d or 2026-01-31T12:00")
    add("--until", metavar="TIME", default="now", help="until when (default: now)")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number up to 65535, 0 for any that is free")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of traces, from 1 to 1000000")
    return int(text)
