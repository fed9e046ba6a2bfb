"""Patterns cover the whole text, mind no case, and take a time that no sender of a request can draw out."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_lambda.sampling.account import Account
from xray_lambda.sampling.matching import Matcher, compiled, expression, fits, without_port
from xray_lambda.sampling.request import SamplingRequest
from xray_lambda.sampling.table import Rule, Table


def covers(pattern: str, text: str) -> bool:
    """The meaning of a pattern, spelled out letter by letter."""
    reached = {0}
    for char in pattern:
        if char == "*":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(text) and char in ("?", text[at])}
    return len(text) in reached


PATTERNS = st.text(alphabet="ab/*?[]!.\\^$\n", max_size=8)
TEXTS = st.text(alphabet="ab/[]!.\\^$\n", max_size=10)


@given(PATTERNS, TEXTS)
def test_a_pattern_means_what_it_says(pattern: str, text: str) -> None:
    assert fits(compiled(pattern), text) is covers(pattern, text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_case_makes_no_difference(pattern: str, text: str) -> None:
    assert fits(compiled(pattern), text) is covers(pattern.lower(), text.lower())


@given(st.text(max_size=30))
def test_a_star_covers_every_text(text: str) -> None:
    assert expression("*") == expression("***") == ""
    assert fits(compiled("*"), text)


@given(st.text(max_size=20))
def test_a_text_without_wildcards_is_covered_by_itself(text: str) -> None:
    pattern = text.translate({ord("*"): "x", ord("?"): "x"})
    assert fits(compiled(pattern), pattern)
    assert not fits(compiled(pattern), pattern + "x")


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*a*a*b", "*?a*?a*?a*?a*?a*?a*?b", "*" * 100 + "b", "/*a" * 40])
def test_no_text_makes_a_pattern_slow(pattern: str) -> None:
    start = time.perf_counter()
    assert not fits(compiled(pattern), "/" + "a" * 20_000)
    assert time.perf_counter() - start < 1.0


@pytest.mark.parametrize("pattern", ["*", "**"])
def test_what_is_not_known_fits_a_star(pattern: str) -> None:
    assert fits(compiled(pattern), None)


@pytest.mark.parametrize("pattern", ["", "?", "*?", "a", "a*"])
def test_what_is_not_known_fits_nothing_else(pattern: str) -> None:
    assert not fits(compiled(pattern), None)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("shop.example", "shop.example"),
        ("shop.example:8000", "shop.example"),
        ("[::1]:8000", "[::1]"),
        ("[::1]", "[::1]"),
        ("shop.example:", "shop.example:"),
        (":80", ""),
        (None, None),
    ],
)
def test_a_port_is_no_part_of_a_host(host: str | None, name: str | None) -> None:
    assert without_port(host) == name


def table(*matchers: Matcher) -> Table:
    return Table([Rule(matcher, Account(0.0), name=str(number)) for number, matcher in enumerate(matchers)])


def number_of(found: Rule | None) -> int | None:
    return None if found is None else int(str(found.yes.rule))


REQUEST = SamplingRequest("Shop", "shop.example:8000", "GET", "/Basket/17", "AWS::ECS::Container", {"tier": "Gold"})
WRONG = [
    Matcher(service="shops"),
    Matcher(host="*.example.com"),
    Matcher(host="shop.example:80"),
    Matcher(method="POST"),
    Matcher(path="/basket"),
    Matcher(path="/basket/?"),
    Matcher(service_type="AWS::EC2::*"),
    Matcher(attributes={"tier": "silver"}),
    Matcher(attributes={"tier": "gold", "tenant": "*"}),
    Matcher(attributes={"TIER": "gold"}),
]
RIGHT = [
    Matcher(),
    Matcher(service="shop"),
    Matcher(host="shop.example"),
    Matcher(host="shop.example:8000"),
    Matcher(host="*.example:*"),
    Matcher(method="g?t"),
    Matcher(path="/basket/*"),
    Matcher(path="*/*"),
    Matcher(service_type="AWS::ECS::*"),
    Matcher(attributes={"tier": "g*"}),
    Matcher(service="shop", host="shop.*", method="GET", path="/basket/17", attributes={"tier": "gold"}),
]


@pytest.mark.parametrize("matcher", WRONG)
def test_each_property_must_fit(matcher: Matcher) -> None:
    assert table(matcher).find(REQUEST) is None
    assert number_of(table(matcher, Matcher()).find(REQUEST)) == 1


@pytest.mark.parametrize("matcher", RIGHT)
def test_a_rule_fits_by_all_that_it_asks(matcher: Matcher) -> None:
    assert number_of(table(*WRONG, matcher, Matcher()).find(REQUEST)) == len(WRONG)


def test_the_first_rule_that_fits_counts_again_and_again() -> None:
    rules = table(Matcher(path="/a*"), Matcher(path="/ab"), Matcher(path="*b"), Matcher())
    paths = ["/abc", "/ab", "/b", "/", None, "/abc", "/b"]
    assert [number_of(rules.find(SamplingRequest("s", path=path))) for path in paths] == [0, 0, 2, 3, 3, 0, 2]


def test_a_script_falls_under_no_rule_for_requests() -> None:
    rules = table(Matcher(path="/*"), Matcher(method="?*"), Matcher(service="nightly"))
    assert number_of(rules.find(SamplingRequest("nightly"))) == 2
    assert rules.find(SamplingRequest("other")) is None


def test_attributes_decide_between_rules_for_one_path() -> None:
    rules = table(Matcher(path="/a", attributes={"tier": "gold"}), Matcher(path="/a"), Matcher())
    golden = SamplingRequest("s", path="/a", attributes={"tier": "gold"})
    assert [number_of(rules.find(one)) for one in (golden, SamplingRequest("s", path="/a"))] == [0, 1]


def test_an_empty_table_has_no_rule() -> None:
    assert table().find(REQUEST) is None
    assert table().find(SamplingRequest("s")) is None


@given(st.lists(PATTERNS, max_size=6), TEXTS)
def test_one_expression_for_all_paths_finds_what_one_each_would(patterns: list[str], path: str) -> None:
    rules = table(*(Matcher(path=pattern) for pattern in patterns))
    expected = next((at for at, pattern in enumerate(patterns) if covers(pattern, path)), None)
    assert number_of(rules.find(SamplingRequest("s", path=path))) == expected


def test_what_senders_make_up_is_not_kept_for_ever() -> None:
    rules = table(*(Matcher(path=f"/{number}/*", host=f"{number}.*") for number in range(20)), Matcher())
    for number in range(2_000):
        assert number_of(rules.find(SamplingRequest("s", f"{number}.test", "GET", f"/{number}/"))) == min(number, 20)
    rules.find(SamplingRequest("s", "x" * 100_000, "GET", "/"))
    assert len(rules._shortlists) <= 500
    assert all(sum(len(text) for text in key if text) <= 300 for key in rules._shortlists)


def test_expressions_are_what_python_compiles() -> None:
    assert re.compile(expression("/[a-*](?")).match("/[a-x](y")
