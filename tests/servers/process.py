"""A server as a process of the tests: found or told how to get, started, waited for, stopped."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HOST = "127.0.0.1"
_PATIENCE = 60  # seconds: a busy machine starts MariaDB in ten


def program(name: str, package: str, *folders: str) -> str:
    """Return where a server's program is; a missing one fails the test under CI, and skips it elsewhere."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", *folders])
    found = shutil.which(name, path=path)
    if found is None:
        missing = f"{name} is not installed; `make test` does it, or: apt-get install {package}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return found


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def account(name: str) -> str | None:
    """Return whom to run a server as that refuses to be root: `name`, or nobody; None where we are not root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return name if name in known else "nobody"


def own(folder: Path, user: str | None) -> None:
    """Give a folder to the account that a server runs as, and let it in from above."""
    if user is None:
        return
    shutil.chown(folder, user)
    for above in folder.parents:
        if above.stat().st_uid == os.getuid() and above != Path(above.root):
            above.chmod(above.stat().st_mode | 0o011)


def run(command: Sequence[str], folder: Path, user: str | None = None) -> None:
    """Run a command that prepares a server; its output is the error where it fails."""
    done = subprocess.run(
        command, cwd=folder, user=user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"


@contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    ready: Callable[[], object],
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server while the block runs, from when `ready()` no longer raises OSError or returns false."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, user=user, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, ready, log)
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], object], log: Path) -> None:
    """Ask until the server answers: it gives no event to wait for."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, f"the server ended with {process.returncode}:\n{log.read_text(errors='replace')}"
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"the server did not answer within {_PATIENCE} s:\n{log.read_text(errors='replace')}")


def listens(port: int) -> bool:
    """Say whether something accepts connections on this port; raises OSError where nothing does."""
    with socket.create_connection((HOST, port), timeout=1):
        return True
