"""One trace: timeline, critical path, search, panel with exceptions and blocks, map, 5 000 subsegments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.viewer.screen import scenes

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.viewer.screen.conftest import Screen
    from tests.viewer.screen.scenes import Scene

pytestmark = pytest.mark.full


def nodes(page: Page) -> Locator:
    return page.get_by_role("treeitem")


def node(page: Page, name: str) -> Locator:
    return nodes(page).filter(has_text=name)


def panel(page: Page) -> Locator:
    return page.get_by_role("complementary")


def opened(page: Page, screen: Screen, documents: list[scenes.Document], at: str = "") -> None:
    """Send a trace and open its page, which asks again when the trace is not there yet."""
    trace_id = screen.send(documents)
    page.goto(f"/?trace={trace_id}&at={at}")
    nodes(page).first.wait_for()


def test_the_timeline_nests_services_and_calls_in_the_order_in_which_they_began(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    opened(page, screen, scenes.page(scene, scene.now))
    expect(nodes(page)).to_have_count(8)
    told = [(each.get_attribute("aria-level"), each.locator(".cut").inner_text()) for each in nodes(page).all()]
    assert told == [
        ("1", "shop"),
        ("2", "Redis@cache.internal"),
        ("2", "catalog.internal"),
        ("3", "catalog"),
        ("4", "prices.internal"),
        ("5", "prices"),
        ("4", "shop@orders.db.internal"),
        ("2", "render"),
    ]


def test_a_bar_lies_where_its_time_was_the_critical_path_in_it_and_own_time_hatched(
    page: Page, screen: Screen, scene: Scene
) -> None:
    inner = scene.part("inner", scene.now + 0.2, 0.6)
    beside = scene.part("beside", scene.now + 0.25, 0.1)
    opened(
        page, screen, [scene.segment("outer", scene.now, 1.0, scene.trace_id(scene.now), subsegments=[inner, beside])]
    )

    def pieces(name: str, kind: str) -> list[tuple[int, int]]:
        """Left edge and width, in hundredths of the axis."""
        found = []
        axis = node(page, name).locator(".cell-bar").bounding_box()
        assert axis
        for bar in node(page, name).locator(f"i.{kind}").all():
            box = bar.bounding_box()
            assert box
            found.append(
                (round((box["x"] - axis["x"]) / axis["width"] * 100), round(box["width"] / axis["width"] * 100))
            )
        return found

    assert pieces("outer", "span") == [(0, 100)]
    assert pieces("inner", "span") == [(20, 60)]
    assert pieces("outer", "gap") == [(0, 20), (80, 20)]
    assert pieces("outer", "path") == [(0, 20), (80, 20)]
    assert pieces("inner", "path") == [(20, 60)]
    assert pieces("beside", "path") == []


def test_keys_walk_the_timeline_close_and_open_its_branches_and_find_faults(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    opened(page, screen, scenes.checkout(scene, scene.now, fails=True))
    focused = page.locator(".grid-row.focused")
    for key in ("j", "j", "ArrowLeft"):
        page.keyboard.press(key)
    expect(focused).to_contain_text("handler")
    expect(focused).to_have_attribute("aria-expanded", "false")
    expect(nodes(page)).to_have_count(2)
    page.keyboard.press("ArrowRight")
    expect(nodes(page)).to_have_count(6)
    page.keyboard.press("e")
    expect(focused).to_contain_text("charge")
    page.keyboard.press("Enter")
    expect(panel(page).get_by_role("heading", name="charge", exact=True)).to_be_visible()
    page.keyboard.press("k")
    expect(panel(page).get_by_role("heading", name="DynamoDB", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel(page)).to_have_count(0)
    page.get_by_role("button", name="Close all").click()
    expect(nodes(page)).to_have_count(2)
    page.get_by_role("button", name="Open all").click()
    expect(nodes(page)).to_have_count(6)


def test_exceptions_show_what_caused_them_and_where_with_the_programs_own_frames_apart(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    opened(page, screen, scenes.checkout(scene, scene.now, fails=True))
    node(page, "handler").click()
    assert panel(page).locator(".raised b").all_inner_texts() == [
        "shop.errors.PaymentFailed",
        "httpx.ReadTimeout",
        "TimeoutError",
    ]
    assert panel(page).locator(".link-word").all_inner_texts() == ["caused by", "caused by"]
    frames = panel(page).locator(".exception").nth(1).locator("li")
    assert frames.locator(".file").all_text_contents()[:2] == ["/var/task/shop/bank.py:29", "httpx/_client.py:825"]
    assert [("library" in str(frame.get_attribute("class"))) for frame in frames.all()] == [False, True, True, True]
    expect(panel(page)).to_contain_text("11 frames were left out")
    node(page, "charge").click()
    expect(panel(page).locator(".raised b")).to_have_text("httpx.ReadTimeout")
    panel(page).get_by_role("button", name="Raised in").click()
    expect(panel(page).get_by_role("heading", level=2)).to_have_text("handler")


def test_the_panel_shows_annotations_metadata_sql_aws_and_http(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    opened(page, screen, scenes.checkout(scene, scene.now))
    node(page, "handler").click()
    assert panel(page).locator("h3").all_inner_texts() == ["Overview", "HTTP", "Annotations", "Metadata"]
    expect(panel(page).locator(".json-key", has_text="basket")).to_be_visible()
    panel(page).locator("button", has_text="items").click()
    expect(panel(page)).to_contain_text("feature_flags")
    node(page, "shop@orders").click()
    expect(panel(page).locator(".sql")).to_have_text(
        "INSERT INTO orders (id, customer, total, placed) VALUES (?, ?, ?, now()) RETURNING id"
    )
    expect(panel(page)).to_contain_text("PostgreSQL 16.2")
    node(page, "DynamoDB").click()
    expect(panel(page)).to_contain_text("GetItem")
    expect(panel(page)).to_contain_text("baskets")
    node(page, "api.bank").click()
    expect(panel(page).locator(".request")).to_have_text("POST https://api.bank.example/v2/charges")
    expect(panel(page)).to_contain_text("201")


def test_raw_json_is_the_document_and_can_be_copied(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    documents = scenes.checkout(scene, scene.now)
    opened(page, screen, documents)
    node(page, "SQS").click()
    page.keyboard.press("r")
    sent = documents[0]["subsegments"][0]["subsegments"][-1]
    raw = page.locator("pre.raw")
    expect(raw).to_be_visible()
    assert json.loads(raw.inner_text()) == sent
    panel(page).get_by_role("button", name="Copy as JSON").click()
    panel(page).get_by_role("button", name="copied").wait_for()
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == sent


def test_an_annotation_leads_to_the_traces_that_have_it(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.page(scene, scene.now - 3))
    opened(page, screen, scenes.retried(scene, scene.now))
    node(page, "stock-worker").click()
    panel(page).get_by_role("link", name="Traces with attempts 3").click()
    expect(page.get_by_role("combobox", name="Filter expression")).to_have_value("annotation.attempts = 3")
    expect(page.locator(".rows .row")).to_have_count(1)


def test_what_is_in_progress_cut_or_not_sent_says_so_and_changes_when_it_ends(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    handler, done = scenes.unfinished(scene, scene.now)
    opened(page, screen, [handler, done])
    expect(node(page, "report")).to_contain_text("not sent")
    expect(node(page, "handler").locator("i.running")).to_be_visible()
    expect(node(page, "S3").get_by_label("truncated")).to_be_visible()
    node(page, "S3").click()
    expect(panel(page)).to_contain_text("Truncated: something was left out")
    del handler["in_progress"]
    screen.send([{**handler, "end_time": scene.now + 0.5}])
    expect(node(page, "handler")).to_contain_text("500 ms")
    expect(page.locator(".trace-figures")).to_contain_text("500 ms")


def test_a_link_opens_the_trace_with_what_was_selected(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    documents = scenes.page(scene, scene.now)
    render = documents[-1]["subsegments"][-1]
    opened(page, screen, documents, at=render["id"])
    expect(panel(page).get_by_role("heading", name="render")).to_be_visible()
    expect(page.locator(".grid-row[aria-selected=true]")).to_contain_text("render")


def test_the_map_of_a_trace_shows_who_called_whom_and_selects_what_is_clicked(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    opened(page, screen, scenes.page(scene, scene.now))
    boxes = page.locator(".trace-map .box b")
    expect(boxes).to_have_count(5)
    assert sorted(boxes.all_inner_texts()) == [
        "Redis@cache.internal",
        "catalog",
        "prices",
        "shop",
        "shop@orders.db.internal",
    ]
    page.get_by_role("button", name="Select prices").click()
    expect(panel(page).get_by_role("heading", name="prices", exact=True)).to_be_visible()
    page.get_by_role("button", name="Map", exact=True).click()
    expect(boxes).to_have_count(0)
    page.reload()
    expect(nodes(page).first).to_be_visible()
    expect(boxes).to_have_count(0)


def test_a_drag_over_the_axis_zooms_in(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    opened(page, screen, scenes.page(scene, scene.now))
    ruler = page.locator(".ruler-axis").bounding_box()
    assert ruler
    before = page.locator(".ruler-axis span").all_inner_texts()
    page.mouse.move(ruler["x"] + ruler["width"] * 0.4, ruler["y"] + 10)
    page.mouse.down()
    page.mouse.move(ruler["x"] + ruler["width"] * 0.5, ruler["y"] + 10, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Whole trace")).to_be_visible()
    assert page.locator(".ruler-axis span").all_inner_texts() != before
    page.get_by_role("button", name="Whole trace").click()
    assert page.locator(".ruler-axis span").all_inner_texts() == before


def test_five_thousand_subsegments_scroll_with_few_elements_and_the_search_finds_one_among_them(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    documents = scenes.nightly(scene, scene.now - 25)
    trace_id = str(documents[0]["trace_id"])
    screen.send(documents)
    page.goto(f"/?trace={trace_id}")
    expect(page.locator(".trace-title")).to_contain_text("5 000 subsegments")
    assert nodes(page).count() < 80
    frames = page.evaluate(SCROLL)
    assert frames["rows"] > 4_900, "the last rows were reached"
    assert frames["blank"] == 0, "no frame without rows"
    assert frames["median"] < 250, "milliseconds a frame; some ten where nothing else runs"
    page.keyboard.press("/")
    page.keyboard.type("row 3857")
    expect(page.locator(".hits")).to_have_text("1")
    page.keyboard.press("Enter")
    expect(page.locator(".grid-row.focused")).to_contain_text("row 3857")
    expect(page.locator(".hits")).to_have_text("1 of 1")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    page.keyboard.press("e")
    expect(page.locator(".grid-row.focused")).to_contain_text("row 3857")
    expect(page.locator(".grid-row.focused").get_by_label("error")).to_be_visible()
    page.goto(f"/?trace={trace_id}&at={documents[51]['subsegments'][7]['id']}")
    expect(page.locator(".grid-row[aria-selected=true]")).to_contain_text("row 2507")
    expect(page.locator(".grid-row[aria-selected=true]")).to_be_in_viewport()


# Scrolls through all of it in sixty steps, and looks at each frame whether there are rows where one looks.
SCROLL = """async () => {
  const scroller = document.querySelector('.grid');
  const steps = 60, times = [];
  let blank = 0;
  for (let step = 1; step <= steps; step++) {
    const start = performance.now();
    scroller.scrollTop = (scroller.scrollHeight - scroller.clientHeight) * step / steps;
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - start);
    const box = scroller.getBoundingClientRect();
    if (!document.elementFromPoint(box.x + 60, box.y + box.height / 2)?.closest('.grid-row')) blank++;
  }
  const last = [...document.querySelectorAll('.grid-row')].at(-1).querySelector('.cut').textContent;
  return { median: times.sort((a, b) => a - b)[steps / 2] / 2, blank, rows: Number(last.replace(/\\D/g, '')) };
}"""
