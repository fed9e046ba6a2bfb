"""Ctrl-C and SIGTERM, told of instead of raised: an exception between two steps would leave a process behind."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """The user, or the system, wants us to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextlib.contextmanager
def told(tell: Callable[[int], None]) -> Iterator[None]:
    """Call `tell` with the number of each such signal for the length of a `with` block; leave ignored ones ignored."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [number for number in _SIGNALS if before[number] is not signal.SIG_IGN]
    try:
        for number in heard:
            signal.signal(number, lambda number, _frame: tell(number))
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
