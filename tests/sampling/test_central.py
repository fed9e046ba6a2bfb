"""X-Ray's rules in force: fetched, applied, refreshed, granted for and reported, through a daemon's TCP side."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.sampling.fakes import SHOP, START, Clock, Stepped
from tests.servers.xray_api import BROKEN, THROTTLED, Answer, XRayAPI, rule
from xray_lambda.sampling.request import SamplingRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES, TARGETS = "/GetSamplingRules", "/SamplingTargets"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(clock: Clock) -> Iterator[XRayAPI]:
    with XRayAPI(clock=clock) as api:
        yield api


@pytest.fixture
def stepped(api: XRayAPI, clock: Clock) -> Stepped:
    return Stepped(api, clock)


def counts(statistics: list[dict[str, Any]]) -> list[tuple[str, int, int, int]]:
    return [(one["RuleName"], one["RequestCount"], one["SampledCount"], one["BorrowCount"]) for one in statistics]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class TestRules:
    def test_until_the_first_rules_are_there_local_ones_decide(self, stepped: Stepped) -> None:
        assert stepped.decide() == (0, None)
        stepped.step()
        assert stepped.decide() == (1, "Default")

    def test_all_pages_are_read(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules = [rule(f"r{number:02}", number + 1, ServiceName=f"s{number}") for number in range(23)]
        api.page_size = 5
        stepped.step()
        assert [body for path, body in api.calls if path == RULES] == [
            {},
            *({"NextToken": str(n)} for n in (5, 10, 15, 20)),
        ]
        assert [stepped.decide(SamplingRequest(f"s{number}"))[1] for number in range(23)] == [
            f"r{number:02}" for number in range(23)
        ]

    def test_priority_comes_first_then_the_name_then_the_default(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules = [rule("Default", 3), rule("b", 5), rule("z", 4, URLPath="/z"), rule("a", 5)]
        stepped.step()
        assert [one.yes.rule for one in stepped.sampler._in_force[0].rules] == ["z", "a", "b", "Default"]
        assert stepped.decide()[1] == "a"
        assert stepped.decide(SamplingRequest("shop", path="/z"))[1] == "z"

    def test_every_field_is_compared(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules = [
            rule("no", 1, ServiceName="x"), rule("no", 2, Host="x"), rule("no", 3, HTTPMethod="x"),
            rule("no", 4, URLPath="x"), rule("no", 5, ServiceType="x"), rule("no", 6, Attributes={"a": "x"}),
            rule("yes", 7, ServiceName="s*", Host="*.example", HTTPMethod="get", URLPath="/?", ServiceType="*ECS*",
                 Attributes={"tier": "g??d"}),
        ]  # fmt: skip
        stepped.step()
        request = SamplingRequest("shop", "shop.example", "GET", "/x", "AWS::ECS::Container", {"tier": "gold"})
        assert stepped.decide(request)[1] == "yes"
        assert stepped.decide() == (0, None)

    def test_the_default_fits_everything(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules = [rule("Default", 10_000, Host="left", URLPath="/over")]
        stepped.step()
        assert stepped.decide(SamplingRequest("nightly"))[1] == "Default"

    def test_rules_are_asked_for_again_after_five_minutes(self, api: XRayAPI, stepped: Stepped) -> None:
        stepped.pass_time(300)
        assert api.asked(RULES) == 1
        api.rules.append(rule("shop", ServiceName="shop"))
        stepped.pass_time(5)
        assert api.asked(RULES) == 2
        assert stepped.decide()[1] == "shop"

    def test_rules_that_were_changed_are_asked_for_at_once(self, api: XRayAPI, stepped: Stepped) -> None:
        stepped.step()
        stepped.decide()
        api.rules.append(rule("shop", ServiceName="shop"))
        api.modified += 1
        stepped.pass_time(10.2)
        assert stepped.decide()[1] == "shop"
        stepped.pass_time(60)
        assert api.asked(RULES) == 2, "X-Ray's clock may be another: what counts is what it said before"

    def test_rules_that_are_an_hour_old_give_way_to_local_ones(self, api: XRayAPI, stepped: Stepped) -> None:
        stepped.step()
        api.faulty = BROKEN
        stepped.pass_time(3599)
        assert stepped.decide()[1] == "Default"
        stepped.pass_time(1)
        assert stepped.decide() == (0, None)
        api.faulty = None
        stepped.pass_time(300)
        assert stepped.decide() == (1, "Default")

    @pytest.mark.parametrize(
        ("record", "why"),
        [
            (7, "7 is left out: it is no SamplingRule"),
            ({"SamplingRule": None}, "{'SamplingRule': None} is left out: it is no SamplingRule"),
            ({"SamplingRule": rule("new", Version=2)}, "'new' is left out: its format has version 2"),
            (
                {"SamplingRule": rule("one", ResourceARN="arn:aws:ecs:*")},
                "'one' is left out: it is for one resource's ARN, and no segment knows that of its own",
            ),
            ({"SamplingRule": {}}, "None is left out: a rule has no RuleName"),
            ({"SamplingRule": rule("r", FixedRate=7)}, "'r' is left out: FixedRate is 7, expected 0 to 1"),
            ({"SamplingRule": rule("r", FixedRate="x")}, "'r' is left out: FixedRate is 'x', expected 0 to 1"),
            (
                {"SamplingRule": rule("r", ReservoirSize=-1)},
                "'r' is left out: ReservoirSize is -1, expected a whole number, 0 or more",
            ),
            (
                {"SamplingRule": rule("r", Priority=None)},
                "'r' is left out: Priority is None, expected a whole number, 0 or more",
            ),
            ({"SamplingRule": rule("r", URLPath=["/"])}, "'r' is left out: URLPath is ['/'], expected a text"),
            ({"SamplingRule": rule("r", Attributes={"a": 1})}, "'r' is left out: a is 1, expected a text"),
            ({"SamplingRule": rule("r", Attributes=[1])}, "'r' is left out: Attributes is [1], expected an object"),
            (
                {"SamplingRule": rule("r", ReservoirSize=10**400)},
                f"'r' is left out: ReservoirSize is {'1' + '0' * 59}, expected a whole number, 0 or more",
            ),
        ],
    )
    def test_a_rule_that_cannot_be_judged_by_is_left_out_and_told_once(
        self,
        api: XRayAPI,
        stepped: Stepped,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        record: Any,
        why: str,
    ) -> None:
        page = {"SamplingRuleRecords": [record, {"SamplingRule": rule("Default", 10_000)}]}
        monkeypatch.setattr(api, "_page", lambda body: page)
        stepped.pass_time(1000)
        assert api.asked(RULES) == 4
        assert stepped.decide() == (1, "Default")
        assert warnings(caplog) == [f"xray_lambda: X-Ray's sampling rule {why}"]

    def test_pages_without_end_are_given_up(
        self, api: XRayAPI, stepped: Stepped, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api, "_page", lambda body: {"SamplingRuleRecords": [], "NextToken": "again"})
        stepped.step()
        assert api.asked(RULES) == 100
        assert stepped.decide() == (0, None)
        assert "the rules do not end after 100 pages" in warnings(caplog)[0]


class TestGrants:
    def test_one_a_second_is_borrowed_until_a_quota_is_granted(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules = [rule("Default", 10_000, rate=0.0, reservoir=4)]
        stepped.step()
        sampled = []
        for _ in range(14):
            sampled.append(stepped.decide(requests=6)[0])
            stepped.pass_time(1)
        assert sampled == [1] * 11 + [4] * 3
        assert counts(api.statistics) == [("Default", 66, 11, 11)]
        assert [one["Timestamp"] for one in api.statistics] == [START + 10]

    def test_a_quota_lasts_as_long_as_it_says(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules = [rule("Default", 10_000, rate=0.0, reservoir=3)]
        stepped.step()
        stepped.decide()
        stepped.pass_time(10.2)
        granted_until = api.grants[0][3]["ReservoirQuotaTTL"]
        api.faulty = BROKEN
        stepped.pass_time(granted_until - stepped.clock.now)
        assert stepped.decide(requests=9) == (3, "Default")
        stepped.pass_time(1)
        assert stepped.decide(requests=9) == (1, "Default")

    def test_the_rate_of_a_target_counts_until_the_rule_has_another(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules = [rule("Default", 10_000, rate=0.1, reservoir=0)]
        api.extra["Default"] = {"FixedRate": 1.0}
        stepped.step()
        assert stepped.decide(requests=3) == (0, "Default")
        stepped.pass_time(10.2)
        assert stepped.decide(requests=3) == (3, "Default")
        stepped.pass_time(300)
        assert stepped.decide(requests=3) == (3, "Default"), "the same rule, fetched again"
        api.rules = [rule("Default", 10_000, rate=0.2, reservoir=0)]
        stepped.sampler._refresh()
        assert stepped.decide(requests=3) == (0, "Default"), "before any target of the new one"

    def test_a_target_without_a_quota_leaves_the_old_one_its_time(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules = [rule("Default", 10_000, rate=0.0, reservoir=3)]
        stepped.step()
        stepped.decide()
        stepped.pass_time(10.2)
        api.extra["Default"] = {"ReservoirQuota": None, "ReservoirQuotaTTL": None}
        stepped.decide()
        stepped.pass_time(10.2)
        assert len(api.grants) == 2
        assert stepped.decide(requests=5) == (3, "Default")
        stepped.pass_time(6)
        assert stepped.decide(requests=5) == (1, "Default")

    def test_a_rule_is_reported_at_its_own_interval(self, api: XRayAPI, clock: Clock) -> None:
        stepped = Stepped(api, clock, chance=0.0)
        api.rules = [
            rule("slow", 1, ServiceName="slow"),
            rule("quick", 2, ServiceName="quick"),
            rule("Default", 10_000),
        ]
        api.extra = {"slow": {"Interval": 25}, "quick": {"Interval": 3}, "Default": {"Interval": None}}
        stepped.step()
        for _ in range(61):
            for service in ("slow", "quick", "other"):
                stepped.decide(SamplingRequest(service))
            stepped.pass_time(1)
        times: dict[str, list[int]] = {}
        for one in api.statistics:
            times.setdefault(one["RuleName"], []).append(int(one["Timestamp"] - START))
        assert times["slow"] == [10, 35, 60]
        assert times["Default"] == [10, 20, 30, 40, 50, 60]
        assert times["quick"][:5] == [10, 13, 16, 19, 22]

    @pytest.mark.parametrize("interval", [0, -5, 1e300, "soon", True, None, float("nan")])
    def test_an_interval_that_makes_no_sense_does_no_harm(self, api: XRayAPI, stepped: Stepped, interval: Any) -> None:
        api.extra["Default"] = {"Interval": interval}
        stepped.step()
        for _ in range(30):
            stepped.decide()
            stepped.pass_time(1)
        assert 1 <= api.asked(TARGETS) <= 22

    @pytest.mark.parametrize(
        "extra",
        [
            {"FixedRate": 2}, {"FixedRate": "1"}, {"ReservoirQuota": -1}, {"ReservoirQuota": "many"},
            {"ReservoirQuotaTTL": "late"}, {"SamplingBoost": {"BoostRate": 3, "BoostRateTTL": 1}},
            {"SamplingBoost": {"BoostRate": 1}},
        ],
    )  # fmt: skip
    def test_a_target_that_makes_no_sense_changes_nothing(
        self, api: XRayAPI, stepped: Stepped, caplog: pytest.LogCaptureFixture, extra: dict[str, Any]
    ) -> None:
        api.rules = [rule("Default", 10_000, rate=0.0, reservoir=3)]
        api.extra["Default"] = extra
        stepped.step()
        stepped.decide()
        stepped.pass_time(10.2)
        assert len(api.grants) == 1
        assert stepped.decide(requests=5) == (1, "Default")
        assert len(warnings(caplog)) == 1
        assert warnings(caplog)[0].startswith(
            "xray_lambda: X-Ray's target for the sampling rule 'Default' makes no sense"
        )

    @pytest.mark.parametrize("targets", [None, 7, [7, None, {}, {"RuleName": "gone", "FixedRate": 1}]])
    def test_targets_of_no_rule_of_ours_are_passed_over(
        self, api: XRayAPI, stepped: Stepped, monkeypatch: pytest.MonkeyPatch, targets: Any
    ) -> None:
        stepped.step()
        stepped.decide()
        answer = {"SamplingTargetDocuments": targets, "UnprocessedStatistics": targets, "LastRuleModification": "x"}
        monkeypatch.setattr(api, "_targets", lambda body: answer)
        stepped.pass_time(10.2)
        assert stepped.decide() == (1, "Default")


class TestReports:
    def test_rules_that_nothing_fell_under_are_not_reported(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules.append(rule("shop", ServiceName="shop"))
        stepped.pass_time(60)
        assert api.asked(TARGETS) == 0
        stepped.decide()
        stepped.pass_time(60)
        assert counts(api.statistics) == [("shop", 1, 1, 1)]

    def test_at_most_25_rules_are_reported_in_a_call(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules = [rule(f"r{number:02}", ServiceName=f"s{number}") for number in range(60)]
        stepped.step()
        for number in range(60):
            stepped.decide(SamplingRequest(f"s{number}"), requests=2)
        stepped.pass_time(10.2)
        assert [len(body["SamplingStatisticsDocuments"]) for path, body in api.calls if path == TARGETS] == [25, 25, 10]
        assert counts(api.statistics) == [(f"r{number:02}", 2, 1, 1) for number in range(60)]
        assert len(api.grants) == 60

    def test_counts_outlive_a_new_version_of_their_rule(self, api: XRayAPI, stepped: Stepped) -> None:
        stepped.pass_time(296)
        stepped.decide(requests=4)
        api.rules = [rule("Default", 10_000, rate=0.0, reservoir=9)]
        stepped.sampler._refresh()
        stepped.decide(requests=3)
        stepped.pass_time(10)
        assert counts(api.statistics) == [("Default", 7, 1, 1)]

    def test_a_request_that_holds_the_old_rule_is_counted_all_the_same(self, api: XRayAPI, stepped: Stepped) -> None:
        stepped.step()
        held = stepped.sampler._in_force[0].find(SHOP)
        assert held is not None
        stepped.sampler._refresh()
        assert held.decide(START).sampled
        assert stepped.decide() == (0, "Default")
        stepped.pass_time(10.2)
        assert counts(api.statistics) == [("Default", 2, 1, 1)]

    @pytest.mark.parametrize("fault", [BROKEN, THROTTLED, Answer(200, b"<html>"), Answer(200, b"[]")])
    def test_what_could_not_be_reported_is_kept_for_the_next_report(
        self, api: XRayAPI, stepped: Stepped, caplog: pytest.LogCaptureFixture, fault: Answer
    ) -> None:
        api.rules = [rule(f"r{number:02}", ServiceName=f"s{number}") for number in range(30)]
        stepped.step()
        for number in range(30):
            stepped.decide(SamplingRequest(f"s{number}"), requests=2)
        api.faults = [fault]
        stepped.pass_time(10.2)
        assert (api.asked(TARGETS), api.statistics) == (1, [])
        stepped.decide(SamplingRequest("s3"), requests=5)
        stepped.pass_time(11)
        extra = {3: 5}
        assert counts(api.statistics) == [
            (f"r{number:02}", 2 + extra.get(number, 0), 1 + (number in extra), 1 + (number in extra))
            for number in range(30)
        ]
        assert len(warnings(caplog)) == 1
        assert "sampling goes on as last granted" in warnings(caplog)[0]

    def test_of_two_calls_the_one_that_arrived_is_not_repeated(self, api: XRayAPI, stepped: Stepped) -> None:
        api.rules = [rule(f"r{number:02}", ServiceName=f"s{number}") for number in range(30)]
        stepped.step()
        for number in range(30):
            stepped.decide(SamplingRequest(f"s{number}"))
        api.faults = [None, BROKEN]  # type: ignore[list-item]  # None is no fault
        stepped.pass_time(30)
        assert sorted(counts(api.statistics)) == [(f"r{number:02}", 1, 1, 1) for number in range(30)]

    def test_what_xray_did_not_process_is_kept_and_told(
        self, api: XRayAPI, stepped: Stepped, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.rules.append(rule("shop", ServiceName="shop"))
        stepped.step()
        stepped.decide()
        stepped.decide(SamplingRequest("other"))
        api.unprocessed.add("shop")
        stepped.pass_time(10.2)
        api.unprocessed.clear()
        stepped.pass_time(10.2)
        assert counts(api.statistics) == [("shop", 1, 1, 1), ("Default", 1, 1, 1), ("shop", 1, 1, 1)]
        (warning,) = warnings(caplog)
        assert warning.endswith("the sampling statistics of the rule 'shop': 'InvalidRuleName' 'no such rule'")

    def test_failed_calls_are_tried_again_ever_later(self, api: XRayAPI, stepped: Stepped) -> None:
        api.faulty = THROTTLED
        pauses = []
        for _ in range(12):
            stepped.clock.now = max(stepped.clock.now, stepped.sampler._rules_at)
            stepped.step()
            pauses.append(round(stepped.sampler._rules_at - stepped.clock.now))
        assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        stepped.chance = 0.0
        stepped.clock.now = stepped.sampler._rules_at
        stepped.step()
        assert stepped.sampler._rules_at - stepped.clock.now == 150, "not all processes at once"

    def test_a_fleet_does_not_ask_at_once(self, api: XRayAPI, clock: Clock) -> None:
        due = []
        for chance in (0.0, 0.5, 0.999):
            stepped = Stepped(api, clock, chance=chance)
            stepped.step()
            due.append((stepped.sampler._rules_at - START, stepped.sampler._report_at - START))
        assert [round(rules, 1) for rules, _ in due] == [300.0, 302.5, 305.0]
        assert [round(report, 2) for _, report in due] == [10.0, 10.05, 10.1]

    def test_a_forked_child_is_another_client_with_its_own_counts_and_no_quota(
        self, api: XRayAPI, stepped: Stepped
    ) -> None:
        api.rules = [rule("Default", 10_000, rate=0.0, reservoir=5)]
        stepped.step()
        stepped.decide(requests=3)
        stepped.pass_time(10.2)
        assert stepped.decide(requests=9) == (5, "Default")
        before = stepped.sampler._client_id
        stepped.sampler.start_anew()
        stepped.sampler._poller.started = True  # the test is, still
        stepped.clock.now += 1
        assert stepped.decide(requests=9) == (1, "Default"), "the parent's rules, but not its quota"
        stepped.pass_time(10.2)
        assert [one["ClientID"] == before for one in api.statistics] == [True, False]
        assert counts(api.statistics)[1] == ("Default", 9, 1, 1)


def test_a_client_id_is_24_hex_digits_and_no_two_are_the_same(api: XRayAPI, clock: Clock) -> None:
    ids = {Stepped(api, clock).sampler._client_id for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) == 24 and not one.strip("0123456789abcdef") for one in ids)
