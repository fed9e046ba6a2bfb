"""Traces that are over, as they come to be so: nothing of them runs any more, and for a moment nothing came."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from xray_lambda.viewer.serve import Viewer

# Documents of one request come from several processes, each when its part is over.
QUIET = 0.5
# A trace that says it runs, and of which nothing is heard: its process is dead, or it runs for long.
PATIENCE = 30.0
MOST_WAITING = 10_000
_TICK = 0.1
_AT_ONCE = 200


class Condition(NamedTuple):
    """What a trace has to be, as SQL over the store's table `traces`."""

    sql: str = "1"
    parameters: Sequence[object] = ()


async def finished(viewer: Viewer, condition: Condition) -> AsyncIterator[dict[str, Any] | None]:
    """Yield trace_id, summary and documents of each finished trace; None now and then, so that a dead listener shows.

    A trace of which more comes later is yielded again, with `again`.
    """
    waiting = _Waiting()
    async for event in viewer.events.listen(timeout=_TICK):
        if event is not None and event.kind == "traces":
            waiting.note(event.data, time.monotonic())
        for trace_id, patient in waiting.due(time.monotonic()):
            found = await asyncio.to_thread(_read, viewer, trace_id, condition, patient)
            if found is None:
                continue
            yield {**found, "again": waiting.is_again(trace_id)}
        if event is None:
            yield None


def _read(viewer: Viewer, trace_id: str, condition: Condition, patient: bool) -> dict[str, Any] | None:  # noqa: FBT001 - passed by to_thread
    where = f"(? OR NOT in_progress) AND ({condition.sql})"
    rows = viewer.store.query(where, (patient, *condition.parameters), among=[trace_id])
    return {"trace_id": trace_id, "summary": rows[0], "documents": viewer.store.trace(trace_id)} if rows else None


class _Waiting:
    """Traces that changed, each with the moment of its last change; those that ran once more are looked at later."""

    def __init__(self) -> None:
        self._changed: dict[str, float] = {}
        self._running: dict[str, float] = {}
        self._shown: dict[str, None] = {}

    def note(self, trace_ids: list[str], now: float) -> None:
        for trace_id in trace_ids:
            self._changed.pop(trace_id, None)
            self._running.pop(trace_id, None)
            self._changed[trace_id] = now
        _keep_last(self._changed)

    def due(self, now: float) -> list[tuple[str, bool]]:
        """Return what nothing came of for a moment, and what is not waited for any longer (with True)."""
        quiet = [trace_id for trace_id, at in self._changed.items() if at <= now - QUIET][:_AT_ONCE]
        tired = [trace_id for trace_id, at in self._running.items() if at <= now - PATIENCE][:_AT_ONCE]
        for trace_id in quiet:
            self._running[trace_id] = self._changed.pop(trace_id)
        for trace_id in tired:
            del self._running[trace_id]
        _keep_last(self._running)
        return [*((trace_id, False) for trace_id in quiet), *((trace_id, True) for trace_id in tired)]

    def is_again(self, trace_id: str) -> bool:
        """Say whether it was shown before; it is now, and nothing of it is waited for."""
        self._running.pop(trace_id, None)
        again = trace_id in self._shown
        self._shown[trace_id] = None
        _keep_last(self._shown)
        return again


def _keep_last(traces: dict[str, Any]) -> None:
    while len(traces) > MOST_WAITING:
        del traces[next(iter(traces))]
