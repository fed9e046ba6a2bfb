"""The other views: map, comparison, cold starts, sampling rules, the daemon's counters and rejections."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.viewer.running import get
from tests.viewer.screen import scenes

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.viewer.screen.conftest import Screen
    from tests.viewer.screen.scenes import Scene

pytestmark = pytest.mark.full


def test_the_map_shows_services_by_kind_with_their_figures_and_a_click_filters_by_one(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    for number in range(4):
        screen.send(scenes.page(scene, scene.now - number, 500 if number == 0 else 200))
    screen.send(scenes.checkout(scene, scene.now - 5))
    page.goto("/?view=map")
    shop = page.get_by_role("button", name="Traces of shop 4 req")
    expect(shop).to_be_visible()
    expect(shop).to_contain_text("25 % faults")
    expect(page.get_by_role("button", name="Traces of baskets")).to_contain_text("DynamoDB Table")
    expect(page.locator(".box.client")).to_have_count(2)
    table = page.get_by_role("table")
    expect(table.get_by_role("row", name="prices")).to_contain_text("AWS::EC2::Instance")
    table.get_by_role("button", name="Service").click()
    expect(table.get_by_role("columnheader", name="Service")).to_have_attribute("aria-sort", "ascending")
    shop.click()
    expect(page.locator(".rows .row")).to_have_count(4)
    expect(page.get_by_role("combobox", name="Filter expression")).to_have_value('service("shop")')


def test_a_line_of_the_map_filters_by_the_calls_that_it_stands_for(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.page(scene, scene.now))
    screen.send(scenes.checkout(scene, scene.now - 1))
    page.goto("/?view=map")
    line = page.locator(".edge", has=page.locator("title", has_text="checkout → baskets"))
    line.locator(".wide").dispatch_event("click")
    expect(page.get_by_role("combobox", name="Filter expression")).to_have_value('edge("checkout", "baskets")')
    expect(page.locator(".rows .row")).to_have_count(1)


def test_the_map_follows_what_arrives(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    page.goto("/?view=map")
    expect(page.get_by_text("No services")).to_be_visible()
    screen.send(scenes.retried(scene, scene.now))
    expect(page.get_by_role("button", name="Traces of stock-worker").first).to_be_visible()


def test_two_traces_are_chosen_and_compared_step_by_step(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    slow = screen.send(scenes.checkout(scene, scene.now - 4, fails=True))
    screen.send(scenes.checkout(scene, scene.now))
    page.goto("/")
    expect(page.locator(".rows .row")).to_have_count(2)
    page.keyboard.press("j")
    page.keyboard.press("c")
    expect(page.get_by_role("status").filter(has_text="Choose the trace to compare with")).to_be_visible()
    page.locator(f"[data-trace='{slow}']").click()
    steps = page.get_by_role("option")
    expect(steps).to_have_count(8)
    assert [step.locator(".cell-name .cut").inner_text() for step in steps.all()] == [
        "checkout", "handler", "validate", "DynamoDB", "charge", "api.bank.example", "shop@orders.db.internal", "SQS",
    ]  # fmt: skip
    expect(steps.nth(6)).to_contain_text("only in A")
    expect(steps.nth(4).locator(".slower")).to_contain_text("+1.9")
    expect(page.locator(".difference")).to_contain_text("B took")
    assert f"versus={slow}" in page.url
    page.get_by_role("button", name="Swap sides").click()
    expect(page.get_by_role("option").nth(6)).to_contain_text("only in B")
    expect(page.locator(".difference")).to_contain_text("A took")


def test_the_cold_start_lens_tells_their_share_and_what_they_cost(page: Page, screen: Screen, scene: Scene) -> None:
    from playwright.sync_api import expect

    for number, (cold, took) in enumerate([(True, 0.9), (False, 0.1), (False, 0.1), (True, 0.7)]):
        handler = scene.part("handler", scene.now - number, took, annotations={"ColdStart": cold})
        trace_id = scene.trace_id(scene.now)
        screen.send([scene.segment("thumbnails", scene.now - number, took, trace_id, subsegments=[handler])])
    screen.send(scenes.page(scene, scene.now))
    page.goto("/?view=cold")
    cards = page.locator(".figure-card")
    expect(cards.first).to_contain_text("50 %")
    assert [card.locator(".figure").inner_text() for card in cards.all()] == ["50 %", "900 ms", "100 ms", "1.40 s"]
    expect(page.locator(".function")).to_contain_text("+800 ms each")
    page.get_by_role("table").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="thumbnails")).to_be_visible()


def test_sampling_rules_are_added_corrected_and_saved(page: Page, screen: Screen) -> None:
    from playwright.sync_api import expect

    page.goto("/?view=rules")
    page.get_by_role("button", name="Add a rule").click()
    page.get_by_label("Name of the new rule").fill("checkout")
    page.get_by_label("Path of checkout").fill("/checkout*")
    page.get_by_label("Then % of checkout").fill("150")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Not saved")).to_contain_text("checkout, Then %")
    expect(page.get_by_label("Then % of checkout")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Then % of checkout").fill("25")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Then % of checkout")).to_have_value("25")
    expect(page.get_by_label("Name of Default")).not_to_be_editable()
    page.get_by_role("button", name="Remove checkout").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()


def test_what_was_rejected_is_counted_on_every_view_and_its_reason_told(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.page(scene, scene.now))
    page.goto("/")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(scenes.HEADER + b'{"trace_id": "1-x", "name": "<b>bold</b>"}', ("127.0.0.1", screen.port))
    page.get_by_role("link", name="rejected").click()
    expect(page.locator(".reason").first).to_contain_text("trace_id is '1-x'")
    expect(page.locator(".rejections pre").first).to_contain_text("<b>bold</b>")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"nonsense", ("127.0.0.1", screen.port))
    expect(page.locator(".rejections pre").first).to_have_text("nonsense")


def test_forgetting_all_traces_asks_once_more_and_ends_on_the_first_visit(
    page: Page, screen: Screen, scene: Scene
) -> None:
    from playwright.sync_api import expect

    screen.send(scenes.page(scene, scene.now))
    page.goto("/?view=daemon")
    page.get_by_role("button", name="Forget all traces …").click()
    page.get_by_role("button", name="Forget all traces", exact=True).click()
    expect(page.get_by_role("heading", name="Send the first trace")).to_be_visible()


def test_a_trace_that_is_not_there_says_so_and_comes_when_it_arrives(
    page: Page, screen: Screen, scene: Scene, said: list[str]
) -> None:
    from playwright.sync_api import expect

    documents = scenes.page(scene, scene.now)
    trace_id = documents[0]["trace_id"]
    page.goto(f"/?trace={trace_id}")
    expect(page.get_by_role("heading", name="This trace is not here")).to_be_visible()
    assert [text for text in said if "404" not in text] == []
    said.clear()
    screen.send(documents)
    expect(page.get_by_role("heading", name="shop")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 200),
        ("/", {"host": "evil.example"}, 421),
        ("/api/traces", {"host": "evil.example:2001"}, 421),
        ("/api/traces", {"origin": "http://evil.example"}, 403),
        ("/page/../../serve.py", {}, 404),
        ("/page/%2e%2e/%2e%2e/serve.py", {}, 404),
    ],
)
def test_the_running_viewer_answers_its_own_page_alone(
    process: Screen, path: str, headers: dict[str, str], status: int
) -> None:
    answered, content = get(process.screen_port, path, **headers)
    assert answered == status
    assert b"import" not in content
