"""A viewer in a process of its own, and headless Chromium that looks at it; pictures are kept in build/screens."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.servers.process import HOST, free_port, listens, program, running
from tests.viewer.running import ask
from tests.viewer.screen import scenes
from tests.viewer.screen.scenes import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

SCREENS = Path(__file__).parents[3] / "build/screens"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
PATIENCE = 10_000  # milliseconds


class Screen(NamedTuple):
    """The viewer that runs, by its ports."""

    port: int
    screen_port: int

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.screen_port}"

    def send(self, documents: list[scenes.Document]) -> str:
        """Send documents as any SDK does; returns the trace id of the last one."""
        scenes.send(documents, self.port)
        return str(documents[-1]["trace_id"])

    def clear(self) -> None:
        """Forget all traces."""
        status, _ = ask(self.screen_port, "POST", "/api/clear", b"", x_requested_with="xray-lambda")
        assert status == 200


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    screen = Screen(free_port(), free_port())
    command = [sys.executable, "-m", "xray_lambda", "view", "--memory", "--no-open"]
    ports = ["--port", str(screen.port), "--screen-port", str(screen.screen_port)]
    folder = tmp_path_factory.mktemp("viewer")
    with running([*command, *ports], folder, lambda: listens(screen.screen_port) and listens(screen.port)):
        yield screen


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module: while it runs, this thread has an event loop, which other tests must not meet."""
    executable = program("chromium", "chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def screen(process: Screen) -> Screen:
    """The viewer, empty."""
    process.clear()
    return process


@pytest.fixture
def scene() -> Scene:
    """Traces that were just now."""
    return Scene(time.time())


@pytest.fixture
def options() -> dict[str, object]:
    """How a test's browser differs from a laptop's: overridden by parametrize."""
    return {}


@pytest.fixture
def said() -> list[str]:
    """What the page complained of; what is left there at the end fails the test."""
    return []


@pytest.fixture
def page(
    browser: Browser, screen: Screen, options: dict[str, object], said: list[str], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A page that loads nothing from elsewhere, whose console stays silent, and of which a picture is kept."""
    settings = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", "base_url": screen.address}
    context = browser.new_context(**{**settings, **options})  # type: ignore[arg-type]  # keywords, checked as they are used
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda made: None if _ours(made.url, screen) else said.append(f"asked {made.url}"))
    yield page
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{re.sub(r'[^a-z0-9]+', '-', request.node.name.lower()).strip('-')}.png")
    context.close()
    assert said == []


def _ours(url: str, screen: Screen) -> bool:
    return url.startswith((screen.address, "data:", "blob:"))
