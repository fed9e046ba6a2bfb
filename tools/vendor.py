"""Brings the viewer's page the libraries and fonts it is built on, from npm: pinned, checked, with their licences."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "xray_lambda/viewer/screen/page/vendor"
TESTS = ROOT / "tests/viewer/screen/vendor"


class Library(NamedTuple):
    """A package of npm's: its exact version, what its archive hashes to, and which file becomes which of ours."""

    name: str
    version: str
    integrity: str
    files: dict[str, str]
    folder: Path = PAGE


LIBRARIES = (
    Library(
        "preact",
        "11.2.0",
        "sha512-/HfHI/7N84e6GrWBJ3J280z3mLaRJiDcSvj/A+y/4AbLnND/1UlGHe1sR6oYuTGwId0nP7dqDU9OnLxMPZ7xBg==",
        {"dist/preact.mjs": "preact.js", "hooks/dist/hooks.mjs": "hooks.js", "LICENSE": "preact.LICENSE"},
    ),
    Library(
        "htm",
        "3.1.1",
        "sha512-983Vyg8NwUE7JkZ6NmOqpCZ+sh1bKv2iYTlUkzlWmA5JD2acKoxd4KVxbMmxX/85mtfdnDmTFoNKcg5DGAvxNQ==",
        {"dist/htm.module.js": "htm.js", "LICENSE": "htm.LICENSE"},
    ),
    Library(
        "@dagrejs/dagre",
        "3.1.3",
        "sha512-X4aUTwOReZvthaZWOVHqlJ52/ZdhZFEM4+Lh/uR4XooUSLE6p71bcy7MPGzYnNUcNh+nj+i/qJQpCMIdQnSmrg==",
        {"dist/dagre.esm.js": "dagre.js", "LICENSE": "dagre.LICENSE"},
    ),
    Library(
        "@fontsource-variable/inter",
        "5.3.0",
        "sha512-OupL48va4JNofb97w6NYeF9S7W/kHNKM0Er8Dem5nqi4jeOLrVJDoE8tZEpnMJmtkvNbB1EIPPwHcdkF6b1oUA==",
        {"files/inter-latin-wght-normal.woff2": "inter.woff2", "LICENSE": "inter.LICENSE"},
    ),
    Library(
        "@fontsource-variable/jetbrains-mono",
        "5.3.0",
        "sha512-F32xpS2NsGYoQi2ADSkKTgpJj7ozajsGgDJ8woTnqjmIB+dxDIqImjl4pXZVEExu8UFZ2ndhmX18EBS/hdz3Lw==",
        {"files/jetbrains-mono-latin-wght-normal.woff2": "jetbrains-mono.woff2", "LICENSE": "jetbrains-mono.LICENSE"},
    ),
    Library(
        "axe-core",
        "4.14.1",
        "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        {"axe.min.js": "axe.js", "LICENSE": "axe.LICENSE"},
        TESTS,
    ),
)


def fetch(library: Library) -> bytes:
    """Return the archive of a package, by npm itself; another content than the pinned one ends it here."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, f"{library.name}@{library.version}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        archive = next(Path(folder).iterdir()).read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if found != library.integrity:
        raise SystemExit(f"{library.name} {library.version} is not what was pinned: {found}")
    return archive


def for_the_browser(name: str, content: bytes) -> bytes:
    """Let a module import its neighbour by address, since a page without a build has no package names, and no maps."""
    if not name.endswith(".js"):
        return content
    lines = content.replace(b'from"preact"', b'from"./preact.js"').rstrip().split(b"\n")
    return b"\n".join(line for line in lines if not line.startswith(b"//# sourceMappingURL=")) + b"\n"


def write(library: Library) -> None:
    """Put the files of a package into their folder."""
    library.folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(fetch(library))) as archive:
        for source, name in library.files.items():
            part = archive.extractfile(f"package/{source}")
            if part is None:
                raise SystemExit(f"{library.name} {library.version} has no file {source}")
            (library.folder / name).write_bytes(for_the_browser(name, part.read()))
    print(f"{library.name} {library.version}: {', '.join(library.files.values())}")


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a plain text file it is
    for each in LIBRARIES:
        write(each)
