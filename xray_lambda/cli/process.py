"""The function's own process: the real runtime client, with the environment that Lambda sets."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING

from xray_lambda.cli.console import Problem
from xray_lambda.cli.runtime_api import Happening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from xray_lambda.cli.request import Request

MEMORY_MEGABYTES = "128"
ACCOUNT = "123456789012"

# Set in a shell, these would make the runtime client behave as in another kind of Lambda, or not start.
_NOT_INHERITED = (
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "PYTHONSAFEPATH",
    "_LAMBDA_TELEMETRY_LOG_FD",
    "_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET",
    "_X_AMZN_TRACE_ID",
)

# The runtime client blames updates of managed runtimes for an error at import; there are none here.
_MISLEADING = b"LAMBDA_WARNING: Unhandled exception. The most likely cause is"
_LONGEST_WAIT_FOR_LOGS = 1.0


def region(environ: Mapping[str, str]) -> str:
    """Return the region that the function believes to run in."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"


@contextlib.contextmanager
def run_function(
    request: Request, runtime_api: str, daemon_port: int, tell: Callable[[Happening], None]
) -> Iterator[None]:
    """Run the function for the length of a `with` block; `tell` hears of its exit, our stderr of its logs."""
    process = _start(request, lambda_environment(request, runtime_api, daemon_port))
    threads = (
        threading.Thread(target=_copy_logs, args=(process.stdout,), daemon=True),
        threading.Thread(target=_await_exit, args=(process, tell), daemon=True),
    )
    try:
        for thread in threads:
            thread.start()
        yield
    finally:
        _end(process)
        for thread in threads:
            thread.join(_LONGEST_WAIT_FOR_LOGS)


def require_runtime_client() -> None:
    """Raise a Problem where the runtime client is not installed."""
    if importlib.util.find_spec("awslambdaric") is None:
        raise Problem(
            "the Lambda runtime client (awslambdaric) is not installed: run  pip install 'xray-lambda[local]'"
        )


def _start(request: Request, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    require_runtime_client()
    return subprocess.Popen(
        [sys.executable, "-m", "awslambdaric", request.handler],
        cwd=request.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that what the function starts can be ended with it
    )


def lambda_environment(request: Request, runtime_api: str, daemon_port: int) -> dict[str, str]:
    """Return the environment that Lambda would set, over the caller's own; `--env` wins over both."""
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    where = region({**inherited, **request.environment})
    return {
        **inherited,
        "AWS_DEFAULT_REGION": where,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": MEMORY_MEGABYTES,
        "AWS_LAMBDA_FUNCTION_NAME": request.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{request.function_name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{datetime.now(timezone.utc):%Y/%m/%d}/[$LATEST]{request.request_id}",
        "AWS_REGION": where,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon_port}",
        "LAMBDA_TASK_ROOT": str(request.directory),
        "TZ": ":UTC",
        **request.environment,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "_HANDLER": request.handler,
    }


def _copy_logs(stream: IO[bytes]) -> None:
    """Copy the function's output to our standard error, line by line as it comes."""
    with stream:
        for line in stream:
            if _MISLEADING not in line:
                sys.stderr.write(_readable(line.decode(errors="replace")))
                sys.stderr.flush()


def _readable(line: str) -> str:
    """Undo what the runtime client does to an error for CloudWatch: carriage returns and hard spaces."""
    text = line.rstrip("\r\n")
    if "\r" in text:
        text = text.replace("\r", "\n").replace("\xa0", " ")
    return text + "\n"


def _await_exit(process: subprocess.Popen[bytes], tell: Callable[[Happening], None]) -> None:
    code = process.wait()
    tell(Happening("exit", time.time(), exit_code=code))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill as Lambda kills: without a warning, and all that the function started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
