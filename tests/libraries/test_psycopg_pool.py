"""psycopg_pool: what its connections do is traced, and the waiting for one where there is none to give."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg_pool
import pytest

from tests.libraries.databases import UNSAMPLED, run_apart, statements
from tests.libraries.postgresql import SECRET, name, told, url
from tests.servers.process import free_port
from xray_lambda import patch, subsegment, unpatch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from xray_lambda.testing import Traces

PATCHED = [(psycopg_pool.ConnectionPool, "getconn"), (psycopg_pool.AsyncConnectionPool, "getconn")]
ORIGINALS = {(owner, name): vars(owner)[name] for owner, name in PATCHED}


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("psycopg")


def test_a_pool_that_has_a_connection_gives_it_without_a_word(postgres: int, xray: Traces) -> None:
    pool = psycopg_pool.ConnectionPool(url(postgres), min_size=1, open=False)
    pool.open(wait=True)
    xray.clear()
    with pool.connection() as connection:
        connection.execute("SELECT 1")
    pool.close()
    assert (statements(xray), xray.one.name) == (["SELECT ?"], name(postgres))


def test_waiting_for_a_connection_is_a_subsegment_and_in_vain_a_fault(postgres: int, xray: Traces) -> None:
    pool = psycopg_pool.ConnectionPool("", kwargs=told(postgres), max_size=1, min_size=1, open=False)
    pool.open(wait=True)
    connection = pool.getconn()
    xray.clear()
    with pytest.raises(psycopg_pool.PoolTimeout):
        pool.getconn(timeout=0.01)
    pool.putconn(connection)
    pool.close()
    with pytest.raises(psycopg_pool.PoolClosed):
        pool.getconn()
    assert statements(xray) == ["ACQUIRE"] * 2
    assert [root.name for root in xray.roots] == [name(postgres)] * 2
    assert [(root.flags, root.exceptions[0]["type"]) for root in xray.roots] == [
        ({"fault"}, "psycopg_pool.PoolTimeout"),
        ({"fault"}, "psycopg_pool.PoolClosed"),
    ]
    assert "hunter2" not in str(xray.documents)


def test_a_pool_that_keeps_no_connection_connects_while_it_is_asked_for_one(postgres: int, xray: Traces) -> None:
    with psycopg_pool.NullConnectionPool(url(postgres), open=False) as pool, pool.connection() as connection:
        connection.execute("SELECT 1")
    acquire, select = xray.roots
    assert statements(xray) == ["ACQUIRE", "CONNECT", "SELECT ?"]
    assert (acquire.names(), select.children) == ((name(postgres), [(name(postgres), [])]), [])


def test_an_asynchronous_pool_is_traced_alike(postgres: int, xray: Traces) -> None:
    async def main() -> None:
        pool = psycopg_pool.AsyncConnectionPool(url(postgres), min_size=1, max_size=1, open=False)
        await pool.open(wait=True)
        xray.clear()
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")
            with pytest.raises(psycopg_pool.PoolTimeout):
                await pool.getconn(timeout=0.01)
        await pool.close()
        with pytest.raises(psycopg_pool.PoolClosed):
            await pool.getconn()

    asyncio.run(main())
    assert statements(xray) == ["SELECT ?", "ACQUIRE", "ACQUIRE"]
    assert [root.flags for root in xray.roots] == [set(), {"fault"}, {"fault"}]


def test_a_pool_s_thread_connects_in_the_trace_that_started_it_while_that_is_open(postgres: int, xray: Traces) -> None:
    patch("threads")
    pool = psycopg_pool.ConnectionPool(url(postgres), min_size=1, max_size=2, open=False)
    with subsegment("first"):
        pool.open(wait=True)
    with subsegment("second"):
        for connection in [pool.getconn(), pool.getconn()]:
            pool.putconn(connection)
    pool.close()
    assert [root.name for root in xray.roots] == ["first", "second"]
    assert statements(xray) == ["CONNECT", "ACQUIRE"]


def test_a_pool_that_cannot_connect_fails_as_before_and_shows_no_password(xray: Traces) -> None:
    pool = psycopg_pool.ConnectionPool(url(free_port(), SECRET), min_size=1, open=False)
    with pytest.raises(psycopg_pool.PoolTimeout):
        pool.open(wait=True, timeout=0.01)
    with pytest.raises(psycopg_pool.PoolClosed):
        pool.getconn()
    assert SECRET not in str(xray.documents)


@pytest.mark.parametrize("header", [None, UNSAMPLED])
def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(postgres: int, header: str | None) -> None:
    with capture(header) as traces, psycopg_pool.NullConnectionPool(url(postgres), open=False) as pool:
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert traces.documents == []


def test_unpatching_restores_every_function() -> None:
    assert all(vars(owner)[name] is not original for (owner, name), original in ORIGINALS.items())
    unpatch("psycopg")
    assert {key: vars(key[0])[key[1]] for key in ORIGINALS} == ORIGINALS


def test_the_patch_may_come_before_the_import_and_imports_no_pool(postgres: int) -> None:
    program = """
import json, sys
from xray_lambda import patch
from xray_lambda.testing import capture
patch("psycopg")
import psycopg
assert "psycopg_pool" not in sys.modules
from psycopg_pool import NullConnectionPool
with capture() as traces, NullConnectionPool(sys.argv[1], open=False) as pool, pool.connection():
    pass
print(json.dumps([root.document["sql"]["sanitized_query"] for root in traces.roots]))
"""
    assert run_apart(program, url(postgres)) == ["ACQUIRE"]
