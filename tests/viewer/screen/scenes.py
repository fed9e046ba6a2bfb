"""Traces of a shop, as they come from Lambda functions and web services: what the screen is tried with and shown by."""

from __future__ import annotations

import json
import random
import socket
from typing import Any

HEADER = b'{"format":"json","version":1}\n'
Document = dict[str, Any]

MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


class Scene:
    """Makes documents around one moment; the same seed makes the same ones."""

    def __init__(self, now: float, seed: int = 7) -> None:
        self.now = now
        self._random = random.Random(seed)

    def hex(self, digits: int = 16) -> str:
        """An id."""
        return f"{self._random.getrandbits(digits * 4):0{digits}x}"

    def trace_id(self, at: float) -> str:
        """A trace id of that time."""
        return f"1-{int(at):08x}-{self.hex(24)}"

    def near(self, seconds: float, spread: float = 0.35) -> float:
        """A duration as they are met: most near the middle, some far above."""
        return float(seconds * self._random.lognormvariate(0, spread))

    def chance(self, share: float) -> bool:
        """True for this share of the calls."""
        return self._random.random() < share

    def choice(self, *values: Any) -> Any:
        """One of these."""
        return self._random.choice(values)

    def part(self, name: str, start: float, took: float | None, **more: Any) -> Document:
        """A segment or subsegment; without a duration it is in progress."""
        end = {"in_progress": True} if took is None else {"end_time": start + took}
        return {"id": self.hex(), "name": name, "start_time": start, **end, **more}

    def segment(self, name: str, start: float, took: float | None, trace_id: str, **more: Any) -> Document:
        """A segment of its own."""
        return {"trace_id": trace_id, **self.part(name, start, took, **more)}


def aws(operation: str, **more: Any) -> Document:
    """What an AWS call says of itself."""
    block = {"operation": operation, "region": "eu-central-1", "request_id": "J8QH2T0V5S3M9K1R", **more}
    return {"namespace": "aws", "aws": block, "http": {"response": {"status": 200}}}


def sql(query: str) -> Document:
    """What a database call says of itself."""
    return {
        "namespace": "remote",
        "sql": {
            "sanitized_query": query,
            "database_type": "PostgreSQL",
            "database_version": "16.2",
            "driver_version": "psycopg 3.2",
            "url": "postgresql://orders.db.internal:5432/shop",
            "user": "shop",
        },
    }


def web(method: str, url: str, status: int, **request: Any) -> Document:
    """The http block of a request, and the flags that follow from its status."""
    flags = {"fault": True} if status >= 500 else {"error": True} if status >= 400 else {}
    if status == 429:
        flags["throttle"] = True
    http = {"request": {"method": method, "url": url, **request}, "response": {"status": status}}
    return {"http": http, **flags}


CARD_DECLINED = {
    "working_directory": "/var/task",
    "exceptions": [
        {
            "id": "a1b2c3d4e5f60718",
            "type": "shop.errors.PaymentFailed",
            "message": "the bank did not take the card of order 1742",
            "cause": "b1b2c3d4e5f60718",
            "stack": [
                {"path": "/var/task/shop/checkout.py", "line": 88, "label": "charge"},
                {"path": "/var/task/shop/checkout.py", "line": 41, "label": "checkout"},
                {"path": "/var/task/app.py", "line": 17, "label": "handler"},
                {"path": "/opt/python/xray_lambda/lambda_runtime/handler.py", "line": 63, "label": "traced"},
            ],
        },
        {
            "id": "b1b2c3d4e5f60718",
            "type": "httpx.ReadTimeout",
            "message": "The read operation timed out",
            "remote": True,
            "cause": "c1b2c3d4e5f60718",
            "truncated": 11,
            "stack": [
                {"path": "/var/task/shop/bank.py", "line": 29, "label": "authorize"},
                {"path": "/var/lang/lib/python3.13/site-packages/httpx/_client.py", "line": 825, "label": "request"},
                {"path": "/var/lang/lib/python3.13/site-packages/httpx/_client.py", "line": 914, "label": "send"},
                {
                    "path": "/var/lang/lib/python3.13/site-packages/httpx/_transports/default.py",
                    "line": 250,
                    "label": "handle_request",
                },
            ],
        },
        {
            "id": "c1b2c3d4e5f60718",
            "type": "TimeoutError",
            "message": "timed out after 2.0 s",
            "stack": [{"path": "/var/lang/lib/python3.13/ssl.py", "line": 1252, "label": "recv"}],
        },
    ],
}


def checkout(scene: Scene, at: float, *, cold: bool = False, fails: bool = False) -> list[Document]:
    """A Lambda function that takes an order: DynamoDB, a bank over HTTP, SQL, a queue."""
    trace_id = scene.trace_id(at)
    order = scene._random.randrange(1700, 1800)
    load, pay, save = scene.near(0.018), scene.near(0.085) if not fails else 2.003, scene.near(0.012)
    work = at + (scene.near(0.42, 0.15) if cold else scene.near(0.002))
    parts = [
        scene.part("validate", work, scene.near(0.003), metadata={"default": {"items": 3, "currency": "EUR"}}),
        scene.part("DynamoDB", work + 0.006, load, **aws("GetItem", table_name="baskets", retries=int(fails))),
    ]
    start = work + 0.009 + load
    bank = scene.part(
        "api.bank.example",
        start + 0.002,
        pay,
        namespace="remote",
        **web("POST", "https://api.bank.example/v2/charges", 201, traced=True),
    )
    if fails:
        bank = scene.part(
            "api.bank.example",
            start + 0.002,
            pay,
            namespace="remote",
            fault=True,
            http={"request": {"method": "POST", "url": "https://api.bank.example/v2/charges"}},
            cause={"exceptions": CARD_DECLINED["exceptions"][1:]},
        )
    charge = scene.part("charge", start, pay + 0.006, subsegments=[bank], annotations={"order": str(order)})
    end = start + pay + 0.008
    if fails:
        charge.update(fault=True, cause="b1b2c3d4e5f60718")
        parts.append(charge)
    else:
        parts += [
            charge,
            scene.part(
                "shop@orders.db.internal",
                end,
                save,
                **sql("INSERT INTO orders (id, customer, total, placed) VALUES (?, ?, ?, now()) RETURNING id"),
            ),
        ]
        parts.append(
            scene.part(
                "SQS",
                end + save * 0.4,
                scene.near(0.009),
                **aws("SendMessage", queue_url="https://sqs.eu-central-1.amazonaws.com/123456789012/orders"),
            )
        )
        end += save + 0.004
    handler = scene.part(
        "handler",
        at,
        end + 0.004 - at,
        subsegments=parts,
        annotations={
            "ColdStart": cold,
            "Service": "checkout",
            "order": str(order),
            "tenant": scene.choice("acme", "umbrella", "initech"),
        },
        metadata={
            "default": {
                "basket": {
                    "items": [
                        {"sku": "A-1004", "count": 2, "price": 19.9},
                        {"sku": "B-0007", "count": 1, "price": 4.5},
                    ],
                    "voucher": None,
                    "gift": False,
                }
            },
            "feature_flags": {"new_tax": True, "express": False},
        },
        **web("POST", "https://shop.example/checkout", 502 if fails else 201),
    )
    if fails:
        handler["cause"] = CARD_DECLINED
    segment = scene.segment(
        "checkout",
        at - 0.001,
        end + 0.006 - at,
        trace_id,
        origin="AWS::Lambda::Function",
        aws={
            "function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:checkout",
            "account_id": "123456789012",
        },
        subsegments=[handler],
        **web("POST", "https://shop.example/checkout", 502 if fails else 201, client_ip="203.0.113.9"),
    )
    return [segment]


def page(scene: Scene, at: float, status: int = 200) -> list[Document]:
    """A request through three services: the shop asks the catalog, and the catalog the prices and its database."""
    trace_id = scene.trace_id(at)
    path = scene.choice("/products/A-1004", "/products/B-0007", "/search", "/basket", "/orders/1742")
    prices, query = scene.near(0.022), scene.near(0.014)
    catalog_took = prices + query + scene.near(0.011)
    call = scene.part(
        "catalog.internal",
        at + 0.004,
        catalog_took + 0.004,
        namespace="remote",
        **web("GET", f"http://catalog.internal{path}", status if status < 500 else 200),
    )
    cache = scene.part(
        "Redis@cache.internal",
        at + 0.001,
        scene.near(0.0007),
        namespace="remote",
        metadata={"redis": {"command": "GET", "hit": False}},
    )
    render = scene.part("render", at + catalog_took + 0.010, scene.near(0.006))
    total = render["end_time"] - at + 0.001
    shop = scene.segment(
        "shop",
        at,
        total,
        trace_id,
        origin="AWS::ECS::Container",
        service={"version": "2026.11.3", "runtime": "CPython", "runtime_version": "3.13.1"},
        subsegments=[cache, call, render],
        user=scene.choice("ada", "grace", "edsger"),
        annotations={"customer": scene.choice("gold", "silver", "none"), "items": scene._random.randrange(1, 40)},
        **web(
            "GET",
            f"https://shop.example{path}",
            status,
            client_ip="203.0.113.42",
            user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0",
        ),
    )
    price_call = scene.part(
        "prices.internal",
        at + 0.009,
        prices + 0.002,
        namespace="remote",
        **web("GET", "http://prices.internal/v1/price", 200),
    )
    catalog = scene.segment(
        "catalog",
        at + 0.006,
        catalog_took,
        trace_id,
        parent_id=call["id"],
        origin="AWS::ECS::Container",
        subsegments=[
            price_call,
            scene.part(
                "shop@orders.db.internal",
                at + 0.012 + prices,
                query,
                **sql(
                    "SELECT p.id, p.name, p.stock FROM products p JOIN shelves s ON s.product = p.id WHERE p.sku = ?"
                ),
            ),
        ],
        **web("GET", f"http://catalog.internal{path}", status if status < 500 else 200),
    )
    priced = scene.segment(
        "prices",
        at + 0.010,
        prices,
        trace_id,
        parent_id=price_call["id"],
        origin="AWS::EC2::Instance",
        **web("GET", "http://prices.internal/v1/price", 200),
    )
    if status >= 500:
        render.update(
            fault=True,
            cause={
                "exceptions": [
                    {
                        "id": scene.hex(),
                        "type": "jinja2.exceptions.UndefinedError",
                        "message": "'product' is undefined",
                        "stack": [{"path": "shop/templates/product.html", "line": 12, "label": "block 'price'"}],
                    }
                ]
            },
        )
    return [priced, catalog, shop]


def retried(scene: Scene, at: float) -> list[Document]:
    """A worker whose first two tries are throttled."""
    trace_id = scene.trace_id(at)
    tries, start = [], at + 0.004
    for number in range(3):
        took = scene.near(0.03, 0.1)
        flags = {"throttle": True, "error": True} if number < 2 else {}
        status = 429 if number < 2 else 200
        http = {
            "request": {"method": "PUT", "url": "https://stock.partner.example/v1/stock"},
            "response": {"status": status},
        }
        tries.append(scene.part("stock.partner.example", start, took, namespace="remote", http=http, **flags))
        start += took + 0.1 * 2**number
    return [scene.segment("stock-worker", at, start - at, trace_id, subsegments=tries, annotations={"attempts": 3})]


def nightly(scene: Scene, at: float, rows: int = 5_000) -> list[Document]:
    """A job with as many subsegments, in batches, sent on their own as a streaming parent does."""
    trace_id = scene.trace_id(at)
    segment = scene.segment(
        "nightly", at, rows * 0.004 + 1, trace_id, origin="AWS::ECS::Fargate", annotations={"rows": rows}
    )
    documents = [segment]
    size = 50
    for number in range(rows // size):
        start = at + 0.5 + number * size * 0.004
        items = [
            scene.part(
                f"row {number * size + item}",
                start + item * 0.004,
                0.0031,
                **({"error": True} if number == 77 and item == 7 else {}),
            )
            for item in range(size - 1)
        ]
        batch = scene.part(f"batch {number}", start, size * 0.004, subsegments=items)
        documents.append({**batch, "trace_id": trace_id, "parent_id": segment["id"], "type": "subsegment"})
    return documents


def unfinished(scene: Scene, at: float) -> list[Document]:
    """A function that is still at work, early documents sent, the segment itself elsewhere; something was cut."""
    trace_id, parent = scene.trace_id(at), scene.hex()
    handler = {
        **scene.part("handler", at, None, annotations={"ColdStart": True, "Service": "report"}),
        "trace_id": trace_id,
        "parent_id": parent,
        "type": "subsegment",
    }
    done = {
        **scene.part("S3", at + 0.03, 0.21, **aws("GetObject", bucket_name="reports", key="2026/11/summary.csv")),
        "trace_id": trace_id,
        "parent_id": handler["id"],
        "type": "subsegment",
        "metadata": {"xray_lambda": {"truncated": True}, "default": {"rows": 120_000}},
    }
    return [handler, done]


def hostile(scene: Scene, at: float) -> list[Document]:
    """Markup wherever a program can put a text."""
    trace_id = scene.trace_id(at)
    inner = scene.part(
        MARKUP,
        at + 0.001,
        0.01,
        namespace="remote",
        http={"request": {"method": MARKUP[:20], "url": f"javascript:alert(1)//{MARKUP}"}, "response": {"status": 200}},
        sql={"sanitized_query": f"SELECT '{MARKUP}'", "database_type": MARKUP},
        metadata={MARKUP: {MARKUP: MARKUP, "__proto__": {"polluted": MARKUP}, "toString": 1}},
        cause={
            "exceptions": [
                {
                    "id": scene.hex(),
                    "type": MARKUP,
                    "message": MARKUP,
                    "stack": [{"path": MARKUP, "line": 1, "label": MARKUP}],
                }
            ]
        },
        fault=True,
    )
    return [
        scene.segment(
            "markup",
            at,
            0.02,
            trace_id,
            subsegments=[inner],
            annotations={"note": MARKUP},
            user=MARKUP,
            http={"request": {"method": "GET", "url": f"http://x/{MARKUP}"}, "response": {"status": 200}},
        )
    ]


def afternoon(scene: Scene, count: int = 240) -> list[Document]:
    """A mix of all that goes on in the shop, over the last minutes; the last ones are the newest."""
    documents: list[Document] = []
    for number in range(count):
        at = scene.now - (count - number) * 2.7 + scene.near(0.4)
        if scene.chance(0.45):
            documents += checkout(scene, at, cold=scene.chance(0.14), fails=scene.chance(0.05))
        elif scene.chance(0.06):
            documents += retried(scene, at)
        else:
            status = scene._random.choices([200, 404, 500], [20, 2, 1])[0]
            documents += page(scene, at, status)
    return documents


def send(documents: list[Document], port: int, host: str = "127.0.0.1") -> None:
    """Send documents to a daemon, one a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for document in documents:
            sender.sendto(HEADER + json.dumps(document).encode(), (host, port))
