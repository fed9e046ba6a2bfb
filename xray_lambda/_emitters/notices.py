"""Notices: what a background thread has to say again and again goes into the log once a minute, with a count."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from xray_lambda import _guard

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_SECONDS = 60.0
_MAX_KINDS = 100


class Notices:
    """Says each kind of thing once in `every` seconds; what it left unsaid is counted in the next one."""

    def __init__(self, every: float = EVERY_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._is_over = False
        self._said: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def end(self) -> None:
        """Say nothing any more: what writes to stderr while Python ends may end it with a fatal error."""
        self._is_over = True

    def say(self, level: int, kind: str, message: str, *values: object) -> None:
        """Log `message` unless the same kind was logged a short while ago; for one thread at a time."""
        now = self._clock()
        if self._is_over:
            return
        if kind in self._said and now - self._said[kind] < self._every:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        if len(self._said) >= _MAX_KINDS:
            self._said.clear()
        self._said[kind] = now
        unsaid = self._unsaid.pop(kind, 0)
        more = f" ({unsaid} more of this kind before)" if unsaid else ""
        try:
            _guard.log.log(level, "xray_lambda: " + message + "%s", *values, more)
        except Exception as error:  # noqa: BLE001 - a filter or a handler of the program's own that fails
            _guard.swallow(error)
