"""Becomes Lambda's runtime: read-only /opt and /var/task in a mount namespace of its own, the wrapper, the runtime.

Usage: launch.py LAYER, in the function's folder; LAYER is an unpacked layer, or an empty folder. Where nothing can be
mounted, the folders are used where they are, which TESTS_OPT says, and only their modes keep them from being written.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

NEW_MOUNTS = 0x20000  # CLONE_NEWNS
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


def main(layer: str) -> None:
    """Mount what can be mounted, and start the runtime through the wrapper that the environment names."""
    task, opt = os.getcwd(), layer  # noqa: PTH109
    if can_mount():
        mount_all({layer: "/opt", task: "/var/task"})
        task, opt = "/var/task", "/opt"
        os.chdir(task)
    environ = {**os.environ, "LAMBDA_TASK_ROOT": task, "PWD": task, "TESTS_OPT": opt}
    command = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", str(BOOTSTRAP)]
    wrapper = environ.get("AWS_LAMBDA_EXEC_WRAPPER", "").replace("/opt/", f"{opt}/", 1)
    os.execve(wrapper or command[0], [wrapper, *command] if wrapper else command, environ)  # noqa: S606


def can_mount() -> bool:
    """Say whether a namespace can be made here; not where this Python itself lies below /opt."""
    here = Path(sys.base_prefix).resolve()
    return os.getuid() == 0 and Path("/opt") not in here.parents and _libc().unshare(NEW_MOUNTS) == 0


def mount_all(places: dict[str, str]) -> None:
    """Show each folder read-only in its place, to this process and its children alone."""
    mount(None, "/", RECURSIVE | PRIVATE)
    for folder, place in places.items():
        Path(place).mkdir(parents=True, exist_ok=True)
        mount(folder, place, BIND)
        mount(None, place, BIND | REMOUNT | READ_ONLY)


def mount(source: str | None, target: str, flags: int) -> None:
    """Mount something, or change how it is mounted. Raises OSError."""
    said = None if source is None else source.encode()
    if _libc().mount(said, target.encode(), None, flags, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    main(sys.argv[1])
