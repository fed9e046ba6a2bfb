"""X-Ray's rules: GetSamplingRules read page by page, checked rule by rule, put in the order that X-Ray says.

Fields: https://docs.aws.amazon.com/xray/latest/api/API_SamplingRule.html.
"""

from __future__ import annotations

import logging

from xray_lambda._guard import say_once
from xray_lambda.sampling.daemon import Unavailable
from xray_lambda.sampling.matching import Matcher
from xray_lambda.sampling.numbers import seconds, share, whole

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from xray_lambda.sampling.daemon import XRayClient

_MAX_PAGES = 100
_PATTERNS = {
    "service": "ServiceName",
    "host": "Host",
    "method": "HTTPMethod",
    "path": "URLPath",
    "service_type": "ServiceType",
}


class _LeftOut(ValueError):
    """A rule that is sound, but not for us."""


class Definition:
    """A rule as X-Ray has it; `boosted` where its rate may be raised for a while when anomalies are seen."""

    __slots__ = ("boosted", "matcher", "modified", "name", "priority", "rate", "reservoir_size")

    def __init__(self, fields: dict[str, Any], modified: float) -> None:
        """Read a rule's fields. Raises ValueError for those that make no sense."""
        name = fields.get("RuleName")
        if not isinstance(name, str) or not name:
            raise ValueError("a rule has no RuleName")
        self.name = name
        self.modified = modified
        self.priority = whole(fields, "Priority")
        self.rate = share(fields, "FixedRate")
        self.reservoir_size = whole(fields, "ReservoirSize")
        self.boosted = isinstance(fields.get("SamplingRateBoost"), dict)
        self.matcher = _matcher(fields)


def _matcher(fields: dict[str, Any]) -> Matcher:
    if fields["RuleName"] == "Default":  # fits everything, whatever is left in its fields
        return Matcher()
    patterns = {word: fields.get(member, "*") for word, member in _PATTERNS.items()}
    attributes = fields.get("Attributes") or {}
    if not isinstance(attributes, dict):
        raise ValueError(f"Attributes is {attributes!r:.60}, expected an object")
    for word, pattern in [*patterns.items(), *attributes.items()]:
        if not isinstance(pattern, str):
            raise ValueError(f"{_PATTERNS.get(word, word)} is {pattern!r:.60}, expected a text")
    return Matcher(**patterns, attributes=attributes)


def fetch(client: XRayClient) -> list[Definition]:
    """Return all rules, the first to be tried first: by priority, then by name. Raises Unavailable."""
    found = []
    for record in _records(client):
        definition = _definition(record)
        if definition is not None:
            found.append(definition)
    return sorted(found, key=lambda one: (one.name == "Default", one.priority, one.name))


def _records(client: XRayClient) -> Iterator[object]:
    """Yield every record of every page."""
    token: dict[str, str] = {}
    for _ in range(_MAX_PAGES):
        page = client.get_sampling_rules(**token)
        records = page.get("SamplingRuleRecords")
        if not isinstance(records, list):
            raise Unavailable(f"an answer without SamplingRuleRecords: {page!r:.60}")
        yield from records
        following = page.get("NextToken")
        if not isinstance(following, str) or not following:
            return
        token = {"NextToken": following}
    raise Unavailable(f"the rules do not end after {_MAX_PAGES} pages")


def _definition(record: object) -> Definition | None:
    """Return one record's rule; None for one that cannot be judged by, which is told once."""
    fields = record.get("SamplingRule") if isinstance(record, dict) else None
    try:
        if not isinstance(record, dict) or not isinstance(fields, dict):
            raise _LeftOut("it is no SamplingRule")
        return _judged(fields, seconds(record.get("ModifiedAt")) or 0.0)
    except ValueError as error:
        name = fields.get("RuleName") if isinstance(fields, dict) else record
        message = "xray_lambda: X-Ray's sampling rule %.60r is left out: %s"
        say_once(logging.WARNING, f"sampling rule {name!r:.60} {error}", message, name, error)
        return None


def _judged(fields: dict[str, Any], modified: float) -> Definition:
    """Return the rule, if this process can judge by it."""
    if fields.get("Version", 1) != 1:
        raise _LeftOut(f"its format has version {fields['Version']!r:.20}")
    if fields.get("ResourceARN", "*") != "*":
        raise _LeftOut("it is for one resource's ARN, and no segment knows that of its own")
    return Definition(fields, modified)
