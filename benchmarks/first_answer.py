"""Measures how much later a function's first answer comes with the layer: whole processes, the real runtime client.

`./build.sh && .venv/bin/python benchmarks/first_answer.py dist/xray-lambda-layer.zip`. Processes with and without the
layer take turns; the time runs from the start of the process, wrapper included, to the answer at the Runtime API.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from xray_lambda.cli.runtime_api import Happening, Invocation, serve

FUNCTION = "import boto3\n\ndef handler(event, context):\n    return event\n"
# What Lambda's entry script does, as far as it counts here.
BOOTSTRAP = """
import os, sys
sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"], *filter(None, [os.environ.get("BENCH_LAYER")])]
import awslambdaric.__main__ as client
client.main([os.environ["LAMBDA_TASK_ROOT"], os.environ["_HANDLER"]])
"""


HEADERS = {
    "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:shop",
    "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
}


class Taken(NamedTuple):
    """What a process took until its first answer: on the clock, and of CPU time in all, in milliseconds."""

    wall: float
    cpu: float


def main() -> None:
    """Print what the layer adds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layer", type=Path, help="the built zip")
    parser.add_argument("--rounds", type=int, default=40, help="processes of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        opt, task = Path(scratch) / "opt", Path(scratch) / "task"
        with zipfile.ZipFile(options.layer) as archive:
            archive.extractall(opt)
        (opt / "xray-lambda").chmod(0o755)
        task.mkdir()
        (task / "app.py").write_text(FUNCTION)
        pairs = [(first_answer(task, None), first_answer(task, opt)) for _ in range(options.rounds)]
    for name in Taken._fields:
        bare, traced = ([getattr(one, name) for one in side] for side in zip(*pairs, strict=True))
        added = [with_layer - without for without, with_layer in zip(bare, traced, strict=True)]
        print(
            f"{name}: bare {median(bare):.1f} ms, with the layer {median(traced):.1f} ms; added: "
            f"{median(added):.1f} ms as the median of pairs, {min(traced) - min(bare):.1f} ms between the least of each"
        )


def first_answer(task: Path, opt: Path | None) -> Taken:
    """Start a function, wait for its first answer, and end it."""
    answers: queue.Queue[Happening] = queue.Queue()
    with serve(Invocation(b"{}", HEADERS, 30), answers.put) as api:
        environ = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_FUNCTION_NAME": "shop",
            "AWS_LAMBDA_RUNTIME_API": api,
            "LAMBDA_TASK_ROOT": str(task),
            "_HANDLER": "app.handler",
            **({} if opt is None else {"BENCH_LAYER": str(opt / "python")}),
        }
        wrapper = [] if opt is None else [str(opt / "xray-lambda")]
        began = time.time()
        process = subprocess.Popen([*wrapper, sys.executable, "-c", BOOTSTRAP], env=environ, cwd=task)
        while (answer := answers.get(timeout=30)).kind == "next":
            continue
        os.kill(process.pid, signal.SIGKILL)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = -signal.SIGKILL
    assert answer.kind == "response", answer
    return Taken(1000 * (answer.at - began), 1000 * (usage.ru_utime + usage.ru_stime))


if __name__ == "__main__":
    main()
