"""Makes the pictures of docs/view.md anew: python -m tests.viewer.screen.pictures."""

from __future__ import annotations

import base64
import shutil
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.process import free_port, listens, running
from tests.viewer.screen import scenes
from tests.viewer.screen.conftest import FLAGS, Screen

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = Path(__file__).parents[3] / "docs/view"
WIDE, NARROW = (1200, 720), (360, 640)


def main() -> None:
    """Start a viewer, fill it with the shop's afternoon, and look at each view."""
    from playwright.sync_api import sync_playwright

    screen = Screen(free_port(), free_port())
    command = [sys.executable, "-m", "xray_lambda", "view", "--memory", "--no-open"]
    ports = ["--port", str(screen.port), "--screen-port", str(screen.screen_port)]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        with running([*command, *ports], Path(folder), lambda: listens(screen.screen_port)):
            take_all(browser, screen)
        browser.close()


def take_all(browser: Browser, screen: Screen) -> None:
    """Take every picture, from the first visit on."""
    page = opened(browser, screen)
    page.goto("/")
    take(page, "first-visit")
    failed, good = filled(screen)
    handler = failed[0]["subsegments"][0]
    trace = f"/?trace={failed[0]['trace_id']}"
    for name, address in (
        ("traces", "/"),
        ("trace", f"/?trace={good}"),
        ("exception", f"{trace}&at={handler['id']}"),
        ("map", "/?view=map"),
        ("comparison", f"/?trace={checked(page, failed)}&versus={failed[0]['trace_id']}"),
        ("cold-starts", "/?view=cold"),
        ("sampling", "/?view=rules"),
        ("brush", "/?slower=0.25&faster=0.8"),
        ("daemon", "/?view=daemon"),
    ):
        page.goto(address)
        take(page, name)
    filtered(page)
    dark = opened(browser, screen, scheme="dark")
    dark.goto(f"/?trace={good}&at=")
    take(dark, "dark")
    narrow = opened(browser, screen, size=NARROW)
    narrow.goto("/")
    take(narrow, "narrow")


def filled(screen: Screen) -> tuple[list[scenes.Document], str]:
    """Send the traces; returns one that failed, and the id of one through three services."""
    scene = scenes.Scene(time.time() - 2)
    screen.send(scenes.afternoon(scene))
    failed = scenes.checkout(scene, scene.now + 0.5, fails=True)
    screen.send(failed)
    good = screen.send(scenes.page(scene, scene.now + 1))
    screen.send(scenes.unfinished(scene, scene.now + 1.5))
    screen.send([{"trace_id": "1-2", "name": "an id that X-Ray does not take"}])
    return failed, good


def checked(page: Page, failed: list[scenes.Document]) -> str:
    """Return the id of a checkout that went well."""
    page.goto("/?filter=" + 'service("checkout") AND ok')
    page.locator(".rows .row").first.wait_for()
    ids = [str(row.get_attribute("data-trace")) for row in page.locator(".rows .row").all()]
    return next(trace_id for trace_id in ids if trace_id != failed[0]["trace_id"])


def filtered(page: Page) -> None:
    """Type into the filter box, and show what it offers."""
    page.goto("/")
    page.locator(".rows .row").first.wait_for()
    page.keyboard.press("/")
    page.keyboard.type('service("checkout") { responsetime > 0.3 } AND ann', delay=5)
    page.get_by_role("listbox", name="Completions").get_by_role("option").first.wait_for()
    take(page, "filter")


def opened(browser: Browser, screen: Screen, size: tuple[int, int] = WIDE, scheme: str = "light") -> Page:
    """Open a window of this size."""
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, base_url=screen.address)  # type: ignore[arg-type]  # light or dark, and two numbers
    return context.new_page()


def take(page: Page, name: str) -> None:
    """Wait until nothing moves, and keep what is seen."""
    page.wait_for_timeout(1800)
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = page.context.new_page()  # a blank one: the viewer's own page may load no such picture
    shown = base64.b64encode(page.screenshot()).decode()
    width, height, palette, pixels = found.evaluate(PALETTE, f"data:image/png;base64,{shown}")
    found.close()
    (FOLDER / f"{name}.png").write_bytes(png(width, height, bytes(palette), base64.b64decode(pixels)))


# Puts each pixel down as one of 256 colours, the most frequent of those that are unlike: a third of the bytes.
PALETTE = """async (address) => {
  const image = new Image();
  image.src = address;
  await image.decode();
  const { width, height } = image;
  const drawing = new OffscreenCanvas(width, height).getContext("2d");
  drawing.drawImage(image, 0, 0);
  const { data } = drawing.getImageData(0, 0, width, height);
  const colour = (_, at) => (data[at * 4] << 16) | (data[at * 4 + 1] << 8) | data[at * 4 + 2];
  const colours = new Uint32Array(width * height).map(colour);
  const met = new Map();
  for (const colour of colours) met.set(colour, (met.get(colour) ?? 0) + 1);
  const parts = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255];
  const far = (a, b) => parts(a).reduce((sum, part, at) => sum + (part - parts(b)[at]) ** 2, 0);
  const kept = [];
  for (const [colour] of [...met].sort((a, b) => b[1] - a[1])) {
    if (kept.length < 256 && kept.every((each) => far(each, colour) > 40)) kept.push(colour);
  }
  const nearest = new Map();
  for (const colour of met.keys()) {
    let best = 0;
    kept.forEach((each, at) => { if (far(each, colour) < far(kept[best], colour)) best = at; });
    nearest.set(colour, best);
  }
  let pixels = "";
  for (const colour of colours) pixels += String.fromCharCode(nearest.get(colour));
  return [width, height, kept.flatMap(parts), btoa(pixels)];
}"""


def png(width: int, height: int, palette: bytes, pixels: bytes) -> bytes:
    """Return a PNG of pixels that are places in a palette."""
    lines = b"".join(b"\0" + pixels[line * width : (line + 1) * width] for line in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


if __name__ == "__main__":
    main()
