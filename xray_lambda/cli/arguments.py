"""The words that the command line takes, and what `--help` says of each."""

from __future__ import annotations

import argparse

from xray_lambda._version import VERSION
from xray_lambda.cli import demo, doctor, invoke, view_arguments

_EXAMPLES = """\
examples:
  xray-lambda demo                                      a sample function and its trace
  xray-lambda invoke app.handler --event event.json     your own handler and its trace
  xray-lambda view                                      traces of any program, in the browser
  xray-lambda tail --filter fault                       the same in the terminal
  xray-lambda doctor                                    why does no trace arrive?
"""
_INVOKE = """\
Run a handler in the real Lambda runtime client, in a process of its own, and show its result and its trace.
Result and trace go to standard output; what the function prints and logs goes to standard error."""
_INVOKE_EXAMPLES = """\
examples:
  xray-lambda invoke app.handler --event event.json
  echo '{"id": 7}' | xray-lambda invoke app.handler --event - --json
  xray-lambda invoke orders.handler --directory services/shop --env TABLE=orders --timeout 3
  xray-lambda invoke app.handler --header "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0"

exit code: 0 a result, 1 the function failed, 2 it could not be run, 124 it timed out
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; what it parses has the command to `run`, or None."""
    top = argparse.ArgumentParser(
        prog="xray-lambda",
        description="See on your own screen what AWS X-Ray would see of a Lambda function.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"xray-lambda {VERSION}")
    top.set_defaults(run=None)
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    _add_invoke(commands)
    _add_demo(commands)
    view_arguments.add_view(commands)
    view_arguments.add_tail(commands)
    view_arguments.add_traces(commands)
    _add_doctor(commands)
    return top


def _add_invoke(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "invoke",
        help="run a handler in the real Lambda runtime client and show its trace",
        description=_INVOKE,
        epilog=_INVOKE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("handler", metavar="MODULE.FUNCTION", help="the handler, such as app.handler for `handler` in app.py")
    add("--event", metavar="FILE", help="a JSON file with the event, - for standard input (default: {})")
    add(
        "--header",
        metavar="TEXT",
        help="the trace header, passed on as it is (default: a new, sampled trace)",
    )
    add("--function-name", metavar="NAME", help="the function's name (default: the module's)")
    add("--timeout", metavar="SECONDS", default="30", help="for importing and for running, each (default: 30)")
    add("--tenant-id", metavar="ID", help="the tenant that the context names (default: none)")
    add("--env", metavar="NAME=VALUE", action="append", default=[], help="an environment variable; repeatable")
    add("--directory", metavar="DIR", default=".", help="where the handler's module lies (default: here)")
    add("--json", action="store_true", help="print one JSON object: result, error, trace_id, documents")
    command.set_defaults(run=invoke.run)


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "run a sample function that prices, reserves and pays an order, and show its trace"
    command = commands.add_parser("demo", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument("--json", action="store_true", help="print one JSON object, as invoke does")
    view_arguments.add_show(command)
    command.set_defaults(run=demo.run)


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "say what tracing would find here: Lambda, daemon, settings, libraries"
    command = commands.add_parser("doctor", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=doctor.run)
