"""The screen's JSON and the page's parts, asked without a browser: what is answered, what is refused, and how."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.viewer.made import NOON, a_trace_id, alone, call, segment
from tests.viewer.running import running, until
from tests.viewer.screen.asking import Client
from xray_lambda.viewer import screen
from xray_lambda.viewer.documents import parse
from xray_lambda.viewer.sampling import Sampling
from xray_lambda.viewer.screen import events, pages
from xray_lambda.viewer.screen.figures import EDGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.routing import Route

    from tests.viewer.running import Running
    from xray_lambda.viewer.serve import Viewer

PAGE = Path(pages.__file__).parent / "page"
OURS = {"X-Requested-With": "xray-lambda"}


@pytest.fixture(scope="module")
def started() -> Iterator[Running]:
    with running(routes_of=with_rules) as one:
        yield one


def with_rules(viewer: Viewer) -> Sequence[Route]:
    viewer.rules = Sampling(None)
    return screen.routes(viewer)


@pytest.fixture
def viewer(started: Running) -> Viewer:
    """The viewer, as if it had just started."""
    started.viewer.store.clear()
    started.viewer.rules.replace([])
    started.viewer.rejections.clear()
    started.viewer.counters.rejected = 0
    return started.viewer


@pytest.fixture
def client(started: Running, viewer: Viewer) -> Client:
    return Client(started.port)


def put(viewer: Viewer, *documents: dict[str, Any]) -> None:
    viewer.add([parse(json.dumps(document)) for document in documents])


def traces(viewer: Viewer, *seconds: float, **more: Any) -> list[str]:
    """Store a trace of each of these durations, a second after another; returns their ids."""
    ids = [a_trace_id(place) for place in range(len(seconds))]
    for place, took in enumerate(seconds):
        put(viewer, segment("shop", float(place), took, trace_id=ids[place], **more))
    return ids


def test_the_page_and_each_of_its_parts_come_with_their_type_and_a_strict_policy(client: Client) -> None:
    names = ["", *(f"page/{file.relative_to(PAGE).as_posix()}" for file in PAGE.rglob("*") if file.suffix == ".js")]
    assert len(names) > 30
    for name in names:
        answer = client.get(f"/{name}")
        assert answer.status == 200
        assert answer.headers["content-type"].split(";")[0] == ("text/javascript" if name else "text/html")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_part_that_has_not_changed_is_not_sent_again(client: Client) -> None:
    first = client.get("/page/main.js")
    again = client.get("/page/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/page/../__init__.py", "/page/..%2f__init__.py", "/page/%2e%2e/pages.py", "/page/..%5c..%5cpages.py",
        "/page//etc/passwd", "/page/%2fetc%2fpasswd", "/page/vendor/../../pages.py", "/page/index.html%00.js", "/page/",
        "/page/vendor", "/page/vendor/inter.LICENSE",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_page(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status == 404
    assert b"import" not in answer.content


def test_the_page_asks_nothing_of_other_hosts_and_has_nothing_inline() -> None:
    index = (PAGE / "index.html").read_text("utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!/page/)", index)
    assert not re.findall(r"<script(?![^>]*src=)|<style|\son\w+=|style=", index)
    for file in [*PAGE.glob("*.js"), *PAGE.glob("style/*.css")]:
        text = re.sub(r"http://www\.w3\.org/\S+", "", file.read_text("utf-8"))
        assert not re.findall(r"https?://\w", text), file.name
        assert not re.findall(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), file.name


def test_traces_come_newest_first_page_by_page(client: Client, viewer: Viewer) -> None:
    ids = traces(viewer, *[0.1] * 25)
    first = client.get("/api/traces?limit=20").json()
    second = client.get("/api/traces", params={"limit": 20, "before": first["next"]}).json()
    assert [each["trace_id"] for each in [*first["traces"], *second["traces"]]] == ids[::-1]
    assert second["next"] is None


def test_a_row_has_what_the_list_shows(client: Client, viewer: Viewer) -> None:
    http = {"request": {"method": "GET", "url": "http://x/y"}, "response": {"status": 503}}
    [trace_id] = traces(viewer, 0.25, http=http, fault=True, annotations={"ColdStart": True, "order": 17})
    [row] = client.get("/api/traces").json()["traces"]
    assert row == {
        "trace_id": trace_id, "start": NOON, "end": NOON + 0.25, "duration": 0.25, "response_time": 0.25,
        "name": "shop",
        "origin": "", "method": "GET", "url": "http://x/y", "status": 503, "user": None, "fault": True, "error": False,
        "throttle": False, "in_progress": False, "cold_start": True, "documents": 1, "subsegments": 0,
        "annotations": {"ColdStart": True, "order": 17},
    }  # fmt: skip


def test_filter_range_and_brush_narrow_every_figure_alike(client: Client, viewer: Viewer) -> None:
    ids = traces(viewer, 0.1, 0.2, 0.4, 0.9)
    view = {"filter": "duration > 0.15", "since": NOON + 1, "until": NOON + 3, "slower": 0.15, "faster": 0.8}
    found = client.get("/api/traces", params=view).json()["traces"]
    assert [row["trace_id"] for row in found] == [ids[2], ids[1]]
    assert client.get("/api/histogram", params=view).json()["count"] == 2
    assert client.get("/api/map", params=view).json()["nodes"][-1]["requests"] in (0, 2)
    changed = client.get("/api/changed", params={**view, "ids": ",".join([ids[0], ids[2], "nonsense"])}).json()
    assert [row["trace_id"] for row in changed["traces"]] == [ids[2]]


@pytest.mark.parametrize("path", ["traces", "changed", "histogram", "map", "coldstarts"])
def test_a_filter_that_cannot_be_read_says_where(client: Client, path: str) -> None:
    answer = client.get(f"/api/{path}", params={"filter": "fault AND ("})
    fault = answer.json()["filter_error"]
    assert fault["position"] == 11
    assert fault["message"]


@pytest.mark.parametrize(
    "query",
    [
        "since=soon",
        "until=nan",
        "limit=-1",
        "limit=1.5",
        "limit=99999",
        "slower=1e999",
        "before=x",
        "filter=" + "x" * 20_000,
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_in_words(client: Client, query: str) -> None:
    answer = client.get(f"/api/traces?{query}")
    assert answer.status == 400
    assert answer.json()["message"]


@pytest.mark.parametrize("text", ["'; DROP TABLE traces; --", '" OR 1=1 --', "\x00", "1) OR (1", "%", "_"])
def test_text_never_becomes_sql(client: Client, viewer: Viewer, text: str) -> None:
    traces(viewer, 0.1)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    for asked in (text, f'service("{quoted}")', f'annotation.x = "{quoted}"', f'http.url CONTAINS "{quoted}"'):
        for path in ("traces", "histogram", "map", "coldstarts"):
            assert client.get(f"/api/{path}", params={"filter": asked}).status == 200
    client.get("/api/changed", params={"ids": text})
    client.get(f"/api/trace/{quote(text)}")
    client.get("/api/complete", params={"text": text, "at": 1})
    assert len(client.get("/api/traces").json()["traces"]) == 1


def test_the_histograms_bars_count_each_trace_once_by_how_it_ended(client: Client, viewer: Viewer) -> None:
    ids = traces(viewer, 0.105, 0.106, 0.3, 5.1)
    put(viewer, segment("shop", 9.0, 0.3, trace_id=a_trace_id(9), fault=True))
    put(viewer, segment("shop", 10.0, 0.3, trace_id=a_trace_id(10), error=True))
    answer = client.get("/api/histogram").json()
    bars = [bar for bar in answer["buckets"] if bar["count"]]
    assert [(bar["count"], bar["faults"], bar["errors"]) for bar in bars] == [(2, 0, 0), (3, 1, 1), (1, 0, 0)]
    assert all(bar["from"] in EDGES for bar in answer["buckets"])
    assert all(one["to"] == other["from"] for one, other in zip(answer["buckets"], answer["buckets"][1:], strict=False))
    assert (answer["count"], answer["p99"]) == (len(ids) + 2, pytest.approx(5.1))


@pytest.mark.parametrize("seconds", [0.0, 1e-7, 1e-5, 9e5, 5e6])
def test_the_histogram_has_a_bar_for_any_duration(client: Client, viewer: Viewer, seconds: float) -> None:
    traces(viewer, seconds)
    buckets = client.get("/api/histogram").json()["buckets"]
    assert sum(bar["count"] for bar in buckets) == 1
    assert all(0 < bar["from"] < bar["to"] for bar in buckets)


def test_no_traces_have_no_histogram_no_map_and_no_cold_starts(client: Client) -> None:
    assert client.get("/api/histogram").json() == {"buckets": [], "count": 0, "p50": None, "p99": None}
    assert client.get("/api/map").json() == {"nodes": [], "edges": []}
    assert client.get("/api/coldstarts").json()["count"] == 0


def test_a_trace_is_a_flat_list_parents_first_however_deep_it_is(client: Client, viewer: Viewer) -> None:
    deepest = call("deepest")
    for depth in range(90):
        deepest = call(f"depth {depth}", subsegments=[deepest])
    root = segment("shop", subsegments=[deepest])
    late = alone(root["id"], "late", 0.9)
    put(viewer, root, late)
    answer = client.get(f"/api/trace/{root['trace_id']}").json()
    entities = answer["entities"]
    assert len(entities) == 93
    met = set()
    for entity in entities:
        assert entity["parent"] is None or entity["parent"] in met
        assert "subsegments" not in entity["document"]
        met.add(entity["id"])
    assert entities[-1]["document"]["name"] == "late"
    assert answer["problems"] == []


def test_what_is_odd_about_a_trace_is_said(client: Client, viewer: Viewer) -> None:
    outer = segment("shop", 1.0)
    early = segment("catalog", 0.9, 0.2, parent_id=outer["id"])
    put(viewer, outer, early, segment("other", 5.0))
    problems = client.get(f"/api/trace/{outer['trace_id']}").json()["problems"]
    assert len(problems) == 2
    assert problems[0].startswith("2 segments name no parent")
    assert problems[1] == "catalog begins 100.0 ms before shop, which called it: their clocks differ."


def test_a_trace_that_is_not_there_is_not_found(client: Client) -> None:
    for path in ("1-0-0", "1-0-0/export", "%00", "%3Cscript%3E"):
        assert client.get(f"/api/trace/{path}").status == 404


def test_an_exported_trace_can_be_read_again_with_the_documents_as_they_came(client: Client, viewer: Viewer) -> None:
    document = segment("shop", subsegments=[call("price")])
    put(viewer, document)
    [trace] = client.get(f"/api/trace/{document['trace_id']}/export").json()["Traces"]
    assert [json.loads(part["Document"]) for part in trace["Segments"]] == [document]


def test_cold_starts_are_summed_up_by_function_and_in_progress_ones_left_out(client: Client, viewer: Viewer) -> None:
    for place, (name, cold, took) in enumerate(
        [("a", 1, 2.0), ("a", 0, 0.5), ("b", 1, 0.7), ("a", 0, 0.5), ("a", 1, None)]
    ):
        document = segment(name, float(place), took, trace_id=a_trace_id(place), annotations={"ColdStart": bool(cold)})
        put(viewer, document)
    answer = client.get("/api/coldstarts").json()
    assert [(each["name"], each["count"], each["cold"], each["cost"]) for each in answer["functions"]] == [
        ("a", 3, 1, 1.5),
        ("b", 1, 1, 0.0),
    ]
    assert (answer["count"], answer["cold"], answer["share"], answer["cost"]) == (4, 2, 0.5, 1.5)
    assert len(answer["traces"]) == 3


def test_completions_say_what_they_replace(client: Client, viewer: Viewer) -> None:
    traces(viewer, 0.1, annotations={"order": 17}, user="ada")
    completed = {"text": '"shop"', "kind": "service", "detail": "service", "from": 8}
    # What was received is read anew every half second.
    until(lambda: completed in client.get("/api/complete", {"text": 'service("sh', "at": 11}).json()["items"])
    until(lambda: client.get("/api/complete", {"text": "user = ", "at": 7}).json()["items"][:1] != [])
    items = client.get("/api/complete", {"text": "user = ", "at": 7}).json()["items"]
    assert [item["text"] for item in items] == ['"ada"']


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/clear"), ("PUT", "/api/rules")])
def test_what_changes_something_needs_the_header_that_no_other_site_can_send(
    client: Client, viewer: Viewer, method: str, path: str
) -> None:
    traces(viewer, 0.1)
    before = viewer.rules.rules
    assert client.ask(method, path, b'{"rules": []}', {}).status == 403
    assert viewer.store.count() == 1
    assert viewer.rules.rules == before
    assert client.get(path).status in (200, 405)


def test_forgetting_empties_the_store(client: Client, viewer: Viewer) -> None:
    traces(viewer, 0.1)
    assert client.ask("POST", "/api/clear", b"", OURS).status == 200
    assert client.get("/api/status").json()["traces"] == 0


def test_rules_are_replaced_or_what_is_wrong_with_them_is_said(client: Client, viewer: Viewer) -> None:
    rule = {"RuleName": "checkout", "Priority": 10, "FixedRate": 0.5, "ReservoirSize": 2, "URLPath": "/checkout"}
    saved = client.ask("PUT", "/api/rules", json.dumps({"rules": [rule]}).encode(), OURS).json()
    assert [each["RuleName"] for each in saved["rules"]] == ["checkout", "Default"]
    assert saved == client.get("/api/rules").json()
    wrong = client.ask("PUT", "/api/rules", json.dumps({"rules": [{**rule, "FixedRate": 7}]}).encode(), OURS).json()
    assert [(each["rule"], each["field"]) for each in wrong["errors"]] == [("checkout", "FixedRate")]
    assert client.ask("PUT", "/api/rules", b"{nonsense", OURS).status == 400
    assert saved == client.get("/api/rules").json()


def test_rejections_come_newest_first(client: Client, viewer: Viewer) -> None:
    for text in ("[]", "{}"):
        with pytest.raises(ValueError, match=r"."):
            viewer.take(text)
    told = client.get("/api/rejections").json()["rejections"]
    assert [each["beginning"] for each in told] == ["{}", "[]"]
    assert client.get("/api/status").json()["rejected"] == 2


def test_the_live_stream_tells_the_state_then_what_happens_many_documents_in_one_event(viewer: Viewer) -> None:
    async def first(number: int) -> list[str]:
        found: list[str] = []
        stream = events._events(viewer)
        found.append((await anext(stream)).decode())
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)  # it listens from now on
        for place in range(number):
            viewer.events.tell("traces", [f"trace {place}", "the same"])
        viewer.events.tell("cleared")
        while '"trace 2"' not in "".join(found):
            found.append((await waiting).decode())
            waiting = asyncio.ensure_future(anext(stream))
        waiting.cancel()
        return found

    state, *rest = asyncio.run(first(3))
    assert state.startswith("retry: 1000\n\nevent: status\ndata: {")
    told = "".join(rest)
    assert [told.count(f'"trace {place}"') for place in range(3)] == [1, 1, 1]


def test_every_library_of_the_page_comes_with_its_licence() -> None:
    vendored = {file.stem for file in (PAGE / "vendor").iterdir() if file.suffix != ".LICENSE"} - {"hooks"}
    assert vendored == {file.stem for file in (PAGE / "vendor").glob("*.LICENSE")}


def test_no_file_of_the_page_is_too_long_to_read() -> None:
    ours = [*PAGE.glob("*.js"), *PAGE.glob("style/*.css")]
    long = {file.name: lines for file in ours if (lines := len(file.read_text("utf-8").splitlines())) > 300}
    assert not long
