"""Libraries: which of them are traced, and the switch that turns each on and off."""

from __future__ import annotations

import sys
from functools import partial

from xray_lambda._guard import say_once, swallow
from xray_lambda._recorder import active
from xray_lambda.libraries._gates import stand_before, take_away
from xray_lambda.libraries._patching import forget, when_imported

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType


class Library:
    """A library that is traced: the file of its card, the distribution that brings it, the modules that it patches."""

    __slots__ = ("card", "distribution", "gates", "modules", "stack")

    def __init__(
        self, card: str, distribution: str | None, *modules: str, gates: tuple[str, ...] = (), stack: str = ""
    ) -> None:
        self.card = card
        self.distribution = distribution
        self.modules = modules
        # What the program calls first when it comes to use the library, and whose calls of it do not count: see _gates.
        self.gates = gates
        self.stack = stack

    def gates_in(self, module: ModuleType) -> tuple[str, ...]:
        """Return the paths of the gates that stand in a module."""
        start = f"{module.__name__}:"
        return tuple(gate.removeprefix(start) for gate in self.gates if gate.startswith(start))


THREAD_POOL_METHODS = ("apply_async", "imap", "imap_unordered", "map", "map_async", "starmap", "starmap_async")

# Each library by the name that `patch` takes; one without a distribution is Python's own. The modules stand here as
# well as in the cards because no card is loaded before the program has loaded what it patches.
SUPPORTED = {
    "botocore": Library(
        "botocore", "botocore", "botocore.client", "botocore.endpoint",
        gates=("botocore.client:ClientCreator.create_client", "botocore.client:BaseClient._make_api_call"),
    ),
    "aiobotocore": Library("aiobotocore", "aiobotocore", "aiobotocore.client", "aiobotocore.endpoint"),
    "pynamodb": Library("pynamodb", "pynamodb", "pynamodb.connection.base"),
    "sqlite3": Library("sqlite3", None, "sqlite3", gates=("sqlite3:connect", "sqlite3:dbapi2.connect")),
    "psycopg2": Library("psycopg2", "psycopg2-binary", "psycopg2"),
    "psycopg": Library("psycopg", "psycopg", "psycopg", "psycopg_pool"),
    "pg8000": Library("pg8000", "pg8000", "pg8000.core", "pg8000.legacy", "pg8000.dbapi", "pg8000.native"),
    "asyncpg": Library("asyncpg", "asyncpg", "asyncpg"),
    "requests": Library("requests", "requests", "requests.sessions"),
    "httpx": Library("httpx", "httpx", "httpx._models", "httpx._client"),
    "aiohttp": Library("aiohttp", "aiohttp", "aiohttp.client_reqrep", "aiohttp.client"),
    "urllib3": Library(
        "urllib3", "urllib3", "urllib3.response", "urllib3.connectionpool", "urllib3.poolmanager",
        gates=("urllib3.connectionpool:HTTPConnectionPool.urlopen", "urllib3.poolmanager:PoolManager.urlopen"),
        stack="http",
    ),
    "http.client": Library(
        "http_client", None, "http.client", gates=("http.client:HTTPConnection.putrequest",), stack="http"
    ),
    "pymysql": Library("pymysql", "PyMySQL", "pymysql.cursors", "pymysql.connections"),
    "mysql.connector": Library(
        "mysql_connector", "mysql-connector-python",
        "mysql.connector.cursor", "mysql.connector.cursor_cext", "mysql.connector.aio.cursor",
        "mysql.connector.connection", "mysql.connector.connection_cext", "mysql.connector.aio.connection",
    ),
    "MySQLdb": Library("mysqlclient", "mysqlclient", "MySQLdb.cursors", "MySQLdb.connections"),
    "aiosqlite": Library("aiosqlite", "aiosqlite", "aiosqlite.core"),
    "sqlalchemy": Library("sqlalchemy", "SQLAlchemy", "sqlalchemy.engine.base"),
    "pymongo": Library(
        "pymongo", "pymongo", "pymongo.monitoring", "pymongo.pool", "pymongo.topology",
        "pymongo.synchronous.pool", "pymongo.synchronous.topology",
        "pymongo.asynchronous.pool", "pymongo.asynchronous.topology",
    ),
    "redis": Library(
        "redis", "redis", "redis.client", "redis.cluster", "redis.asyncio.client", "redis.asyncio.cluster",
    ),
    "celery": Library("celery", "celery", "celery.signals", "celery.app.base", "celery.worker.request"),
    "threads": Library(
        "threads", None, "threading", "concurrent.futures.thread", "multiprocessing.pool",
        gates=(
            "threading:Thread.start", "concurrent.futures.thread:ThreadPoolExecutor.submit",
            *(f"multiprocessing.pool:ThreadPool.{method}" for method in THREAD_POOL_METHODS),
        ),
    ),
}  # fmt: skip

# What else a library is called: by those who import it through another one, and by aws-xray-sdk.
ALIASES = {
    "boto3": "botocore",
    "aioboto3": "aiobotocore",
    "httplib": "http.client",
    "mysql": "mysql.connector",
    "mysqlclient": "MySQLdb",
    "sqlalchemy_core": "sqlalchemy",
    "flask_sqlalchemy": "sqlalchemy",
}

_actions: dict[tuple[str, str], Callable[[ModuleType], None]] = {}
# The libraries that the program has come to use, or that have no gates.
_in_use: set[str] = set()


def patch(*names: str) -> None:
    """Trace the named libraries, now or when the program imports them; a second call changes nothing.

    Raises ValueError for an unknown name. Example: `patch("httpx", "sqlite3")`.
    """
    known = _known(names)
    if not active().config.enabled:
        return
    for name in known:
        action = partial(_come_across, name)
        ours = [module for module in SUPPORTED[name].modules if _actions.setdefault((name, module), action) is action]
        for module in ours:
            if (name, module) in _actions:  # else the library turned out to be unknown in another of its modules
                when_imported(module, action)


def patch_all(*, ignore: Iterable[str] = ()) -> None:
    """Trace every supported library but those in `ignore`; imports none of them."""
    ignored = _known((ignore,) if isinstance(ignore, str) else tuple(ignore))
    patch(*(name for name in SUPPORTED if name not in ignored))


def unpatch(*names: str) -> None:
    """Stop tracing the named libraries, or all of them; one that is not traced stays as it is."""
    for name in _known(names) or SUPPORTED:
        for module in SUPPORTED[name].modules:
            action = _actions.pop((name, module), None)
            if action is not None:
                forget(module, action)
            _undo(name, module)
        _in_use.discard(name)


def patch_configured() -> None:
    """Trace what XRAY_LAMBDA_PATCH names: all, none, or a list; an unknown name is told of once and left out."""
    for name in active().config.patch:
        if name == "all":
            patch_all()
            continue
        try:
            patch(name)
        except ValueError as error:
            say_once(30, f"patch {name}", "xray_lambda: XRAY_LAMBDA_PATCH: %s", error)


def _known(names: tuple[object, ...]) -> list[str]:
    known = [ALIASES.get(name, name) if isinstance(name, str) else "" for name in names]
    for given, name in zip(names, known, strict=True):
        if name not in SUPPORTED:
            raise ValueError(_unknown(given))
    return known


def _unknown(name: object) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - 2 ms that only a mistake costs

    close = get_close_matches(str(name), [*SUPPORTED, *ALIASES], 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown library {name!r}: {hint}the known ones are {', '.join(sorted(SUPPORTED))}"


def _come_across(name: str, module: ModuleType) -> None:
    """Have a library traced that is loaded: at once, or from when the program comes to use it."""
    library = SUPPORTED[name]
    if not library.gates or name in _in_use:
        _apply(name, module)
        return
    gates = library.gates_in(module)
    if gates and not stand_before(module, gates, library.stack, partial(_come_to_use, name)):
        _come_to_use(name)


def _come_to_use(name: str) -> None:
    """Put the card of a library on everything of it that is loaded."""
    _in_use.add(name)
    for module_name in SUPPORTED[name].modules:
        module = sys.modules.get(module_name)
        if module is not None and (name, module_name) in _actions:
            _apply(name, module)


def _apply(name: str, module: ModuleType) -> None:
    """Apply a library's card to a loaded module; one that is not as the card knows it is left alone, all of it."""
    from xray_lambda.libraries import _targets  # noqa: PLC0415 - when the first library is there to be patched

    try:
        patches = _targets.patches_of(_loaded_card(name))
        for patch in patches:
            patch.check(module)
        for patch in patches:
            patch.apply(module)
    except (_targets.UnknownShape, ImportError) as shape:
        unpatch(name)
        say_once(30, f"shape {name}", "xray_lambda: %s is not traced, this version of it is unknown: %s", name, shape)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        unpatch(name)
        swallow(fault)


def _undo(name: str, module_name: str) -> None:
    module = sys.modules.get(module_name)
    if module is not None:
        take_away(module, SUPPORTED[name].gates_in(module))
    if module is not None and f"{__name__}.{SUPPORTED[name].card}" in sys.modules:
        from xray_lambda.libraries import _targets  # noqa: PLC0415 - loaded already

        for patch in _targets.patches_of(_loaded_card(name)):
            patch.undo(module)


def _loaded_card(name: str) -> ModuleType:
    from importlib import import_module  # noqa: PLC0415 - part of the interpreter, loaded before us

    return import_module(f"{__name__}.{SUPPORTED[name].card}")
