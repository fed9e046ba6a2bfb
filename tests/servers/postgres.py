"""PostgreSQL."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.process import HOST, account, free_port, listens, own, program, run, running

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD, DATABASE = "shop", "hunter2-postgres", "postgres"


@contextmanager
def postgres_server(folder: Path) -> Iterator[int]:
    """Run PostgreSQL and yield its port; the superuser is USER with PASSWORD."""
    folders = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    server = program("postgres", "postgresql", *folders)
    initdb = program("initdb", "postgresql", *folders)
    user, port, data = account("postgres"), free_port(), folder / "data"
    own(folder, user)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    run(
        [initdb, "--no-sync", "-A", "scram-sha-256", "-U", USER, "--pwfile", str(secret), "-D", str(data)], folder, user
    )
    settings = [f"listen_addresses={HOST}", f"unix_socket_directories={folder}", "fsync=off", "max_connections=50"]
    command = [server, "-D", str(data), "-p", str(port), *(part for one in settings for part in ("-c", one))]
    with running(command, folder, lambda: listens(port), user):
        yield port
