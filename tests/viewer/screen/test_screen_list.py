"""The list of traces: first visit, what arrives, filter and completion, the histogram's brush, keys."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.viewer.screen import scenes

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.viewer.screen.conftest import Screen
    from tests.viewer.screen.scenes import Scene

pytestmark = pytest.mark.full


def rows(page: Page) -> Locator:
    return page.get_by_role("option").filter(has=page.locator(".when"))


def names(page: Page) -> list[str]:
    return page.locator(".what b").all_inner_texts()


def test_a_first_visit_says_how_to_send_a_trace_and_turns_into_the_list_when_one_arrives(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    page.goto("/")
    expect(page.get_by_role("heading", name="Send the first trace")).to_be_visible()
    commands = page.locator(".command code").all_inner_texts()
    assert len(commands) == 3
    assert commands[2] == f"export AWS_XRAY_DAEMON_ADDRESS=127.0.0.1:{screen.port}"
    screen.send(scenes.checkout(scene, scene.now))
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("heading", name="Send the first trace")).to_have_count(0)


def test_a_command_of_the_first_visit_is_copied(page: Page, screen: Screen) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/")
    page.get_by_role("button", name="Copy the command").first.click()
    page.get_by_role("button", name="Copy the command: copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"xray-lambda demo --view --port {screen.port}"


def test_a_trace_of_our_own_tracer_shows_while_one_looks_on(page: Page, screen: Screen) -> None:
    from playwright.sync_api import expect

    from xray_lambda import annotate, configure, segment, subsegment

    page.goto("/")
    configure(daemon_address=f"127.0.0.1:{screen.port}")
    with segment("nightly"):
        annotate(order="17")
        with subsegment("price"):
            pass
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first).to_contain_text("nightly")
    expect(page.locator(".note")).to_have_text("order17")


def test_what_arrives_comes_on_top_and_a_trace_that_ends_changes_its_row(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.page(scene, scene.now - 5))
    page.goto("/")
    expect(rows(page)).to_have_count(1)
    segment = scene.segment("report", scene.now, None, scene.trace_id(scene.now))
    screen.send([segment])
    expect(rows(page).first.get_by_label("in progress")).to_be_visible()
    assert names(page) == ["report", "shop"]
    del segment["in_progress"]
    screen.send([{**segment, "end_time": scene.now + 0.25, "fault": True}])
    expect(rows(page).first.get_by_label("fault")).to_be_visible()
    expect(rows(page).first).to_contain_text("250 ms")
    assert names(page) == ["report", "shop"]


def test_what_arrives_waits_while_one_reads_further_down(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.afternoon(scene, 60))
    page.goto("/")
    rows(page).nth(20).wait_for()
    page.locator(".scroller").evaluate("element => element.scrollTop = 600")
    expect(rows(page).first).not_to_have_attribute("aria-posinset", "1")
    before = page.locator(".scroller").evaluate("element => element.scrollHeight")
    screen.send(scenes.checkout(scene, scene.now + 1))
    page.get_by_role("button", name="1 new").wait_for()
    assert page.locator(".scroller").evaluate("element => [element.scrollTop, element.scrollHeight]") == [600, before]
    page.get_by_role("button", name="1 new").click()
    expect(rows(page).first).to_contain_text("checkout")
    assert page.locator(".scroller").evaluate("element => element.scrollTop") == 0


def test_a_paused_list_shows_what_came_when_it_goes_on(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.page(scene, scene.now - 5))
    page.goto("/")
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Live traces: Paused")).to_have_attribute("aria-pressed", "true")
    seen = count_of(screen)
    screen.send(scenes.checkout(scene, scene.now))
    wait_until(lambda: count_of(screen) > seen)
    assert names(page) == ["shop"]
    page.keyboard.press("p")
    expect(rows(page)).to_have_count(2)


def test_a_tab_that_nobody_sees_holds_no_connection_and_catches_up_when_it_is_seen(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.page(scene, scene.now - 5))
    page.goto("/")
    expect(rows(page)).to_have_count(1)
    page.evaluate(TURN, True)
    seen = count_of(screen)
    screen.send(scenes.checkout(scene, scene.now))
    wait_until(lambda: count_of(screen) > seen)
    assert names(page) == ["shop"]
    page.evaluate(TURN, False)
    expect(rows(page)).to_have_count(2)


def test_older_traces_are_loaded_as_one_scrolls(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.afternoon(scene, 230))
    page.goto("/")
    rows(page).nth(20).wait_for()
    for _ in range(3):
        page.keyboard.press("End")
        page.wait_for_timeout(150)
    page.keyboard.press("End")
    expect(page.locator("[aria-selected=true]")).to_have_attribute("aria-posinset", "230")
    assert page.locator(".rows .row").count() < 60, "only what is in sight is an element"


def test_a_filter_keeps_what_it_finds_stands_in_the_address_and_holds_for_what_arrives(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.checkout(scene, scene.now - 3, fails=True))
    screen.send(scenes.page(scene, scene.now - 2))
    page.goto("/")
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type('service("checkout") { fault }')
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    assert "filter=service%28%22checkout%22%29" in page.url
    screen.send(scenes.page(scene, scene.now - 1))
    screen.send(scenes.checkout(scene, scene.now, fails=True))
    expect(rows(page)).to_have_count(2)
    assert names(page) == ["checkout", "checkout"]
    page.reload()
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_role("combobox", name="Filter expression")).to_have_value('service("checkout") { fault }')


def test_a_filter_that_makes_no_sense_says_what_and_where(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.page(scene, scene.now))
    page.goto("/")
    expect(rows(page)).to_have_count(1)
    box = page.get_by_role("combobox", name="Filter expression")
    before = page.locator(".scroller").bounding_box()
    box.fill('service("shop") { faultt }')
    box.press("Escape")
    box.press("Enter")
    expect(page.locator("#filter-hint")).to_contain_text("faultt")
    expect(page.locator("#filter-hint mark")).to_have_text(re.compile("^faultt"))
    expect(box).to_have_attribute("aria-invalid", "true")
    assert rows(page).count() == 1, "what was found before stays in sight"
    assert page.locator(".scroller").bounding_box() == before, "nothing jumps"


def test_completions_come_from_the_language_and_from_what_was_received(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.checkout(scene, scene.now))
    page.goto("/")
    expect(rows(page)).to_have_count(1)
    box = page.get_by_role("combobox", name="Filter expression")
    box.press_sequentially("serv")
    options = page.get_by_role("listbox", name="Completions").get_by_role("option")
    expect(options.first).to_contain_text("service(")
    box.press("Tab")
    expect(box).to_have_value("service(")
    expect(options.filter(has_text='"checkout"')).to_have_count(1)
    box.press_sequentially('"che')
    expect(options).to_have_count(1)
    box.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    box.press("Enter")
    expect(box).to_have_value('service("checkout"')
    box.press_sequentially(") AND annotation.ten")
    expect(options.first).to_contain_text("annotation.tenant")
    box.press("Tab")
    expect(box).to_have_value('service("checkout") AND annotation.tenant')


def test_an_example_is_a_click_away(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.page(scene, scene.now, 404) + scenes.page(scene, scene.now - 1))
    page.goto("/")
    page.get_by_role("button", name="http.status = 404").click()
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(2)


def test_a_brush_over_the_histogram_keeps_those_durations_and_its_bars_stay(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    for number in range(10):
        took = 0.01 if number < 7 else 1.0
        screen.send([scene.segment("job", scene.now - number, took, scene.trace_id(scene.now))])
    page.goto("/")
    expect(rows(page)).to_have_count(10)
    expect(page.locator(".histogram .count")).to_have_text("10")
    bars = page.locator(".histogram rect").count()
    plot = page.locator(".plot").bounding_box()
    assert plot
    page.mouse.move(plot["x"] + plot["width"] * 0.6, plot["y"] + 30)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] * 0.99, plot["y"] + 30, steps=5)
    page.mouse.up()
    expect(rows(page)).to_have_count(3)
    expect(page.locator(".histogram .said")).to_contain_text("of 10 traces")
    assert page.locator(".histogram rect").count() == bars
    assert "slower=" in page.url
    shortest = page.get_by_role("slider", name="Shortest duration")
    before = float(str(shortest.get_attribute("aria-valuenow")))
    shortest.press("ArrowRight")
    expect(shortest).not_to_have_attribute("aria-valuenow", str(before))
    page.get_by_role("button", name="all durations").click()
    expect(rows(page)).to_have_count(10)


def test_a_range_of_time_leaves_out_what_was_before(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.page(scene, scene.now - 7200) + scenes.page(scene, scene.now))
    page.goto("/")
    expect(rows(page)).to_have_count(2)
    page.get_by_label("Range of time").select_option("Last hour")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Range of time").select_option("From … to …")
    expect(page.get_by_label("From", exact=True)).to_be_visible()


def test_a_trace_is_found_and_opened_with_keys_alone_and_back_leads_back(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    trace_id = screen.send(scenes.checkout(scene, scene.now - 1))
    screen.send(scenes.page(scene, scene.now))
    page.goto("/")
    expect(rows(page)).to_have_count(2)
    for key in ("j", "j", "k", "j"):
        page.keyboard.press(key)
    expect(rows(page).nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="checkout")).to_be_visible()
    assert f"trace={trace_id}" in page.url
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_have_count(0)


TURN = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def count_of(screen: Screen) -> int:
    import json

    from tests.viewer.running import get

    return int(json.loads(get(screen.screen_port, "/api/status")[1])["traces"])


def wait_until(happened: object) -> None:
    from tests.viewer.running import until

    until(happened)  # type: ignore[arg-type]  # a function without arguments
    time.sleep(0.3)  # and what it told has reached the page, paused as it is
