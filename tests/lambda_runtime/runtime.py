"""Runs a handler as Lambda does: in the real runtime client, in its own process, behind the tests' Runtime API."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import xray_lambda
from tests.emitters.daemon import PATIENCE, Daemon, Document
from tests.lambda_runtime.runtime_api import Answer, Invocation, RuntimeAPI

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Outcome(NamedTuple):
    """What came of a process: an answer an invocation, and what it said."""

    answers: list[Answer]
    init_error: Any
    exit_code: int | None  # None: it went on waiting for work, until it was killed
    stdout: str
    stderr: str
    restored: int  # how often it asked whether it had been restored
    primed: list[Document]  # what it sent before the first invocation

    @property
    def bodies(self) -> list[Any]:
        """What each invocation returned; fails for one that did not."""
        assert all(answer.kind == "response" for answer in self.answers), self
        return [answer.body for answer in self.answers]

    @property
    def documents(self) -> list[Document]:
        """All documents, in the order of the invocations."""
        return [document for answer in self.answers for document in answer.documents]


RUNTIME_CLIENT = ("-m", "awslambdaric", "app.handler")


def invoke(
    source: str,
    *invocations: Invocation,
    env: Mapping[str, str] | None = None,
    workers: int = 1,
    primes: bool = False,
    command: Sequence[str] = RUNTIME_CLIENT,
    files: Mapping[str, str] = {},
) -> Outcome:
    """Run `source` as module `app` and its `handler` once for each of `invocations` (one that is sampled).

    `files` lie beside it.

    Every document must have arrived before its invocation posts a result: one that comes between two
    invocations fails here, and one before the first too unless the source `primes` the handler. A process that
    stays alive must have said nothing on standard error. With `workers`, each invocation has a trace of its own.
    """
    with Daemon() as daemon, tempfile.TemporaryDirectory() as directory:
        for name, text in {"app.py": source, **files}.items():
            file = Path(directory) / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(textwrap.dedent(text), encoding="utf-8")
        api = RuntimeAPI(invocations or [Invocation()], daemon, workers)
        with _served(api), _started(command, directory, environment(api, daemon, directory, env), api) as process:
            event = _next_happening(api, process, directory)
            _kill(process)
        api.process_ended()
        said = [(Path(directory) / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
    if api.faults:
        raise api.faults[0]
    exit_code = None if event == "done" else process.returncode
    assert not api.late, f"sent after its invocation had ended: {api.late}"
    assert primes or not api.primed, f"sent before the first invocation: {api.primed}"
    assert exit_code is not None or not said[1], said[1]
    return Outcome(api.answers, api.init_error, exit_code, said[0], said[1], api.restored, api.primed)


def environment(api: RuntimeAPI, daemon: Daemon, directory: str, env: Mapping[str, str] | None) -> dict[str, str]:
    """Return what Lambda sets, with our faults raised, and `env` over it; nothing of this machine's own."""
    return {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_NAME": "shop",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "AWS_REGION": "eu-west-1",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": daemon.address,
        "LAMBDA_TASK_ROOT": directory,
        # The runtime client forgets to close the connection of its `restore/next`.
        "PYTHONWARNINGS": "default,ignore::ResourceWarning:awslambdaric.lambda_runtime_client",
        "TZ": ":UTC",
        "XRAY_LAMBDA_STRICT": "1",
        **(env or {}),
    }


@contextmanager
def _served(api: RuntimeAPI) -> Iterator[None]:
    listener = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.01})
    listener.start()
    try:
        yield
    finally:
        api.closing.set()
        api.shutdown()
        api.server_close()
        listener.join()


@contextmanager
def _started(
    command: Sequence[str], directory: str, environ: dict[str, str], api: RuntimeAPI
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the runtime client; its end is told to `api.happened`."""
    command = [sys.executable, *command]
    with open(f"{directory}/stdout", "wb") as stdout, open(f"{directory}/stderr", "wb") as stderr:  # noqa: PTH123
        process = subprocess.Popen(
            command, cwd=directory, env=environ, stdout=stdout, stderr=stderr, start_new_session=True
        )
    watcher = threading.Thread(target=_watch, args=(process, api))
    watcher.start()
    try:
        yield process
    finally:
        _kill(process)
        watcher.join()


def _watch(process: subprocess.Popen[bytes], api: RuntimeAPI) -> None:
    process.wait()
    api.happened.put("exit")


def _next_happening(api: RuntimeAPI, process: subprocess.Popen[bytes], directory: str) -> str:
    """Return "done" or "exit"; fails, with what the process said, where neither comes."""
    try:
        return api.happened.get(timeout=PATIENCE)
    except Exception as error:
        _kill(process)
        said = (Path(directory) / "stderr").read_text(encoding="utf-8")
        raise AssertionError(f"the runtime client hangs; answers: {api.answers}; it said: {said}") from error


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill as Lambda kills: without a warning, and the workers with it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


_DOOR = "from xray_lambda import traced_handler\n"
_NO_DOOR = "traced_handler = lambda handler=None, **options: handler or (lambda handler: handler)\n"
_OURS = (
    rf"(?:{re.escape(str(Path(xray_lambda.__file__).parent))}|[^\"]*/python/xray_lambda)"  # in place, or in the layer
)
_OUR_FRAME = re.compile(rf' *File "{_OURS}/[^\r\n]*[\r\n]+[^\r\n]*[\r\n]*')
_DIRECTORY = re.compile(r"/[^\s\"]*/(?=app\.py)")


def undecorated(source: str) -> str:
    """Return `source` with a `traced_handler` that does nothing, on the same lines."""
    assert _DOOR in source
    return source.replace(_DOOR, _NO_DOOR)


def behaviour(outcome: Outcome) -> list[Any]:
    """Return all that Lambda sees of a process, less our frames in tracebacks, to compare with one without us."""
    said = [_without_us(outcome.stdout), _without_us(outcome.stderr)]
    answers = [[answer.kind, answer.content_type, _without_us(answer.body)] for answer in outcome.answers]
    return [answers, outcome.init_error, outcome.exit_code, *said]


def _without_us(value: Any) -> Any:
    if isinstance(value, str):
        text = _OUR_FRAME.sub("", value.replace("\u00a0", " "))
        return _DIRECTORY.sub("", re.sub(r"(?m)^ +[~^]+\n", "", text))
    if isinstance(value, list):
        return [text for text in map(_without_us, value) if text != ""]
    return {key: _without_us(one) for key, one in value.items()} if isinstance(value, dict) else value
