"""Opens a page in the user's browser, where there is a window to open."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser


def open_page(address: str) -> None:
    """Open an address, without waiting for the browser."""
    if _has_window():
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _has_window() -> bool:
    """Say whether a window can be opened: where none can, a text browser would take this terminal."""
    if not sys.stdout.isatty():
        return False
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
