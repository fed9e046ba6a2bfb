"""threads: what a Thread, ThreadPoolExecutor or ThreadPool runs belongs to the trace of whoever started it.

`loop.run_in_executor` submits to a ThreadPoolExecutor, and `asyncio.to_thread` copies the context by itself.
"""

from __future__ import annotations

from functools import wraps

from xray_lambda._context import carried
from xray_lambda.libraries import THREAD_POOL_METHODS
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread


# ThreadPool alone: its base class runs processes, to which nothing of ours can be sent.
@replacing(
    "concurrent.futures.thread:ThreadPoolExecutor.submit(self)",
    *(f"multiprocessing.pool:ThreadPool.{method}(self)" for method in THREAD_POOL_METHODS),
)
def carry_function(method: Callable[..., object]) -> Callable[..., object]:
    """Wrap a method that takes the function to run first."""

    @wraps(method)
    def with_function(self: object, *args: object, **kwargs: object) -> object:
        if args and callable(args[0]):
            args = (carried(args[0]), *args[1:])
        elif callable(kwargs.get("func")):
            kwargs["func"] = carried(kwargs["func"])  # type: ignore[arg-type]
        return method(self, *args, **kwargs)

    return with_function


@replacing("threading:Thread.start(self)")
def carry_run(start: Callable[..., object]) -> Callable[..., object]:
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
