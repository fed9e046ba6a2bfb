"""aiosqlite: what its thread asks sqlite3 for belongs to the task that it asks for, whose trace is carried over."""

from __future__ import annotations

from functools import wraps

from xray_lambda._context import carried
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any


@replacing("aiosqlite.core:Connection._execute(self, fn)")
def carry_function(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(original)
    async def execute_carried(self: object, fn: Callable[..., object], *args: object, **kwargs: object) -> Any:
        return await original(self, carried(fn), *args, **kwargs)

    return execute_carried
