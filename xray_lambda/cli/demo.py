"""`xray-lambda demo`: the sample shop in the real runtime client, with AWS and a bank around it, and its trace."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from xray_lambda.cli import invoke, outcome, showing, view
from xray_lambda.cli.console import Problem
from xray_lambda.cli.process import require_runtime_client
from xray_lambda.cli.request import request_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.cli.receiver import Document

PACKAGE = Path(__file__).parent.parent
SHOP = Path("examples") / "shop"


def run(arguments: argparse.Namespace) -> int:
    """Invoke the sample with its event; the first line says what is to be seen."""
    shop = _shop()
    _require_packages()
    if arguments.view:
        view.require_viewer()
    if not arguments.json:
        print("A shop's order in the real Lambda runtime: priced from DynamoDB, its items reserved at once in a SQL")
        print("database, declined by a bank, filed in S3, announced on SQS. AWS is moto, on this machine.")
        # The function's logs come through another pipe, and belong below this.
        print(f"The code: {shop / 'app.py'}\n", flush=True)
    if not arguments.view:
        return _invoke(shop, arguments)[0]
    with showing.viewer(arguments) as shown:
        code, documents = _invoke(shop, arguments)
        showing.send(shown, documents)
        showing.stay(shown, documents[0].get("trace_id"), opened=arguments.open)
    return code


def _invoke(shop: Path, arguments: argparse.Namespace) -> tuple[int, list[Document]]:
    """Invoke the sample and print what came of it; returns the exit code and what X-Ray would have of it."""
    with surroundings(shop) as environment:
        request = request_from(
            argparse.Namespace(
                handler="app.handler",
                event=str(shop / "event.json"),
                header=None,
                function_name="shop",
                timeout="30",
                tenant_id=None,
                env=[f"{name}={value}" for name, value in environment.items()],
                directory=str(shop),
            )
        )
        came = outcome.invoke(request)
    code = invoke.report(request, came, as_json=arguments.json)
    return code, [{**invoke.lambda_segment(request, came), "origin": "AWS::Lambda::Function"}, *came.documents]


@contextmanager
def surroundings(shop: Path) -> Iterator[dict[str, str]]:
    """Run what the shop needs around it in a process of its own; yields the environment that leads there."""
    command = [sys.executable, str(shop / "surroundings.py")]
    with (
        TemporaryFile() as said,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        assert process.stdout is not None  # noqa: S101  (a pipe was asked for: this tells mypy)
        line = process.stdout.readline()
        if not line:
            said.seek(0)
            raise Problem(f"what the sample needs around it did not start:\n{said.read().decode()[-2000:].strip()}")
        yield json.loads(line)  # leaving the block closes the process's standard input, which ends it


def _require_packages() -> None:
    require_runtime_client()
    missing = [name for name in ("boto3", "moto", "requests") if importlib.util.find_spec(name) is None]
    if missing:
        raise Problem(f"the sample needs {', '.join(missing)}: run  pip install 'xray-lambda[demo]'")


def _shop() -> Path:
    """Find the sample: inside the package where a wheel was installed, beside it in a checkout."""
    for above in (PACKAGE, PACKAGE.parent):
        if (above / SHOP / "app.py").is_file():
            return above / SHOP
    raise Problem(f"the sample {SHOP} is in neither {PACKAGE} nor {PACKAGE.parent}: install xray-lambda anew")
