"""MariaDB."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.process import HOST, account, free_port, listens, own, program, run, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD, DATABASE = "shop", "hunter2-mariadb", "shop"
_SETUP = (
    f"CREATE DATABASE {DATABASE}; CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {USER}@'%'"
)


@contextmanager
def mariadb_server(folder: Path) -> Iterator[int]:
    """Run MariaDB and yield its port; USER with PASSWORD may do anything, and DATABASE is there."""
    server = program("mariadbd", "mariadb-server")
    install, client = program("mariadb-install-db", "mariadb-server"), program("mariadb", "mariadb-server")
    user, port, data = account("mysql"), free_port(), folder / "data"
    own(folder, user)
    prepared = [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    run([*prepared, "--skip-test-db"], folder, user)
    socket = folder / "s.sock"
    command = [server, "--no-defaults", f"--datadir={data}", f"--socket={socket}", f"--port={port}",
               f"--bind-address={HOST}", f"--pid-file={folder / 'pid'}", "--skip-log-bin"]  # fmt: skip
    with running(command, folder, lambda: listens(port), user):
        subprocess.run([client, "--no-defaults", f"--socket={socket}", "--user=root", "-e", _SETUP], check=True)
        yield port
