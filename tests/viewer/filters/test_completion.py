"""What may follow in a filter expression is offered, wherever the cursor stands."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_lambda.viewer.filters import Completion, FilterError, Known, complete, parse

KNOWN = Known(
    services=("shop", "bank", 'odd "name"'),
    types=("AWS::EC2::Instance", "remote"),
    annotations={"order": (17, 18), "tier": ("gold", "silver"), "vip": (True,), "a.b": ("c",)},
    values={"http.method": ("GET", "POST"), "user": ("alice",)},
)


def offered(text: str) -> list[str]:
    """Complete where a bar stands."""
    at = text.index("|")
    return [found.text for found in complete(text.replace("|", ""), at, KNOWN)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("fau|", ["fault"]),
        ("http.m|", ["http.method"]),
        ("ok AND respo|", ["responsetime", "rootcause.responsetime.service", "rootcause.responsetime.entity"]),
        ("serv|", ["service("]),
        ("annotation.t|", ["annotation.tier"]),
        ('service("|', ['"shop"', '"bank"', '"odd \\"name\\""']),
        ("service(ba|", ['"bank"']),
        ('edge("shop", |', ['"shop"', '"bank"', '"odd \\"name\\""', "id("]),
        ('service(id(name: "sh|', ['"shop"']),
        ("service(id(type: |", ['"AWS::EC2::Instance"', '"remote"']),
        ('service("shop") { roo|', ["root"]),
        ('service("shop") { fault } AND coldst|', ["coldstart"]),
        ("rootcause.fault.entity { cov|", ["coverage"]),
        ("responsetime |", ["=", "!=", "<", "<=", ">", ">=", "AND", "OR"]),
        ("http.url |", ["=", "!=", "CONTAINS", "BEGINSWITH", "ENDSWITH", "AND", "OR"]),
        ("http.url CONT|", ["CONTAINS"]),
        ("http.method = |", ['"GET"', '"POST"']),
        ('http.method = "P|', ['"POST"']),
        ("user CONTAINS |", ['"alice"']),
        ("annotation.order = |", ["17", "18"]),
        ("annotation.vip=|", ["true"]),
        ('annotation["a.b"] = |', ['"c"']),
        ("ok = |", ["true", "false"]),
        ('service("shop") { name = |', ['"shop"', '"bank"', '"odd \\"name\\""']),
        ('user = "alice" |', ["AND", "OR"]),
        ("annotation.order = 17 |", ["AND", "OR"]),
        ('service("shop") |', ["AND", "OR"]),
        ('user = "fau|', []),
        ('annotation.order = "x" AND user = "fault" a|', ["AND", "availabilityzone", "account.id"]),
        ("fault A|", ["AND"]),
    ],
)
def test_what_fits_at_the_cursor_comes_first(text: str, first: list[str]) -> None:
    assert offered(text)[: len(first)] == first
    if not first:
        assert offered(text) == []


def test_in_an_empty_box_everything_is_offered() -> None:
    found = offered("|")
    assert {"fault", "service(", "annotation.order", 'annotation["a.b"]', "rootcause.fault.service"} <= set(found)
    assert len(found) <= 50


def test_an_offer_says_what_it_is_and_what_it_replaces() -> None:
    assert complete("ok AND fau", 10, KNOWN)[0] == Completion("fault", "keyword", "boolean keyword", 7)
    assert complete('service("ba', 11, KNOWN)[0] == Completion('"bank"', "service", "service", 8)
    assert complete("faultx", 3, KNOWN)[0].start == 0


def test_what_is_there_already_is_not_offered() -> None:
    assert "fault" not in offered("fault|")


def test_a_word_inside_another_is_found_too() -> None:
    assert offered("status|") == ["http.status"]


@settings(max_examples=300, deadline=None)
@given(st.text("okfault sevicdg(\"{}).:=<>!annotation[]\\'1,", max_size=30), st.integers(-2, 40))
def test_no_text_and_no_place_breaks_it(text: str, at: int) -> None:
    for found in complete(text, at, KNOWN):
        assert 0 <= found.start <= len(text)


@pytest.mark.parametrize("text", ["", "fau", "http.method = ", "annotation.order = ", "user = "])
def test_an_offer_of_a_value_or_keyword_makes_an_expression(text: str) -> None:
    made = 0
    for found in complete(text, len(text), KNOWN):
        if found.kind in ("keyword", "value", "annotation"):
            whole = text[: found.start] + found.text
            try:
                parse(whole)
            except FilterError as error:
                pytest.fail(f"{whole}: {error}")
            made += 1
    assert made or text == "fau"
