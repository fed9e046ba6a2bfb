"""pymongo's AsyncMongoClient: a command is a subsegment of the task that runs it, also when that is cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
from pymongo import errors

from tests.libraries.databases import run_untidy
from tests.servers.process import HOST, free_port
from xray_lambda import patch, subsegment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from xray_lambda.testing import Traces

if pymongo.version_tuple < (4, 9):
    pytest.skip("4.9 brought AsyncMongoClient", allow_module_level=True)

SECRET = "hunter2-in-a-value"


def run(port: int, work: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    """Run work with an async client; patched before that is made."""

    async def with_client() -> None:
        async with pymongo.AsyncMongoClient(HOST, port, **options) as client:
            await work(client)

    patch("pymongo")
    run_untidy(with_client())  # a heartbeat may connect while its client closes


def commands(traces: Traces) -> list[str]:
    found = (node.metadata.get("mongodb", {}) for root in traces.roots for node in root.walk())
    return [told["command"] for told in found if told]


def test_tasks_record_side_by_side_under_their_own_parents(mongo_port: int, xray: Traces) -> None:
    async def work(client: Any) -> None:
        async def one(number: int) -> None:
            with subsegment(f"task {number}"):
                await client.shop[f"c{number}"].insert_one({"name": SECRET})
                assert [row["name"] async for row in client.shop[f"c{number}"].find(limit=1)] == [SECRET]

        with subsegment("handler"):
            await asyncio.gather(*map(one, range(3)))

    run(mongo_port, work)
    handler = xray.find("handler")
    for task in handler.children:
        told = [node.metadata["mongodb"] for node in task.children if node.name.startswith("shop@")]
        collection = f"c{task.name[-1]}"
        assert told == [{"command": name, "collection": collection} for name in ("insert", "find")]
        assert all(not node.children for node in task.children)
    assert SECRET not in str(xray.documents)


def test_a_cancelled_command_is_no_fault_and_ends_at_once(mongo_port: int, xray: Traces) -> None:
    async def work(client: Any) -> None:
        await client.shop.command("ping")
        with subsegment("handler"), pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.shop.command({"sleep": 2}), 0.1)
        assert "sleep" in commands(xray)

    run(mongo_port, work)
    [sleep] = xray.find("handler").children
    assert (sleep.flags, sleep.metadata["xray_lambda"]) == (set(), {"cancelled": True})


def test_an_error_and_a_missing_server_are_faults(mongo_port: int, xray: Traces) -> None:
    async def failing(client: Any) -> None:
        with pytest.raises(errors.OperationFailure):
            await client.shop.orders.find_one({"$nonsense": SECRET})

    async def missing(client: Any) -> None:
        with pytest.raises(errors.ServerSelectionTimeoutError):
            await client.shop.orders.find_one()

    run(mongo_port, failing)
    [failed] = [root for root in xray.roots if root.flags]
    assert failed.exceptions[0]["message"] == "unknown top level operator in ?"
    xray.clear()
    run(free_port(), missing, serverSelectionTimeoutMS=100)
    assert (commands(xray), xray.one.flags) == (["connect"], {"fault"})
    assert SECRET not in str(xray.documents)
