"""How the page looks and to whom: light and dark, narrow and wide, by screen reader; markup that stays text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.viewer.screen import scenes

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.viewer.screen.conftest import Screen
    from tests.viewer.screen.scenes import Scene

pytestmark = pytest.mark.full
AXE = Path(__file__).parent / "vendor/axe.js"
DARK, LIGHT = "rgb(14, 17, 22)", "rgb(246, 247, 249)"


def ground(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def every_view(scene: Scene, screen: Screen) -> list[str]:
    """Fill the viewer with the shop's afternoon, and return the address of each view."""
    screen.send(scenes.afternoon(scene, 20))
    good = screen.send(scenes.page(scene, scene.now + 1))
    bad = scenes.checkout(scene, scene.now + 2, fails=True)
    screen.send(bad)
    at = bad[0]["subsegments"][0]["id"]
    trace = f"/?trace={bad[0]['trace_id']}"
    other = [f"/?view={view}" for view in ("map", "cold", "rules", "daemon")]
    return ["/", f"{trace}&at={at}", f"{trace}&versus={good}", "/?filter=faultt", *other]


def settled(page: Page, address: str) -> None:
    """Go there, and wait until all has been asked for and drawn."""
    page.goto(address)
    page.locator(".rows .row, .nothing, .grid-row, .rows .pair-row, .box, .figure-card, .rules").first.wait_for()
    page.wait_for_timeout(150)


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}], ids=["dark"])
def test_dark_is_the_systems_choice_and_the_switch_wins_over_it(page: Page, screen: Screen, scene: Scene) -> None:
    screen.send(scenes.afternoon(scene, 30))
    settled(page, "/")
    assert ground(page) == DARK
    page.keyboard.press("d")
    assert ground(page) == LIGHT
    page.reload()
    assert ground(page) == LIGHT
    page.get_by_role("button", name="Switch to the dark theme").click()
    assert ground(page) == DARK


@pytest.mark.parametrize("options", [{"viewport": {"width": 360, "height": 740}}], ids=["narrow"])
def test_nothing_is_cut_off_where_the_window_is_360_pixels_wide(page: Page, screen: Screen, scene: Scene) -> None:
    for address in every_view(scene, screen):
        settled(page, address)
        wide = page.evaluate(TOO_WIDE)
        assert wide == [], address


# What reaches beyond the window, but for what scrolls inside a frame of its own or is cut with dots on purpose.
TOO_WIDE = """() => {
  const contained = (element) => {
    for (let at = element.parentElement; at; at = at.parentElement) {
      if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(at).overflowX)) return true;
    }
    return false;
  };
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && !contained(element))
    .map((element) => element.outerHTML.slice(0, 120));
}"""


@pytest.mark.parametrize("options", [{"viewport": {"width": 360, "height": 740}}], ids=["narrow"])
def test_a_trace_opens_and_its_panel_closes_on_a_narrow_screen(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.checkout(scene, scene.now, fails=True))
    settled(page, "/")
    page.locator(".rows .row").click()
    page.get_by_role("treeitem").filter(has_text="handler").click()
    expect(page.get_by_role("complementary")).to_contain_text("shop.errors.PaymentFailed")
    page.get_by_role("button", name="Close the panel").click()
    expect(page.get_by_role("complementary")).to_have_count(0)
    page.get_by_role("link", name="Back to the list").click()
    expect(page.locator(".rows .row")).to_have_count(1)


@pytest.mark.parametrize(
    ("options", "rules"), [({}, None), ({"color_scheme": "dark"}, ["color-contrast"])], ids=["light", "dark"]
)
def test_axe_finds_no_fault_with_any_view(page: Page, screen: Screen, scene: Scene, rules: list[str] | None) -> None:
    asked = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    for address in every_view(scene, screen):
        settled(page, address)
        page.evaluate(AXE.read_text("utf-8"))
        found: dict[str, Any] = page.evaluate("options => axe.run(options)", asked)
        told = [f"{each['id']}: {part['html'][:160]}" for each in found["violations"] for part in each["nodes"]]
        assert told == [], address


def test_the_pointers_way_through_the_page_is_the_keyboards_too(page: Page, screen: Screen, scene: Scene) -> None:
    screen.send(scenes.afternoon(scene, 30))
    settled(page, "/")
    met = []
    for _ in range(22):
        page.keyboard.press("Tab")
        met.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
    wanted = ["Skip to the content", "xray-lambda: traces", "Traces", "Map", "Filter expression", "Range of time"]
    places = [met.index(each) for each in wanted]
    assert places == sorted(places)
    assert "Traces, newest first" in met


def test_markup_in_names_values_and_messages_is_text_everywhere(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    trace_id = screen.send(scenes.hostile(scene, scene.now))
    settled(page, "/")
    expect(page.locator(".note")).to_contain_text("<img src=x")
    settled(page, f"/?trace={trace_id}")
    page.get_by_role("treeitem").nth(1).click()
    panel = page.get_by_role("complementary")
    expect(panel.locator(".message")).to_have_text(scenes.MARKUP)
    expect(panel.locator(".sql")).to_contain_text(scenes.MARKUP)
    assert panel.locator(".frames .label").text_content() == scenes.MARKUP
    expect(panel.locator(".json-key").first).to_contain_text("<img")
    for address in (f"/?trace={trace_id}&versus={trace_id}", "/?view=map", f"/?filter={scenes.MARKUP}"):
        page.goto(address)
        page.wait_for_timeout(300)
        assert page.locator("img, main script").count() == 0
    assert page.evaluate("[window.hacked, {}.polluted]") == [None, None]
    assert page.locator("a[href^='javascript']").count() == 0
