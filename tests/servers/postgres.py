"""PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.process import HOST, account, free_port, own, program, run, running

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD, DATABASE = "shop", "hunter2-postgres", "postgres"


@contextmanager
def postgres_server(folder: Path) -> Iterator[int]:
    """Run PostgreSQL and yield its port; the superuser is USER with PASSWORD."""
    # Its files lie apart: another run of pytest takes the way into `folder` from all but its owner.
    with TemporaryDirectory(prefix="xray-postgres-") as files, _server(folder, Path(files)) as port:
        yield port


@contextmanager
def _server(folder: Path, files: Path) -> Iterator[int]:
    programs = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    server = program("postgres", "postgresql", *programs)
    initdb = program("initdb", "postgresql", *programs)
    user, port, data, secret = account("postgres"), free_port(), files / "data", files / "password"
    own(files, user)
    secret.write_text(PASSWORD)
    made = [initdb, "--no-sync", "-A", "scram-sha-256", "-U", USER, "--pwfile", str(secret), "-D", str(data)]
    run(made, files, user)
    settings = [f"listen_addresses={HOST}", f"unix_socket_directories={files}", "fsync=off", "max_connections=50"]
    command = [server, "-D", str(data), "-p", str(port), *(part for one in settings for part in ("-c", one))]
    asked = [program("pg_isready", "postgresql", *programs), "-q", "-h", HOST, "-p", str(port)]
    # It listens before it lets anybody in; and SIGTERM would wait for the clients to go.
    with running(command, folder, lambda: subprocess.run(asked, check=False).returncode == 0, user, signal.SIGINT):
        yield port
