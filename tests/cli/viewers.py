"""A viewer as its user starts it: a process, known by what it prints."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.cli.commands import PATIENCE, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


class Viewing(NamedTuple):
    """A viewer that runs: its process, what it said at its start, its port, and its screen's address."""

    process: subprocess.Popen[str]
    said: list[str]
    port: int
    screen: str

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Interrupt it; return its exit code and what it still said."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out + err


@contextmanager
def viewing(*arguments: str, cwd: Path, **settings: str) -> Iterator[Viewing]:
    """Run `xray-lambda view` on free ports, with a cache folder of the test's own."""
    free = () if "--port" in arguments else ("--port", "0", "--screen-port", "0")
    settings = {"XDG_CACHE_HOME": str(cwd / "cache"), **settings}
    with start("view", "--no-open", *free, *arguments, cwd=cwd, **settings) as process:
        try:
            said = list(_until_started(process))
            daemon = next(line for line in said if line.startswith("Daemon"))
            screen = next(line for line in said if line.startswith("Screen"))
            port = int(daemon.partition(" (")[0].rpartition(":")[2])
            yield Viewing(process, said, port, screen.split()[1])
        finally:
            if process.poll() is None:
                process.kill()


def _until_started(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.rstrip("\n")
        if line.startswith("Ctrl-C"):
            return
    assert process.stderr is not None
    raise AssertionError(f"the viewer did not start: {process.stderr.read()}")
