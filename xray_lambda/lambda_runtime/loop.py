"""The event loop of async handlers: the runtime takes no coroutine, so one loop is kept per environment."""

from __future__ import annotations

import atexit
import os
import sys
from threading import local

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

_kept = local()  # a loop runs in one thread


def run(coroutine: Coroutine[object, object, object]) -> object:
    """Run `coroutine` to its end on this thread's kept loop; tasks that it leaves go on in the next invocation."""
    return _loop().run_until_complete(coroutine)


def is_running() -> bool:
    """Say whether this thread runs an event loop already, as in an async test."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001 - never raises


def _loop() -> asyncio.AbstractEventLoop:
    """Return the kept loop, or a new one where it is closed or belongs to the parent of a fork."""
    import asyncio  # noqa: PLC0415 - 40 ms of cold start that only async handlers pay

    loop: asyncio.AbstractEventLoop | None
    pid, loop = getattr(_kept, "loop", (0, None))
    if loop is None or loop.is_closed() or pid != os.getpid():
        loop = asyncio.new_event_loop()
        _kept.loop = (os.getpid(), loop)
        atexit.register(loop.close)
    return loop
