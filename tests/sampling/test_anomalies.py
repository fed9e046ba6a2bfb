"""Adaptive sampling: how requests end is counted where a rule may be boosted, and a boost is obeyed while it lasts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.sampling.fakes import Clock, Stepped
from tests.servers.xray_api import BROKEN, XRayAPI, rule
from xray_lambda import _config
from xray_lambda._emitters.memory import MemoryEmitter
from xray_lambda._entities import Segment, UntracedSegment
from xray_lambda._header import TraceHeader
from xray_lambda._recorder import Recorder
from xray_lambda.sampling.anomalies import Endings, Watch
from xray_lambda.sampling.request import SamplingRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOSTED = rule("Default", 10_000, rate=0.0, reservoir=1, SamplingRateBoost={"MaxRate": 0.5, "CooldownWindowMinutes": 5})


@pytest.fixture
def api() -> Iterator[XRayAPI]:
    clock = Clock()
    with XRayAPI([BOOSTED], clock=clock) as api:
        yield api


@pytest.fixture
def stepped(api: XRayAPI) -> Stepped:
    stepped = Stepped(api, api.clock)  # type: ignore[arg-type]  # the fixture's
    stepped.step()
    return stepped


@pytest.fixture
def recorder(stepped: Stepped) -> Recorder:
    return Recorder(_config.load({}, strict=True, ignore=(KeyError,)), MemoryEmitter(), sampler=stepped.sampler)


def opened(recorder: Recorder, name: str = "shop") -> Segment | UntracedSegment:
    return recorder.segment(name, TraceHeader(), SamplingRequest(name, path="/"))


def test_each_request_that_ends_is_counted_and_each_fault_recorded_or_not(
    api: XRayAPI, stepped: Stepped, recorder: Recorder
) -> None:
    for status in (500, 503, 200, 404, 429):  # the first one is recorded, on borrowed quota
        with opened(recorder) as made:
            made.status(status)
    stepped.pass_time(10.2)
    assert [(one["RequestCount"], one["SampledCount"]) for one in api.statistics] == [(5, 1)]
    assert api.boosts == [
        {
            "RuleName": "Default", "ServiceName": "shop", "Timestamp": api.boosts[0]["Timestamp"],
            "AnomalyCount": 2, "TotalCount": 5, "SampledAnomalyCount": 1,
        }
    ]  # fmt: skip


WAYS = {
    "status": lambda made: made.status(500),
    "flag": lambda made: made.flag("error", "fault"),
    "exception": lambda made: made.exception(ValueError()),
    "no fault": lambda made: made.flag("error", "throttle"),
}


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_whatever_marks_a_fault_is_an_anomaly(recorder: Recorder, stepped: Stepped, way: str, sampled: bool) -> None:
    if not sampled:
        opened(recorder)
    watch = stepped.sampler._accounts["Default"].watch
    with opened(recorder) as made:
        WAYS[way](made)
    assert made.sampled is sampled
    anomaly = way != "no fault"
    assert str(watch.take()) == f"{{'shop': Endings(1, {int(anomaly)}, {int(anomaly and sampled)})}}"


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize(
    ("error", "anomaly"),
    [(ValueError(), True), (KeyError(), False), (asyncio.CancelledError(), False), (SystemExit(0), False)],
)
def test_an_exception_that_ends_a_request_is_an_anomaly_unless_it_is_no_fault(
    recorder: Recorder, stepped: Stepped, error: BaseException, anomaly: bool, sampled: bool
) -> None:
    if not sampled:
        opened(recorder)
    with pytest.raises(type(error)) as caught, opened(recorder):
        raise error
    assert caught.value is error
    endings = stepped.sampler._accounts["Default"].watch.take()["shop"]
    assert (endings.total, endings.anomalies, endings.sampled_anomalies) == (1, anomaly, anomaly and sampled)


@pytest.mark.parametrize("sampled", [True, False])
def test_a_segment_that_is_closed_twice_is_counted_once(recorder: Recorder, stepped: Stepped, sampled: bool) -> None:
    if not sampled:
        opened(recorder)
    made = opened(recorder)
    with made:
        if isinstance(made, Segment):
            made.close()
    made.__exit__(None, None, None)
    assert stepped.sampler._accounts["Default"].watch.take()["shop"].total == 1


def test_a_watched_segment_is_recorded_like_every_other(recorder: Recorder) -> None:
    with opened(recorder) as made, made.child("price"):
        pass
    emitter: Any = recorder.emitter
    assert len(emitter.documents) == 1
    assert '"sampling_rule_name":"Default"' in emitter.documents[0]


def test_a_rule_without_a_boost_is_not_watched(api: XRayAPI, stepped: Stepped, recorder: Recorder) -> None:
    api.rules = [rule("Default", 10_000)]
    stepped.sampler._refresh()
    with opened(recorder) as made:
        made.status(500)
    assert type(made) is Segment
    assert type(opened(recorder)) is UntracedSegment
    stepped.pass_time(10.2)
    assert api.boosts == []


def test_upstream_decisions_are_not_watched_since_no_rule_of_ours_made_them(recorder: Recorder) -> None:
    header = TraceHeader("1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8", "1")
    assert type(recorder.segment("shop", header)) is Segment


def test_a_boost_stands_in_for_the_rate_while_it_lasts(api: XRayAPI, stepped: Stepped) -> None:
    stepped.decide()
    api.extra["Default"] = {"SamplingBoost": {"BoostRate": 1.0, "BoostRateTTL": stepped.clock.now + 60}}
    stepped.pass_time(10.2)
    assert stepped.decide(requests=5) == (5, "Default")
    api.extra["Default"] = {}
    stepped.pass_time(40)
    assert stepped.decide(requests=5) == (5, "Default"), "the next targets say nothing of it, and it goes on"
    stepped.pass_time(10)
    assert stepped.decide(requests=5)[0] == 1


def test_what_could_not_be_reported_is_kept(api: XRayAPI, stepped: Stepped, recorder: Recorder) -> None:
    with opened(recorder) as made:
        made.status(500)
    api.faults = [BROKEN]
    stepped.pass_time(10.2)
    with opened(recorder) as made:
        made.status(200)
    stepped.pass_time(10.2)
    assert [(one["TotalCount"], one["AnomalyCount"]) for one in api.boosts] == [(2, 1)]


def test_endings_are_reported_though_no_request_began_since(api: XRayAPI, stepped: Stepped, recorder: Recorder) -> None:
    made = opened(recorder)
    made.__enter__()
    stepped.pass_time(10.2)
    made.__exit__(None, None, None)
    stepped.pass_time(10.2)
    assert [one["RequestCount"] for one in api.statistics] == [1]
    assert [one["TotalCount"] for one in api.boosts] == [1]


def test_services_are_counted_apart_and_at_most_25_in_a_call(
    api: XRayAPI, stepped: Stepped, recorder: Recorder
) -> None:
    api.rules.append({**BOOSTED, "RuleName": "other", "Priority": 1, "URLPath": "/other"})
    stepped.sampler._refresh()
    for number in range(40):
        with opened(recorder, f"s{number}"):
            pass
        with recorder.segment(f"s{number}", TraceHeader(), SamplingRequest("s", path="/other")):
            pass
    stepped.pass_time(10.2)
    assert len(api.boosts) == 50, "and of a rule's services 25, since hosts may name them"
    assert {one["TotalCount"] for one in api.boosts} == {1}
    assert len(api.statistics) == 2


def test_a_forked_child_reports_none_of_its_parents_endings(api: XRayAPI, stepped: Stepped, recorder: Recorder) -> None:
    with opened(recorder):
        pass
    stepped.sampler.start_anew()
    stepped.sampler._poller.started = True  # the test is
    stepped.pass_time(20)
    assert (api.statistics, api.boosts) == ([], [])


def test_a_watch_begins_anew_with_no_counts() -> None:
    watch = Watch()
    watch.ended("shop", sampled=True, anomaly=True)
    watch.start_anew()
    assert watch.take() == {}
    watch.give_back({"shop": Endings(2, 1, 0)})
    assert watch.take()["shop"].total == 2
