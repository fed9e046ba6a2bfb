"""Sampling rules as X-Ray's API has them: read, filled up with defaults, and every field checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Rule = dict[str, Any]

DEFAULT = "Default"
_MOST_RULES = 1_000
_DEFAULT_RULE: Rule = {
    "RuleName": DEFAULT,
    "ResourceARN": "*",
    "Priority": 10_000,
    "FixedRate": 0.05,
    "ReservoirSize": 1,
    "ServiceName": "*",
    "ServiceType": "*",
    "Host": "*",
    "HTTPMethod": "*",
    "URLPath": "*",
    "Version": 1,
    "Attributes": {},
}
# What a rule that does not say otherwise applies to: everything, as in X-Ray's console.
_OPTIONAL = {key: value for key, value in _DEFAULT_RULE.items() if value in ("*", 1, {}) and key != "ReservoirSize"}
# What may be changed of Default.
_CHANGEABLE = ("FixedRate", "ReservoirSize")
Problem = tuple[str, str, str]


class RulesError(ValueError):
    """Rules that cannot be used. `problems` has the rule, the field and what is wrong, for each mistake."""

    def __init__(self, problems: list[Problem], where: str = "") -> None:
        said = ["".join(f"{part}: " for part in (where, rule, field) if part) + what for rule, field, what in problems]
        super().__init__("; ".join(said))
        self.problems = problems


def read_rules(given: object) -> list[Rule]:
    """Return rules in the order in which they are tried, Default last. Raises RulesError.

    Takes a list of rules, `{"rules": [...]}`, or the answer of GetSamplingRules.
    """
    listed = _listed(given)
    problems: list[Problem] = []
    rules: dict[str, Rule] = {}
    for place, item in enumerate(listed):
        name = str(item.get("RuleName") or f"rule {place + 1}")
        found = list(_faults(item))
        if name in rules:
            found.append(("RuleName", "there is another rule of that name"))
        problems += [(name, field, what) for field, what in found]
        rules.setdefault(name, _filled(item))
    if problems:
        raise RulesError(problems)
    rules.setdefault(DEFAULT, dict(_DEFAULT_RULE))
    return sorted(rules.values(), key=lambda rule: (rule["Priority"], rule["RuleName"]))


def _listed(given: object) -> list[Rule]:
    if isinstance(given, dict):
        given = given.get("rules", given.get("SamplingRuleRecords"))
    if not isinstance(given, list):
        raise RulesError([("", "", 'expected a list of rules, or {"rules": [...]}')])
    if len(given) > _MOST_RULES:
        raise RulesError([("", "", f"there are {len(given)} rules, over {_MOST_RULES}")])
    listed = [item.get("SamplingRule", item) if isinstance(item, dict) else item for item in given]
    wrong = [f"rule {place + 1}" for place, item in enumerate(listed) if not isinstance(item, dict)]
    if wrong:
        raise RulesError([(name, "", "expected an object") for name in wrong])
    return listed


def _filled(rule: Rule) -> Rule:
    if rule.get("RuleName") == DEFAULT:
        return {**_DEFAULT_RULE, **{key: value for key, value in rule.items() if key in _CHANGEABLE}}
    return {**_OPTIONAL, **rule}


def _faults(rule: Rule) -> Iterator[tuple[str, str]]:
    is_default = rule.get("RuleName") == DEFAULT
    for field in ("RuleName", "Priority", "FixedRate", "ReservoirSize"):
        if field not in rule and not is_default:
            yield field, "is missing"
    for field, value in rule.items():
        check = _CHECKS.get(field)
        if check is None:
            yield str(field), f"is no field of a rule; known: {', '.join(_CHECKS)}"
        elif is_default and field not in ("RuleName", *_CHANGEABLE):
            if value != _DEFAULT_RULE.get(field, value):
                yield field, "cannot be changed for Default, which is for all that no other rule matches"
        elif fault := check(value):
            yield field, fault


def _text(longest: int, shortest: int = 0) -> Callable[[object], str]:
    def check(value: object) -> str:
        if isinstance(value, str) and shortest <= len(value) <= longest:
            return ""
        return f"expected a text of {shortest} to {longest} characters, got {value!r:.50}"

    return check


def _whole(least: int, most: int | None = None) -> Callable[[object], str]:
    def check(value: object) -> str:
        if type(value) is int and least <= value and (most is None or value <= most):
            return ""
        return f"expected a whole number from {least}{'' if most is None else f' to {most}'}, got {value!r:.50}"

    return check


def _rate(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return ""
    return f"expected a number from 0 to 1, got {value!r:.50}"


def _attributes(value: object) -> str:
    if not isinstance(value, dict) or len(value) > 5:
        return f"expected an object with at most 5 attributes, got {value!r:.50}"
    check = _text(32, 1)
    return next((fault for pair in value.items() for part in pair if (fault := check(part))), "")


def _boost(value: object) -> str:
    if not isinstance(value, dict) or set(value) != {"MaxRate", "CooldownWindowMinutes"}:
        return "expected MaxRate and CooldownWindowMinutes"
    rate, cooldown = _rate(value["MaxRate"]), _whole(0)(value["CooldownWindowMinutes"])
    return f"MaxRate: {rate}" if rate else f"CooldownWindowMinutes: {cooldown}" if cooldown else ""


def _version(value: object) -> str:
    return "" if value == 1 and type(value) is int else f"expected 1, got {value!r:.50}"


# Lengths and ranges are those of X-Ray's API.
_CHECKS: dict[str, Callable[[object], str]] = {
    "RuleName": _text(32, 1),
    "RuleARN": _text(500),
    "ResourceARN": _text(500),
    "Priority": _whole(1, 9_999),
    "FixedRate": _rate,
    "ReservoirSize": _whole(0, 1_000_000),
    "ServiceName": _text(64),
    "ServiceType": _text(64),
    "Host": _text(64),
    "HTTPMethod": _text(10),
    "URLPath": _text(128),
    "Version": _version,
    "Attributes": _attributes,
    "SamplingRateBoost": _boost,
}
