"""Forks: tells samplers that they are in a forked child now, whose threads are gone and whose counts are its own."""

from __future__ import annotations

import os
from functools import cache
from weakref import WeakSet

from xray_lambda._guard import swallow

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from typing import Protocol

    class StartsAnew(Protocol):
        """What wants to know."""

        def start_anew(self) -> None:
            """Begin again, in the child."""


_told: WeakSet[StartsAnew] = WeakSet()


def after_fork(one: StartsAnew) -> None:
    """Have `one.start_anew()` called in forked children, as long as something else keeps `one`."""
    _told.add(one)
    _watch()


@cache
def _watch() -> None:
    os.register_at_fork(after_in_child=_tell)


def _tell() -> None:
    for one in list(_told):
        try:
            one.start_anew()
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
