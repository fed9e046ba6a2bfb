"""SQLAlchemy's async engine: a statement is one subsegment of the task that runs it, also when that is cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy
import sqlalchemy.ext.asyncio

from tests.libraries.databases import is_sql, statements
from tests.servers.postgres import DATABASE, PASSWORD, USER
from tests.servers.process import HOST
from xray_lambda import patch_all, subsegment
from xray_lambda._context import current
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from xray_lambda.testing import Traces

sa: Any = sqlalchemy  # its types differ from version to version
create: Any = sqlalchemy.ext.asyncio.create_async_engine
SECRET = "hunter2-in-a-value"


@pytest.fixture(params=["aiosqlite", "asyncpg"])
def url(request: pytest.FixtureRequest, tmp_path: object) -> Any:
    """Where an async engine connects to."""
    if request.param == "aiosqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    port = request.getfixturevalue("postgres")
    told = {"host": HOST, "port": port, "username": USER, "password": PASSWORD, "database": DATABASE}
    return sa.engine.URL.create("postgresql+asyncpg", **told)


def run(url: Any, work: Callable[[Any], Awaitable[Any]]) -> Any:
    """Run work with an async engine; `connected` first, so that its first connection is made."""

    async def with_engine() -> Any:
        engine = create(url, future=True)
        try:
            with capture(header=None):
                async with engine.connect() as connection:
                    await connection.execute(sa.text("SELECT 1"))
            return await work(engine)
        finally:
            await engine.dispose()

    return asyncio.run(with_engine())


def test_over_a_patched_driver_a_statement_is_one_subsegment(url: Any, xray: Traces) -> None:
    async def work(engine: Any) -> None:
        with subsegment("handler") as handler:
            async with engine.begin() as connection:
                found = await connection.execute(sa.text("SELECT :given"), {"given": SECRET})
                assert current.get() is handler
                assert found.scalar() == SECRET
            async with engine.connect() as connection:
                rows = await connection.stream(sa.text("SELECT 2 UNION SELECT 3"))
                assert [row[0] async for row in rows] == [2, 3]

    patch_all()
    run(url, work)
    calls = [child for child in xray.one.children if child.document["sql"]["driver_version"].startswith("SQLAlchemy")]
    assert [statement.split(" ")[0] for statement in statements(xray) if "SELECT" in statement] == ["SELECT"] * 2
    assert len(calls) == 2
    assert all(not child.children for child in xray.one.children)
    assert SECRET not in str(xray.documents)


def test_tasks_side_by_side_are_siblings(url: Any, xray: Traces) -> None:
    async def work(engine: Any) -> None:
        async def one(number: int) -> Any:
            with subsegment(f"task {number}"):
                async with engine.connect() as connection:
                    return (await connection.execute(sa.text(f"SELECT {number:d}"))).scalar()

        with subsegment("handler"):
            assert await asyncio.gather(*map(one, range(3))) == [0, 1, 2]

    patch_all()
    run(url, work)
    assert sorted(child.name for child in xray.one.children) == ["task 0", "task 1", "task 2"]
    for task in xray.one.children:
        assert len([call for call in task.children if is_sql(call) and not call.children]) == len(task.children)
        assert "SELECT ?" in [call.document["sql"]["sanitized_query"] for call in task.children]


def test_an_error_of_the_driver_is_recorded_without_the_parameters(url: Any, xray: Traces) -> None:
    async def work(engine: Any) -> None:
        async with engine.begin() as connection:
            await connection.execute(sa.text("DROP TABLE IF EXISTS named"))
            await connection.execute(sa.text("CREATE TABLE named (name VARCHAR(40) UNIQUE)"))
            await connection.execute(sa.text("INSERT INTO named VALUES (:name)"), {"name": SECRET})
        async with engine.connect() as connection:
            with pytest.raises(sa.exc.IntegrityError, match=SECRET):
                await connection.execute(sa.text("INSERT INTO named VALUES (:name)"), {"name": SECRET})

    patch_all()
    run(url, work)
    [failed] = [root for root in xray.roots if root.flags]
    assert failed.exceptions[0]["type"] == "sqlalchemy.exc.IntegrityError"
    assert "named" in failed.exceptions[0]["message"]
    assert SECRET not in str(xray.documents)


def test_a_cancelled_statement_is_no_fault_and_is_closed(postgres: int, xray: Traces) -> None:
    async def work(engine: Any) -> None:
        with subsegment("handler") as handler:
            async with engine.connect() as connection:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(connection.execute(sa.text("SELECT pg_sleep(2)")), 0.1)
                assert current.get() is handler

    patch_all()
    told = {"host": HOST, "port": postgres, "username": USER, "password": PASSWORD, "database": DATABASE}
    run(sa.engine.URL.create("postgresql+asyncpg", **told), work)
    [call] = [child for child in xray.one.children if "pg_sleep" in child.document["sql"]["sanitized_query"]]
    assert (call.flags, call.metadata) == (set(), {"xray_lambda": {"cancelled": True}})


def test_the_orm_s_lazy_loading_through_run_sync_is_recorded(url: Any, xray: Traces) -> None:
    async def work(engine: Any) -> None:
        async with sqlalchemy.ext.asyncio.AsyncSession(engine) as session:
            await session.run_sync(lambda sync: sync.execute(sa.text("SELECT 1")))

    patch_all()
    run(url, work)
    assert "SELECT ?" in statements(xray)
