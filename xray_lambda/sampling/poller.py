"""The poller: a thread that does what is due, begins with the first request, and ends with the program."""

from __future__ import annotations

import atexit
import contextvars
import logging
import threading

from xray_lambda._context import current
from xray_lambda._entity import Untraced
from xray_lambda._guard import say_once, swallow

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable

_AFTER_A_FAULT = 60.0  # seconds
_EXIT_SECONDS = 1.0


class Poller:
    """Calls `step`, which returns how many seconds later it wants to be called again; `hurry` breaks a call off.

    Nothing of what the thread does is traced, nor does it keep the context of the request that came first.
    """

    def __init__(self, step: Callable[[], float], hurry: Callable[[], None]) -> None:
        self.started = False  # or could not be, or has ended
        self._step = step
        self._hurry = hurry
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def stopping(self) -> bool:
        """Whether it is ending, or has: what fails now was broken off."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Begin, once; where no thread can be had, that is told."""
        with self._lock:
            if self.started:
                return
            self.started = True
            thread = threading.Thread(target=self._run, name="xray_lambda-sampling", daemon=True)
            try:
                contextvars.Context().run(thread.start)
            except RuntimeError as error:  # the interpreter ends, or the system is out of threads
                say_once(logging.WARNING, "sampling thread", "xray_lambda: local sampling rules decide: %s", error)
                return
            self._thread = thread
            atexit.register(self.stop)

    def stop(self) -> None:
        """End, within a second; a thread that does not come to an end by then is left behind."""
        self.started = True
        self._stopping.set()
        self._hurry()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_EXIT_SECONDS)
        atexit.unregister(self.stop)

    def start_anew(self) -> None:
        """In a forked child, where the thread is gone: begin again with the next request."""
        self._lock = threading.RLock()
        if self.stopping:
            return
        self._stopping = threading.Event()
        self._thread = None
        self.started = False
        atexit.unregister(self.stop)

    def _run(self) -> None:
        current.set(Untraced())
        stopping = self._stopping
        pause = 0.0
        while not stopping.wait(pause):
            try:
                pause = self._step()
            except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
                pause = _AFTER_A_FAULT
                swallow(fault)
