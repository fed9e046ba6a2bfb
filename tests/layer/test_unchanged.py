"""With the layer a function does what it did: results, errors, errors at import, logs, exit, environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.lambda_runtime.runtime_api import Invocation
from tests.layer.function import WRAPPED, run, seen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Function(NamedTuple):
    """A function that knows nothing of tracing."""

    source: str
    handler: str = "app.handler"
    files: Mapping[str, str] = {}
    env: Mapping[str, str] = {}


HELLO = "def handler(event, context):\n    return {'hello': event}\n"

FUNCTIONS = {
    "a result": Function(HELLO),
    "no result": Function("def handler(event, context): pass"),
    "a proxy response that failed": Function("handler = lambda event, context: {'statusCode': 503}"),
    "a result that is no JSON": Function("def handler(event, context): return object()"),
    "a generator": Function("def handler(event, context): yield 1"),
    "a coroutine function": Function("async def handler(event, context): return 1", env={"PYTHONWARNINGS": "ignore"}),
    "an exception": Function(
        """
        class Declined(Exception):
            def __init__(self, code): super().__init__(f"declined: {code}"); self.code = code
        def charge():
            try: {}["card"]
            except KeyError as error: raise Declined(17) from error
        def handler(event, context): charge()
        """
    ),
    "a frozen exception": Function(
        """
        import dataclasses
        @dataclasses.dataclass(frozen=True)
        class Frozen(Exception):
            code: int
        def handler(event, context): raise Frozen(3)
        """
    ),
    "an exit": Function("import sys\ndef handler(event, context): sys.exit(3)"),
    "an interrupt": Function("def handler(event, context): raise KeyboardInterrupt"),
    "a death": Function("import os\ndef handler(event, context): os._exit(7)"),
    "logs": Function(
        """
        import logging, sys
        logging.getLogger().setLevel(logging.DEBUG)
        def handler(event, context):
            print("printed"); print("to stderr", file=sys.stdout)
            logging.debug("debug"); logging.info("info"); logging.getLogger("shop").error("oh", exc_info=True)
            return [logging.getLogger().level, len(logging.getLogger().handlers)]
        """
    ),
    "JSON logs": Function(
        """
        import logging
        def handler(event, context):
            logging.getLogger("shop").error("oh")
            return None
        """,
        env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"},
    ),
    "a missing import": Function("import no_such_package\n" + HELLO),
    "a syntax error": Function("def handler(event, context) return 1"),
    "a syntax error further in": Function("import broken", files={"broken.py": "x ="}),
    "an exception at import": Function("def load():\n    1 / 0\nload()\n" + HELLO),
    "an import error of its own at import": Function("raise ImportError('mine', name='mine')"),
    "an exit at import": Function("import sys\nsys.exit(4)"),
    "a missing handler": Function("other = 1"),
    "a missing module": Function(HELLO, handler="shop.handler"),
    "a malformed handler": Function(HELLO, handler="app"),
    "a handler of a built-in module": Function(HELLO, handler="sys.handler"),
    "a handler in a folder": Function("", "shop/orders.handler", {"shop/orders.py": HELLO}),
    "a handler in a package": Function("", "shop.orders.handler", {"shop/__init__.py": "", "shop/orders.py": HELLO}),
    "a callable object": Function(
        """
        class Shop:
            def __call__(self, event, context): return "open"
        shop = Shop()
        """,
        "app.shop",
    ),
    "a class": Function("class handler:\n    def __new__(cls, event, context): return 'made'"),
    "a handler that cannot be called": Function("handler = 17"),
    "its surroundings": Function(
        """
        import os, sys
        HIDDEN = {"XRAY_LAMBDA_HANDLER", "AWS_LAMBDA_EXEC_WRAPPER", "AWS_XRAY_DAEMON_ADDRESS", "AWS_LAMBDA_RUNTIME_API"}
        AT_IMPORT = os.environ["_HANDLER"]
        def handler(event, context):
            environ = {name: value for name, value in os.environ.items() if name not in HIDDEN}
            mixed = sorted({"wrapt", "jsonpickle", "botocore"} & sys.modules.keys())
            others = [path for path in sys.path if not path.startswith("/opt/")]
            return [AT_IMPORT, environ, sys.path[:3], others, sys.argv[1:], mixed, __name__, handler.__module__]
        """
    ),
    "a state that it keeps": Function(
        """
        count = 0
        print("imported")
        def handler(event, context):
            global count
            count += 1
            return count
        """
    ),
    "a user of threads": Function(
        """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        def handler(event, context):
            with ThreadPoolExecutor(2) as pool:
                return [pool.submit(divmod, 7, 2).result(), threading.active_count() > 1]
        """
    ),
    "a user of SQL": Function(
        """
        import sqlite3
        def handler(event, context):
            with sqlite3.connect(":memory:") as connection:
                connection.execute("CREATE TABLE t (a)")
                connection.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
                total = connection.execute("SELECT sum(a) FROM t").fetchone()
                return [total, isinstance(connection, sqlite3.Connection)]
        """
    ),
}
INVOCATIONS = (Invocation(event={"id": 1}), Invocation(event={"id": 2}))


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_is_as_it_was(kind: str, layer: Path, nothing: Path) -> None:
    function = FUNCTIONS[kind]

    def outcome(folder: Path, env: Mapping[str, str]) -> Any:
        """Return what is seen of the function below this layer."""
        more: dict[str, Any] = {"handler": function.handler, "files": function.files, "env": {**function.env, **env}}
        return seen(run(folder, function.source, *INVOCATIONS, **more))

    without = outcome(nothing, {})
    assert outcome(layer, WRAPPED) == without
    assert outcome(layer, {}) == without
