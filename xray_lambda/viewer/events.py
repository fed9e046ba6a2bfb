"""What happens in the viewer, told to whoever listens: the screen's live stream and `tail`."""

from __future__ import annotations

import asyncio
import collections
import threading
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Kind = Literal["traces", "rejected", "status", "cleared", "end"]
# A listener that falls this far behind loses what is oldest: it shows the newest anyway.
FURTHEST_BEHIND = 1_000


class Event(NamedTuple):
    """One happening: `traces` has the ids of traces that came or changed, `rejected` a Rejection as a dict,
    `status` the counters, `cleared` and `end` nothing.
    """

    kind: Kind
    data: Any


class Events:
    """Tells every listener of every event, from any thread; nobody waits for a listener."""

    def __init__(self) -> None:
        self._listeners: set[Callable[[Event], None]] = set()
        self._lock = threading.Lock()

    def tell(self, kind: Kind, data: Any = None) -> None:
        """Hand an event to all who listen now."""
        with self._lock:
            listeners = list(self._listeners)
        for hear in listeners:
            hear(Event(kind, data))

    def add(self, hear: Callable[[Event], None]) -> None:
        """Call `hear` with each event, in the thread where it happens: it has to be quick and must not raise."""
        with self._lock:
            self._listeners.add(hear)

    def remove(self, hear: Callable[[Event], None]) -> None:
        """Stop calling `hear`."""
        with self._lock:
            self._listeners.discard(hear)

    def close(self) -> None:
        """End every `listen`, since the viewer ends."""
        self.tell("end")

    async def listen(self, timeout: float = 15.0) -> AsyncIterator[Event | None]:
        """Yield events on the running loop as they come, and None after each `timeout` seconds without one."""
        loop, waiting, come = (
            asyncio.get_running_loop(),
            collections.deque[Event](maxlen=FURTHEST_BEHIND),
            asyncio.Event(),
        )

        def hear(event: Event) -> None:
            waiting.append(event)
            loop.call_soon_threadsafe(come.set)

        self.add(hear)
        try:
            while True:
                if not waiting:
                    come.clear()
                    if not waiting and not await _came(come, timeout):
                        yield None
                while waiting:
                    event = waiting.popleft()
                    if event.kind == "end":
                        return
                    yield event
        finally:
            self.remove(hear)


async def _came(come: asyncio.Event, timeout: float) -> bool:
    try:
        await asyncio.wait_for(come.wait(), timeout)
    except asyncio.TimeoutError:  # Python 3.10 has its own TimeoutError
        return False
    return True
