"""Local rules of versions 1 and 2: what they mean, and what is said of those that make no sense."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_lambda.sampling import local_rules
from xray_lambda.sampling.local import LocalSampler
from xray_lambda.sampling.request import SamplingRequest

if TYPE_CHECKING:
    from pathlib import Path

RULE: dict[str, Any] = {
    "description": "checkout",
    "host": "shop.*",
    "http_method": "POST",
    "url_path": "/checkout*",
    "fixed_target": 2,
    "rate": 0.5,
}
FIRST: dict[str, Any] = {**RULE, "description": None, "url_path": "/first"}
DEFAULT: dict[str, Any] = {"fixed_target": 1, "rate": 0}
RULES: dict[str, Any] = {"version": 2, "default": DEFAULT, "rules": [RULE]}
KNOWN = "host, http_method, url_path, fixed_target, rate, description"
CHECKOUT = SamplingRequest("any", "shop.example:443", "POST", "/checkout/17")


def with_rule(**fields: Any) -> dict[str, Any]:
    changed = {**RULE, **fields}
    return {**RULES, "rules": [FIRST, {name: value for name, value in changed.items() if value is not ...}]}


def recorded(sampler: LocalSampler, request: SamplingRequest, now: float, requests: int = 10) -> int:
    return sum(sampler.decide_at(now, request).sampled for _ in range(requests))


def test_a_rule_has_a_target_a_second_and_a_rate_and_so_has_the_default() -> None:
    sampler = LocalSampler(RULES, chance=lambda: 0.7)
    assert [recorded(sampler, CHECKOUT, now) for now in (1, 1.5, 2)] == [2, 0, 2]
    assert [recorded(sampler, SamplingRequest("nightly"), now) for now in (1, 1.5, 2)] == [1, 0, 1]
    sampler = LocalSampler(RULES, chance=lambda: 0.4)
    assert recorded(sampler, CHECKOUT, 1) == 10


def test_a_local_decision_names_no_rule_of_xrays() -> None:
    sampler = LocalSampler(RULES, chance=lambda: 0.7)
    decisions = [sampler.decide_at(1, CHECKOUT) for _ in range(3)]
    assert [(one.sampled, one.rule, one.watch) for one in decisions] == [
        (True, None, None), (True, None, None), (False, None, None),
    ]  # fmt: skip


def test_the_clock_says_which_second_it_is() -> None:
    times = iter([1.0, 1.1, 2.0])
    sampler = LocalSampler({**RULES, "rules": []}, clock=lambda: next(times), chance=lambda: 0.5)
    assert [sampler.decide(CHECKOUT).sampled for _ in range(3)] == [True, False, True]
    sampler.close()


def test_the_first_rule_that_fits_counts() -> None:
    rules = [{**RULE, "fixed_target": 3}, {**RULE, "url_path": "*", "fixed_target": 7}]
    sampler = LocalSampler({**RULES, "rules": rules}, chance=lambda: 0.9)
    assert recorded(sampler, CHECKOUT, 1) == 3
    assert recorded(sampler, SamplingRequest("any", "shop.example", "post", "/"), 1) == 7


def test_a_forked_child_is_held_up_by_no_lock_of_its_parents_threads() -> None:
    sampler = LocalSampler(RULES)
    locks = [rule.account.lock for rule in sampler._table.rules]
    sampler.start_anew()
    assert len(locks) == 2
    assert not {*map(id, locks)} & {id(rule.account.lock) for rule in sampler._table.rules}
    assert recorded(sampler, CHECKOUT, 1, 1) == 1


def test_version_1_calls_the_host_service_name() -> None:
    rule = {("service_name" if name == "host" else name): value for name, value in RULE.items()}
    sampler = LocalSampler({"version": 1, "default": DEFAULT, "rules": [rule]}, chance=lambda: 0.9)
    assert recorded(sampler, CHECKOUT, 1) == 2


def test_without_rules_one_a_second_is_recorded_and_5_percent_of_the_rest() -> None:
    assert local_rules.load(None) == {"version": 2, "default": {"fixed_target": 1, "rate": 0.05}, "rules": []}
    assert recorded(LocalSampler(chance=lambda: 0.051), CHECKOUT, 1) == 1
    assert recorded(LocalSampler(chance=lambda: 0.049), CHECKOUT, 1) == 10


@pytest.mark.parametrize(
    "rules", [{"version": 1, "default": DEFAULT}, {**RULES, "rules": []}, {**RULES, "rules": None}]
)
def test_rules_may_be_left_out(rules: dict[str, Any]) -> None:
    assert recorded(LocalSampler(local_rules.load(rules), chance=lambda: 0.5), CHECKOUT, 1) == 1


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({}, "version is missing, expected 1 or 2"),
        ({**RULES, "version": 3}, "version is 3, expected 1 or 2"),
        ({**RULES, "version": "2"}, "version is '2', expected 1 or 2"),
        ({**RULES, "version": True}, "version is True, expected 1 or 2"),
        (
            {**RULES, "rule": []},
            "the top level: there is no field 'rule'; the fields are version, default, rules",
        ),
        ({"version": 2}, "default is missing, expected an object with fixed_target and rate"),
        ({**RULES, "default": 1}, "default is 1, expected an object with fixed_target and rate"),
        (
            {**RULES, "default": {"rate": 0}},
            "default: fixed_target is missing, expected a whole number a second, 0 or more",
        ),
        ({**RULES, "default": {"fixed_target": 0}}, "default: rate is missing, expected 0 to 1"),
        (
            {**RULES, "default": {**DEFAULT, "url_path": "*"}},
            "default: there is no field 'url_path'; the fields are fixed_target, rate",
        ),
        ({**RULES, "rules": {}}, "rules is {}, expected a list"),
        ({**RULES, "rules": [RULE, 7]}, "rule 2 is 7, expected an object"),
        (with_rule(rate=1.5), 'rule 2 ("checkout"): rate is 1.5, expected 0 to 1'),
        (with_rule(rate=-0.1), 'rule 2 ("checkout"): rate is -0.1, expected 0 to 1'),
        (with_rule(rate=float("nan")), 'rule 2 ("checkout"): rate is nan, expected 0 to 1'),
        (with_rule(rate="1"), "rule 2 (\"checkout\"): rate is '1', expected 0 to 1"),
        (with_rule(rate=True), 'rule 2 ("checkout"): rate is True, expected 0 to 1'),
        (with_rule(rate=...), 'rule 2 ("checkout"): rate is missing, expected 0 to 1'),
        (
            with_rule(fixed_target=-1),
            'rule 2 ("checkout"): fixed_target is -1, expected a whole number a second, 0 or more',
        ),
        (
            with_rule(fixed_target=0.5),
            'rule 2 ("checkout"): fixed_target is 0.5, expected a whole number a second, 0 or more',
        ),
        (with_rule(host=...), 'rule 2 ("checkout"): host is missing, expected a text; `*` stands for anything'),
        (with_rule(url_path=""), "rule 2 (\"checkout\"): url_path is '', expected a text; `*` stands for anything"),
        (
            with_rule(http_method=["GET"], description=...),
            "rule 2: http_method is ['GET'], expected a text; `*` stands for anything",
        ),
        (
            with_rule(fixed_taget=1),
            f"rule 2 (\"checkout\"): there is no field 'fixed_taget'; the fields are {KNOWN}",
        ),
        (
            {**RULES, "version": 1},
            'rule 1 ("checkout"): service_name is missing, expected a text; `*` stands for anything',
        ),
        (with_rule(description="a\nb", rate=7), 'rule 2 ("a\\nb"): rate is 7, expected 0 to 1'),
    ],
)
def test_what_makes_no_sense_is_named_by_rule_and_field(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        local_rules.load(rules)
    assert str(caught.value) == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*RULE, *RULES, "x"]), inner, max_size=6)
    ),
    max_leaves=20,
)
FIELDS = st.fixed_dictionaries({}, optional={name: st.just(value) | JSON for name, value in RULE.items()})


@given(
    st.fixed_dictionaries(
        {
            "version": st.sampled_from([1, 2]),
            "default": st.just(DEFAULT) | JSON,
            "rules": st.lists(st.just(RULE) | FIELDS | JSON, max_size=3) | JSON,
        }
    )
)
def test_rules_are_either_refused_with_words_or_decide(rules: dict[str, Any]) -> None:
    refusal = ""
    try:
        local_rules.check(rules)
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert 10 < len(refusal) < 400
    else:
        sampler = LocalSampler(rules, chance=lambda: 0.5)
        for request in (CHECKOUT, SamplingRequest("nightly"), SamplingRequest("", "", "", "")):
            assert sampler.decide_at(1, request).sampled in (True, False)


def test_rules_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(RULES))
    assert local_rules.load(str(file)) == RULES


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff\xfe\xff", "cannot be read: "),
        (b"[" * 100_000, "cannot be read: "),
        (b"[]", "is no JSON object, or one of more than 1,000,000 bytes"),
        (b" " * 1_000_001, "is no JSON object, or one of more than 1,000,000 bytes"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / "rules.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared
        local_rules.load(str(file))
    assert str(caught.value).startswith(f"{file} {why}")
