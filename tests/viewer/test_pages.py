"""The pages about filters and the API are right: their examples are understood, and nothing is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from xray_lambda.viewer import api
from xray_lambda.viewer.filters import FilterError, parse
from xray_lambda.viewer.filters.keywords import SCOPES
from xray_lambda.viewer.rules import read_rules

pytestmark = pytest.mark.full

DOCS = Path(__file__).parent.parent.parent / "docs"
FILTERS = (DOCS / "filters.md").read_text("utf-8")
API = (DOCS / "viewer-api.md").read_text("utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def test_each_expression_on_the_page_is_one() -> None:
    mistake, examples = blocks(FILTERS, "")
    for text in examples.splitlines():
        assert parse(text)
    for text in re.findall(r"`((?:service|edge|rootcause\.json)\b[^`]*)`", FILTERS):
        assert parse(text)
    with pytest.raises(FilterError) as caught:
        parse("ok AND faultt")
    assert re.fullmatch(re.escape(mistake.strip()).replace(r"\.\.\.", ".*"), str(caught.value))


def test_each_keyword_is_on_the_page() -> None:
    written = set(re.findall(r"`([\w.]+)`", FILTERS))
    assert {keyword for scope in SCOPES.values() for keyword in scope} <= written


def test_each_operation_is_on_the_page() -> None:
    named = {function.__name__.replace("_", "") for function in api.OPERATIONS.values()}
    assert {word.lower() for word in re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", API)} >= named


def test_the_rules_on_the_page_are_rules() -> None:
    (rules,) = blocks(API, "json")
    assert [rule["RuleName"] for rule in read_rules(json.loads(rules))] == ["orders", "Default"]
