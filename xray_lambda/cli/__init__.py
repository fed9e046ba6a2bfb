"""The `xray-lambda` command: invoke a handler, see a demo, view traces, ask the doctor."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from xray_lambda.cli.arguments import parser
from xray_lambda.cli.console import Problem, console_for, never_fail_to_encode, printable
from xray_lambda.cli.interrupts import Interrupted
from xray_lambda.cli.outcome import NOT_SET_UP

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, `sys.argv` by default, and return the exit code."""
    never_fail_to_encode(sys.stdout)
    never_fail_to_encode(sys.stderr)
    words = parser()
    arguments = words.parse_args(argv)
    if arguments.run is None:
        words.print_help(sys.stderr)
        return NOT_SET_UP
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    """Run a command; what a person can put right ends in one line, not in a traceback."""
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except Problem as problem:
        console = console_for(sys.stderr, os.environ)
        print(f"{console.paint('xray-lambda:', 'red', 'bold')} {printable(problem)}", file=sys.stderr)
        return NOT_SET_UP
    except Interrupted as interrupted:
        return interrupted.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter would complain at its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return code
