"""threads: what a Thread, ThreadPoolExecutor or ThreadPool runs belongs to the trace of whoever started it.

`loop.run_in_executor` submits to a ThreadPoolExecutor, and `asyncio.to_thread` copies the context by itself.
"""

from __future__ import annotations

import sys
from functools import wraps

from xray_lambda._context import carried
from xray_lambda.libraries._patching import forget, replace, restore, when_imported

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread
    from types import ModuleType

_THREAD, _EXECUTOR, _POOL = "threading", "concurrent.futures.thread", "multiprocessing.pool"
_POOL_METHODS = ("apply_async", "imap", "imap_unordered", "map", "map_async", "starmap", "starmap_async")


def apply() -> None:
    """Carry the current entity into threads from here on."""
    for name, action in _ACTIONS.items():
        when_imported(name, action)


def undo() -> None:
    """Start threads as before."""
    for name, action in _ACTIONS.items():
        forget(name, action)
    modules = sys.modules
    if _THREAD in modules:
        restore(modules[_THREAD].Thread, "start")
    if _EXECUTOR in modules:
        restore(modules[_EXECUTOR].ThreadPoolExecutor, "submit")
    if _POOL in modules:
        for method in _POOL_METHODS:
            restore(modules[_POOL].ThreadPool, method)


def _patch_thread(module: ModuleType) -> None:
    replace(module.Thread, "start", _carry_run)


def _patch_executor(module: ModuleType) -> None:
    replace(module.ThreadPoolExecutor, "submit", _carry_function)


def _patch_pool(module: ModuleType) -> None:
    """Patch ThreadPool alone: its base class runs processes, to which nothing of ours can be sent."""
    for method in _POOL_METHODS:
        replace(module.ThreadPool, method, _carry_function)


_ACTIONS = {_THREAD: _patch_thread, _EXECUTOR: _patch_executor, _POOL: _patch_pool}


def _carry_function(method: Callable[..., object]) -> Callable[..., object]:
    """Wrap a method that takes the function to run first."""

    @wraps(method)
    def with_function(self: object, *args: object, **kwargs: object) -> object:
        if args and callable(args[0]):
            args = (carried(args[0]), *args[1:])
        elif callable(kwargs.get("func")):
            kwargs["func"] = carried(kwargs["func"])  # type: ignore[arg-type]
        return method(self, *args, **kwargs)

    return with_function


def _carry_run(start: Callable[..., object]) -> Callable[..., object]:
    """Wrap `Thread.start`: the thread's `run`, which a subclass may define, is carried for its one call."""

    @wraps(start)
    def carry_and_start(self: Thread) -> object:
        own = vars(self).get("run")
        run = carried(self.run)

        def run_once() -> None:
            _give_back(self, own)
            run()

        self.run = run_once  # type: ignore[method-assign]
        try:
            return start(self)
        except BaseException:
            _give_back(self, own)
            raise

    return carry_and_start


def _give_back(thread: Thread, own: object) -> None:
    """Leave the thread as the program made it."""
    if own is None:
        vars(thread).pop("run", None)
    else:
        thread.run = own  # type: ignore[method-assign, assignment]
