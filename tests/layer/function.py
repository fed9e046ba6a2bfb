"""Runs a function as Lambda would, with the layer or without it, and says what there is to be seen of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lambda_runtime.runtime import Outcome, behaviour, invoke

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.lambda_runtime.runtime_api import Invocation

LAUNCH = Path(__file__).with_name("launch.py")
WRAPPED = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/xray-lambda"}


def run(
    layer: Path,
    source: str,
    *invocations: Invocation,
    handler: str = "app.handler",
    env: Mapping[str, str] = {},
    files: Mapping[str, str] = {},
    workers: int = 1,
) -> Outcome:
    """Run a function below this layer; `env` has WRAPPED in it where the layer is to do its work."""
    command = (str(LAUNCH), str(layer))
    environ = {"_HANDLER": handler, "XRAY_LAMBDA_STRICT": "", **env}
    return invoke(source, *invocations, command=command, env=environ, files=files, workers=workers)


def seen(outcome: Outcome) -> list[Any]:
    """Return all that a user sees of a function, as alike with the layer as it has to be without.

    Of an error at import, the frames of the function's own files: what stands between them and the runtime differs.
    """
    answers, init_error, exit_code, stdout, stderr = _alike(behaviour(outcome))
    if init_error is not None:
        own = [frame for frame in init_error["stackTrace"] if "/var/task/" in frame or "/app.py" in frame]
        init_error = {**init_error, "stackTrace": own}
        stdout = _without_runtime_frames(stdout)
    return [answers, init_error, exit_code, stdout, stderr]


def _alike(value: Any) -> Any:
    """Take out what differs from run to run: times and addresses."""
    if isinstance(value, str):
        return re.sub(r"0x[0-9a-f]{6,}|\d{4}-\d\d-\d\dT[\d:.]+Z", "-", value)
    if isinstance(value, list):
        return [_alike(one) for one in value]
    return {key: _alike(one) for key, one in value.items()} if isinstance(value, dict) else value


def _without_runtime_frames(text: str) -> str:
    runtime = r'(?:<frozen [^"]*>|[^"]*/importlib/__init__\.py|[^"]*/awslambdaric/[^"]*|[^"]*/layer/bootstrap\.py)'
    return re.sub(rf' *File "{runtime}"[^\n]*\n(?: {{4,}}[^\n]*\n)*', "", text)
