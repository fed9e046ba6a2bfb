"""Straight to X-Ray, signed by botocore, into the stand-in; and whichever way there is."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from tests.sampling.fakes import SHOP, Clock, Stepped
from tests.servers.process import HOST, free_port
from tests.servers.xray_api import BROKEN, KNOWS_BOOSTS, THROTTLED, XRayAPI, rule
from xray_lambda.sampling.clients import DirectClient, EitherClient
from xray_lambda.sampling.daemon import DaemonClient, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES, TARGETS = "/GetSamplingRules", "/SamplingTargets"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[XRayAPI]:
    rules = [
        rule("shop", 1, 0.0, 3, ServiceName="shop", SamplingRateBoost={"MaxRate": 1, "CooldownWindowMinutes": 1}),
        rule("Default", 10_000),
    ]
    with XRayAPI(rules, clock=clock) as api:
        monkeypatch.setenv("AWS_ENDPOINT_URL_XRAY", f"http://{HOST}:{api.port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        yield api


def test_straight_to_xray_rules_quotas_and_boosts_are_the_same(api: XRayAPI, clock: Clock) -> None:
    api.page_size = 1
    client = DirectClient()
    stepped = Stepped(api, clock, client=client)
    stepped.step()
    assert api.asked(RULES) == 2
    assert stepped.decide(requests=5) == (1, "shop")
    watch = stepped.sampler.decide(SHOP).watch
    assert (watch is not None) is KNOWS_BOOSTS
    if watch is not None:
        watch.ended("shop", sampled=True, anomaly=True)
    boost = {"BoostRate": 1.0, "BoostRateTTL": clock.now + 60}
    api.extra["shop"] = {"ReservoirQuotaTTL": clock.now + 30, "SamplingBoost": boost}
    stepped.pass_time(10.2)
    account = stepped.sampler._accounts["shop"]
    assert (account.quota, account.quota_until) == (3, clock.now - 10.2 + 30), "botocore brings a datetime"
    assert account.boost_until == (clock.now - 10.2 + 60 if KNOWS_BOOSTS else -inf)
    assert [(one["RequestCount"], one["SampledCount"]) for one in api.statistics] == [(6, 1)]
    assert [one["AnomalyCount"] for one in api.boosts] == [1] * KNOWS_BOOSTS
    client.close()


def test_rules_that_were_changed_are_noticed_straight_as_well(api: XRayAPI, clock: Clock) -> None:
    stepped = Stepped(api, clock, client=DirectClient())
    stepped.step()
    stepped.decide()
    api.rules = [rule("Default", 10_000)]
    api.modified += 5
    stepped.pass_time(10.2)
    assert stepped.decide()[1] == "Default"


@pytest.mark.parametrize("fault", [THROTTLED, BROKEN])
def test_what_xray_refuses_is_no_answer_and_tried_once(api: XRayAPI, fault: Any) -> None:
    api.faulty = fault
    with pytest.raises(Unavailable):
        DirectClient().get_sampling_rules()
    assert api.asked(RULES) == 1


def test_a_client_that_cannot_be_made_is_no_answer_and_made_again() -> None:
    made = []

    def make() -> Any:
        made.append(1)
        raise RuntimeError("no region")

    client = DirectClient(make)
    for _ in range(2):
        with pytest.raises(Unavailable, match="RuntimeError: no region"):
            client.get_sampling_targets(SamplingStatisticsDocuments=[])
    assert len(made) == 2
    assert str(client) == "X-Ray"


def test_a_forked_child_makes_a_client_of_its_own() -> None:
    class Made:
        def get_sampling_rules(self) -> dict[str, Any]:
            return {"from": id(self)}

    client = DirectClient(Made)
    first = client.get_sampling_rules()
    assert client.get_sampling_rules() == first
    kept = client._client
    client.start_anew()
    assert client.get_sampling_rules() != first
    assert kept is not client._client


def test_a_forked_child_does_not_talk_through_its_parents_connections(api: XRayAPI, clock: Clock) -> None:
    client = DirectClient()
    stepped = Stepped(api, clock, client=client)
    stepped.step()
    parents = client._client
    stepped.sampler.start_anew()
    stepped.step()
    assert client._client is not parents
    assert api.asked(RULES) == 2


class Ways:
    """A daemon at a port, and a way past it that says so."""

    def __init__(self, port: int) -> None:
        self.direct = DirectClient(lambda: self)
        self.client = EitherClient(DaemonClient(HOST, port), self.direct)

    def get_sampling_rules(self, **members: Any) -> dict[str, Any]:
        return {"straight": members}

    get_sampling_targets = get_sampling_rules


def test_where_there_is_a_daemon_it_is_asked(api: XRayAPI) -> None:
    client = Ways(api.port).client
    assert len(client.get_sampling_rules()["SamplingRuleRecords"]) == 2
    api.faulty = BROKEN
    with pytest.raises(Unavailable, match="status 500"):
        client.get_sampling_rules()
    assert str(client) == f"the X-Ray daemon at {HOST}:{api.port} (TCP), nor from X-Ray itself"
    client.close()


def test_where_there_is_none_xray_itself_is_asked() -> None:
    client = Ways(free_port()).client
    assert client.get_sampling_rules(NextToken="1") == {"straight": {"NextToken": "1"}}
    assert client.get_sampling_targets(SamplingStatisticsDocuments=[]) == {
        "straight": {"SamplingStatisticsDocuments": []}
    }
    client.start_anew()
    assert client.get_sampling_rules() == {"straight": {}}
