"""MariaDB."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.process import HOST, account, free_port, listens, own, program, run, running

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD, DATABASE = "shop", "hunter2-mariadb", "shop"
_SETUP = (
    f"CREATE DATABASE {DATABASE}; CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {USER}@'%'"
)


@contextmanager
def mariadb_server(folder: Path) -> Iterator[int]:
    """Run MariaDB and yield its port; USER with PASSWORD may do anything, and DATABASE is there."""
    # Its files lie apart: another run of pytest takes the way into `folder` from all but its owner.
    with TemporaryDirectory(prefix="xray-mariadb-") as files, _server(folder, Path(files)) as port:
        yield port


@contextmanager
def _server(folder: Path, files: Path) -> Iterator[int]:
    server = program("mariadbd", "mariadb-server")
    install, client = program("mariadb-install-db", "mariadb-server"), program("mariadb", "mariadb-server")
    user, port, socket = account("mysql"), free_port(), files / "s.sock"
    own(files, user)
    places = ["--no-defaults", f"--datadir={files / 'data'}", f"--tmpdir={files}"]
    run([install, *places, "--auth-root-authentication-method=normal", "--skip-test-db"], files, user)
    command = [server, *places, f"--socket={socket}", f"--port={port}", f"--bind-address={HOST}",
               f"--pid-file={files / 'pid'}", "--skip-log-bin"]  # fmt: skip
    with running(command, folder, lambda: listens(port), user):
        subprocess.run([client, "--no-defaults", f"--socket={socket}", "--user=root", "-e", _SETUP], check=True)
        yield port
