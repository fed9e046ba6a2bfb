"""Installs the servers and the browser that tests need, where that is possible; else says the one command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

# The program that shows that a package is there, by package. mysqlclient is built with the last two.
PACKAGES = {
    "postgresql": ("postgres", "initdb"),
    "mariadb-server": ("mariadbd", "mariadb-install-db", "mariadb"),
    "redis-server": ("redis-server",),
    "chromium": ("chromium",),
    "default-libmysqlclient-dev": ("mariadb_config",),
    "pkg-config": ("pkg-config",),
}
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends")


def missing() -> list[str]:
    """Return the packages whose programs are not on this machine."""
    return [package for package, programs in PACKAGES.items() if not all(map(found, programs))]


def found(program: str) -> bool:
    """Whether a program is installed, on the path or where Debian keeps PostgreSQL's."""
    if shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])):
        return True
    return any(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))


def install(packages: list[str]) -> bool:
    """Install packages from the machine's own repositories; a fresh machine needs their lists first."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in ([*INSTALL, *packages], ["apt-get", "update"], [*INSTALL, *packages]):
        done = subprocess.run(step, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if step[1] == "install" and done.returncode == 0:
            return True
    print("\n".join(done.stdout.strip().splitlines()[-10:]))
    return False


def main() -> None:
    """Install what is missing, or say how; without them their tests are skipped, and fail under CI."""
    packages = missing()
    if not packages:
        return
    command = " ".join([*INSTALL, *packages])
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        print(f"Tests of some libraries need servers that are not installed. As root: {command}")
        return
    start = time.monotonic()
    print(f"Installing {', '.join(packages)} for the library tests (takes a moment) ...")
    if install(packages):
        print(f"Installed after {time.monotonic() - start:.0f} s.")
    else:
        print(f"That failed; try: {command}")


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a plain text file it is
    main()
