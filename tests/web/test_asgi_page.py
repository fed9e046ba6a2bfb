"""docs/servers.md: what it shows of ASGI, aiohttp and Lambda runs as it stands there, and is traced as it says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.lambda_runtime.runtime import invoke
from tests.lambda_runtime.runtime_api import Invocation
from tests.web.asgi import get
from tests.web.test_mangum import request
from xray_lambda.testing import capture

pytestmark = pytest.mark.full
PAGE = Path(__file__).parent.parent.parent / "docs" / "servers.md"


def shown(heading: str) -> str:
    """Return the program that the page shows under a heading."""
    section = re.search(
        rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert section, f"the page has no {heading!r}"
    program = re.search(r"^```python\n(.*?)^```$", section[1], re.DOTALL | re.MULTILINE)
    assert program, f"{heading!r} shows no program"
    return program[1]


def app_of(heading: str) -> Any:
    names: dict[str, Any] = {"__name__": "app"}
    exec(compile(shown(heading), "app.py", "exec"), names)  # noqa: S102 - the page's own words
    return names["app"]


@pytest.mark.parametrize(
    ("heading", "route"),
    [("FastAPI and Starlette", "/items/{id}"), ("Quart", "/items/<int:id>")],
    ids=["fastapi", "quart"],
)
def test_a_framework_is_traced_as_shown(heading: str, route: str) -> None:
    with capture(header=None) as traces:
        assert get(app_of(heading), "/items/17").status == 200
    assert traces.one.names() == ("shop", [("price", [])])
    assert traces.one.annotations == {"route": route}
    assert traces.one["price"].annotations == {"item": 17}


def test_any_app_is_traced_as_shown() -> None:
    with capture(header=None) as traces:
        assert get(app_of("Any ASGI app")).body == b"hello"
    assert traces.one.names() == ("shop", [("greet", [])])


def test_aiohttp_is_traced_as_shown() -> None:
    async def main() -> int:
        runner = web.AppRunner(app_of("aiohttp's server"))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        async with ClientSession() as session, session.get(f"http://{host}:{port}/items/17") as answer:
            status = answer.status
        await runner.cleanup()
        return status

    with capture(header=None) as traces:
        assert asyncio.run(main()) == 200
    shop = traces.find("shop")
    assert shop.names() == ("shop", [("price", [])])
    assert shop.annotations == {"route": "/items/{id}"}


def test_lambda_is_traced_as_shown() -> None:
    outcome = invoke(
        shown("FastAPI in Lambda"), Invocation(event=request("/items/17")), env={"PYTHONWARNINGS": "ignore"}
    )
    assert outcome.bodies[0]["statusCode"] == 200
    (document,) = outcome.documents
    assert (document["name"], [child["name"] for child in document["subsegments"]]) == ("handler", ["shop"])
    assert document["subsegments"][0]["annotations"] == {"route": "/items/{id}"}
