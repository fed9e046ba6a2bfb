"""`xray-lambda demo`: the sample shop in the real runtime client, and its trace."""

from __future__ import annotations

import argparse
from pathlib import Path

from xray_lambda.cli import invoke
from xray_lambda.cli.console import Problem

PACKAGE = Path(__file__).parent.parent
SHOP = Path("examples") / "shop"


def run(arguments: argparse.Namespace) -> int:
    """Invoke the sample with its event; the first line says what is to be seen."""
    shop = _shop()
    if not arguments.json:
        print("A shop's order in the real Lambda runtime: priced, its items reserved at once, a card declined.")
        # The function's logs come through another pipe, and belong below this.
        print(f"The code: {shop / 'app.py'}\n", flush=True)
    return invoke.run(
        argparse.Namespace(
            handler="app.handler",
            event=str(shop / "event.json"),
            header=None,
            function_name="shop",
            timeout="30",
            tenant_id=None,
            env=[],
            directory=str(shop),
            json=arguments.json,
        )
    )


def _shop() -> Path:
    """Find the sample: inside the package where a wheel was installed, beside it in a checkout."""
    for above in (PACKAGE, PACKAGE.parent):
        if (above / SHOP / "app.py").is_file():
            return above / SHOP
    raise Problem(f"the sample {SHOP} is in neither {PACKAGE} nor {PACKAGE.parent}: install xray-lambda anew")
