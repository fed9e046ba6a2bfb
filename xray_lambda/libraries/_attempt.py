"""Attempts: calls that are of interest only where they fail, and that nothing else has told of then."""

from __future__ import annotations

from xray_lambda._entity import Entity
from xray_lambda._guard import guarded

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self


class Attempt(Entity):
    """Stands for a call below `parent`, sampled; `make` opens the subsegment that is recorded where it fails.

    What the call calls in turn is below `parent` as well. An exception that the trace has already is not recorded.
    """

    __slots__ = ("_make", "_parent", "_start")

    sampled = True

    def __init__(self, parent: Any, make: Callable[[], Entity]) -> None:
        self._parent = parent
        self._make = make

    def __enter__(self) -> Self:
        self._start = self._parent.root.recorder.clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._record(kind, error, traceback)

    @guarded
    def _record(self, kind: type[BaseException] | None, error: BaseException, traceback: TracebackType | None) -> None:
        if self._is_known(error):
            return
        sub: Any = self._make()
        if sub.sampled:
            sub.__enter__()
            sub.start_ns = self._start
            sub.__exit__(kind, error, traceback)

    def _is_known(self, error: BaseException | None) -> bool:
        recorded = self._parent.root.recorded
        for _ in range(10):
            if recorded is None or error is None:
                break
            if recorded.find(error) is not None:
                return True
            error = error.__cause__
        return False
