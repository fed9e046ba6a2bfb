"""Programs that send straight to a server of the test's, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tests.servers.aws import Service

PATIENCE = 60
_ROOT = Path(__file__).parent.parent.parent

_START = """
import os, signal, sys, time
from xray_lambda import configure, flush, segment

def send(*names):
    for name in names:
        with segment(name):
            pass

def ready():
    print("ready", flush=True)
"""


class Done:
    """How a program ended."""

    def __init__(self, code: int, printed: str, said: str) -> None:
        self.code = code
        self.printed = printed
        self.said = said


def started(program: str, url: str, **environ: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Run a program; it is killed at the end of the block where it still runs."""
    return running(["-c", _START + program], url, **environ)


@contextmanager
def running(arguments: list[str], url: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python with these arguments, as `started` does."""
    settings = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(_ROOT),
        "PYTHONWARNINGS": "ignore::DeprecationWarning",  # of forks with threads, from 3.12 on
        "XRAY_LAMBDA_EMITTER": "direct",
        "XRAY_LAMBDA_HOST": "none",
        "XRAY_LAMBDA_SAMPLING": "all",
        "XRAY_LAMBDA_STRICT": "1",
        "XRAY_LAMBDA_EXIT_SECONDS": str(PATIENCE - 10),  # a busy machine imports botocore in two
        "AWS_ENDPOINT_URL_XRAY": url,
        "AWS_ACCESS_KEY_ID": "AKIAMADEUPKEYID0001",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": "/nonexistent",
        **environ,
    }
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    """Wait for a line of a program that says so."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", (line, process.communicate()[1])


def ended(process: subprocess.Popen[str]) -> Done:
    """Wait for the end of a program."""
    printed, said = process.communicate(timeout=PATIENCE)
    return Done(process.returncode, printed, said)


def run(program: str, url: str, **environ: str) -> Done:
    """Run a program to its end."""
    with started(program, url, **environ) as process:
        return ended(process)


def terminated(program: str, url: str) -> Done:
    """Run a program until it says that it is ready, and end it by SIGTERM."""
    with started(program, url) as process:
        wait_until_ready(process)
        process.send_signal(signal.SIGTERM)
        return ended(process)


def names(x_ray: Service) -> list[str]:
    """Return the names of the documents that have arrived, in their order."""
    from tests.schema import checked

    batches = [request.json["TraceSegmentDocuments"] for request in x_ray.received]
    return [checked(document)["name"] for batch in batches for document in batch]
