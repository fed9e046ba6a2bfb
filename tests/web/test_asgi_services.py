"""Three services as processes that call each other: whatever frameworks they are made with, the trace is one tree."""

from __future__ import annotations

import http.client
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.process import HOST
from tests.web.processes import Collector, serving
from xray_lambda._emitters.memory import MemoryEmitter
from xray_lambda.testing import ROOT, Traces

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emitters.daemon import Daemon

pytestmark = pytest.mark.full

SHOP = """
    import asyncio, httpx
    from fastapi import FastAPI
    from xray_lambda.web.asgi import XRayMiddleware

    patch_all()
    app = FastAPI()
    app.add_middleware(XRayMiddleware, service="shop")

    @app.get("/baskets/{{basket}}")
    async def basket(basket: str):
        async with httpx.AsyncClient() as client:
            answers = await asyncio.gather(*(client.get(f"{stock}/items/{{item}}") for item in (1, 2)))
        return [answer.json() for answer in answers]
"""

STOCK = """
    import httpx
    from fastapi import FastAPI
    from xray_lambda.web.asgi import XRayMiddleware

    patch_all()
    app = FastAPI()
    app.add_middleware(XRayMiddleware, service="stock")

    @app.get("/items/{{item}}")
    def item(item: int):
        with subsegment("look up"):
            return {{"item": item, "price": httpx.get(f"{prices}/prices/{{item}}").text}}
"""

PRICES = """
    from wsgiref.simple_server import make_server
    from xray_lambda.web.wsgi import XRayMiddleware

    def app(environ, start_response):
        with subsegment("reckon"):
            start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].rpartition("/")[2].encode()]

    if __name__ == "__main__":
        import sys
        make_server("127.0.0.1", int(sys.argv[1]), XRayMiddleware(app, service="prices")).serve_forever()
"""


def test_a_trace_over_three_services_is_one_tree(tmp_path: Path, daemon: Daemon) -> None:
    with Collector(daemon) as collector, ExitStack() as services:
        folders = {name: tmp_path / name for name in ("prices", "stock", "shop")}
        for folder in folders.values():
            folder.mkdir()
        prices = services.enter_context(serving(folders["prices"], daemon, PRICES, ["app", "{port}"]))
        source = STOCK.format(prices=f"http://{HOST}:{prices}")
        stock = services.enter_context(serving(folders["stock"], daemon, source))
        source = SHOP.format(stock=f"http://{HOST}:{stock}")
        shop = services.enter_context(serving(folders["shop"], daemon, source))
        connection = http.client.HTTPConnection(HOST, shop)
        connection.request("GET", "/baskets/7", headers={"X-Amzn-Trace-Id": f"Root={ROOT}"})
        body = connection.getresponse().read()
        connection.close()
        emitter = MemoryEmitter()
        emitter.documents += map(json.dumps, collector.wait_for(5))
    traces = Traces(emitter)
    assert body == b'[{"item":1,"price":"1"},{"item":2,"price":"2"}]'
    to_stock, to_prices = f"{HOST}:{stock}", f"{HOST}:{prices}"
    item: Any = (to_stock, [("stock", [("look up", [(to_prices, [("prices", [("reckon", [])])])])])])
    assert traces.one.names() == ("shop", [item, item])
    assert {document["trace_id"] for document in traces.documents} == {ROOT}
    assert {node.annotations.get("route") for node in traces.one.walk() if node.name in ("shop", "stock")} == {
        "/baskets/{basket}", "/items/{item}"
    }  # fmt: skip
