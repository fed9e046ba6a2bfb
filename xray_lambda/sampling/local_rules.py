"""Local rules: the X-Ray SDKs' JSON, versions 1 and 2, from a file or a dict; checked, with errors that say where.

Format: https://docs.aws.amazon.com/xray/latest/devguide/xray-sdk-python-configuration.html#xray-sdk-python-configuration-sampling
"""

from __future__ import annotations

import json
import random
from math import inf

from xray_lambda.sampling.account import Account
from xray_lambda.sampling.matching import Matcher
from xray_lambda.sampling.table import Rule, Table

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# One request a second and 5 % of the rest, as every X-Ray SDK has it.
DEFAULT: dict[str, object] = {"version": 2, "default": {"fixed_target": 1, "rate": 0.05}, "rules": []}

_MAX_BYTES = 1_000_000
_AMOUNTS = ("fixed_target", "rate")
# Version 1 calls the host's pattern `service_name`; it has always been compared with the host.
_HOSTS = {1: "service_name", 2: "host"}


def load(rules: str | dict[str, object] | None) -> dict[str, object]:
    """Return local rules, read from the path of a file if need be and checked; None stands for the default.

    Raises ValueError, which says what is wrong and in which rule.
    """
    if rules is None:
        return DEFAULT
    content = _read(rules) if isinstance(rules, str) else rules
    check(content)
    return content


def _read(path: str) -> dict[str, object]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib would cost more than this module
            text = file.read(_MAX_BYTES + 1)
        content = json.loads(text) if len(text) <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{path} cannot be read: {reason}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no JSON object, or one of more than {_MAX_BYTES:,} bytes")
    return content


def table(content: Mapping[str, object], chance: Callable[[], float] = random.random) -> Table:
    """Return checked rules as a table; the default comes last and fits everything."""
    host = _HOSTS[content["version"]]  # type: ignore[index]  # checked
    rules: list[dict[str, object]] = [*(content.get("rules") or ()), content["default"]]  # type: ignore[misc, list-item]
    return Table([_rule(rule, host, chance) for rule in rules])


def _rule(fields: Mapping[str, object], host: str, chance: Callable[[], float]) -> Rule:
    matcher = Matcher(
        host=str(fields.get(host, "*")),
        method=str(fields.get("http_method", "*")),
        path=str(fields.get("url_path", "*")),
    )
    target, rate = fields["fixed_target"], fields["rate"]
    return Rule(matcher, Account(rate, target, inf, chance=chance))  # type: ignore[arg-type]  # checked


def check(content: Mapping[str, object]) -> None:
    """Raise ValueError for rules that make no sense: `rule 2 ("checkout"): rate is 1.5, expected 0 to 1`."""
    version = content.get("version")
    if type(version) is not int or version not in _HOSTS:
        raise ValueError(f"version is {_shown(version)}, expected 1 or 2")
    _only(content, ("version", "default", "rules"), "the top level")
    default, rules = content.get("default"), content.get("rules", [])
    if not isinstance(default, dict):
        raise ValueError(f"default is {_shown(default)}, expected an object with fixed_target and rate")
    _check_amounts(default, "default")
    _only(default, _AMOUNTS, "default")
    if rules is not None and not isinstance(rules, (list, tuple)):
        raise ValueError(f"rules is {_shown(rules)}, expected a list")
    for number, rule in enumerate(rules or (), start=1):
        _check_rule(rule, number, _HOSTS[version])


def _check_rule(rule: object, number: int, host: str) -> None:
    if not isinstance(rule, dict):
        raise ValueError(f"rule {number} is {_shown(rule)}, expected an object")
    described = rule.get("description")
    where = f"rule {number} ({json.dumps(str(described)[:60])})" if described else f"rule {number}"
    patterns = (host, "http_method", "url_path")
    for name in patterns:
        if not isinstance(rule.get(name), str) or not rule[name]:
            raise ValueError(f"{where}: {name} is {_shown(rule.get(name))}, expected a text; `*` stands for anything")
    _check_amounts(rule, where)
    _only(rule, (*patterns, *_AMOUNTS, "description"), where)


def _check_amounts(fields: Mapping[str, object], where: str) -> None:
    target, rate = fields.get("fixed_target"), fields.get("rate")
    if type(target) is not int or target < 0:
        raise ValueError(f"{where}: fixed_target is {_shown(target)}, expected a whole number a second, 0 or more")
    if type(rate) not in (int, float) or not 0 <= rate <= 1:  # type: ignore[operator]  # as the first half makes sure
        raise ValueError(f"{where}: rate is {_shown(rate)}, expected 0 to 1")


def _only(fields: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for name in fields:
        if name not in known:
            raise ValueError(f"{where}: there is no field {_shown(name)}; the fields are {', '.join(known)}")


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:60]
