"""The keywords of filter expressions: of what kind each is, and where traces, services and root causes have it."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """What keywords of one kind hold, and what they can be compared with."""

    name: str
    operators: tuple[str, ...]


BOOLEAN = Kind("boolean", ("=", "!="))
NUMBER = Kind("number", ("=", "!=", "<", "<=", ">", ">="))
TEXT = Kind("string", ("=", "!=", "CONTAINS", "BEGINSWITH", "ENDSWITH"))
OPERATORS = (*NUMBER.operators, *TEXT.operators[2:])


class Meaning(NamedTuple):
    """Where a keyword's value is: the field (and column) of a summary, a service, or an element of a root cause.

    Of `many`, each service of the trace may have one: a condition holds if it holds for one of them.
    """

    kind: Kind
    field: str
    many: bool = False


_STATES = {
    "ok": Meaning(BOOLEAN, "ok"),
    "error": Meaning(BOOLEAN, "error"),
    "fault": Meaning(BOOLEAN, "fault"),
    "throttle": Meaning(BOOLEAN, "throttle"),
    "partial": Meaning(BOOLEAN, "in_progress"),
    "inferred": Meaning(BOOLEAN, "inferred"),
    "responsetime": Meaning(NUMBER, "response_time"),
    "duration": Meaning(NUMBER, "duration"),
    "http.status": Meaning(NUMBER, "status"),
    "http.url": Meaning(TEXT, "url"),
    "http.method": Meaning(TEXT, "method"),
    "http.useragent": Meaning(TEXT, "user_agent"),
    "http.clientip": Meaning(TEXT, "client_ip"),
    "name": Meaning(TEXT, "name"),
}
_OF_SERVICES = {
    "user": "user",
    "availabilityzone": "availability_zone",
    "instance.id": "instance_id",
    "resource.arn": "resource_arn",
    "account.id": "account_id",
}
_PLACES = {
    "first": Meaning(BOOLEAN, "first"),
    "last": Meaning(BOOLEAN, "last"),
    "index": Meaning(NUMBER, "index"),
    "name": Meaning(TEXT, "Name"),
}
_OF_ONE_SERVICE = {
    **_STATES,
    **{keyword: Meaning(TEXT, field) for keyword, field in _OF_SERVICES.items()},
    "type": Meaning(TEXT, "type"),
    "root": Meaning(BOOLEAN, "root"),
}

# Scope -> keyword -> meaning. `trace` is outside of all braces.
SCOPES: dict[str, dict[str, Meaning]] = {
    "trace": {
        **_STATES,
        **{keyword: Meaning(TEXT, field, many=True) for keyword, field in _OF_SERVICES.items()},
        "type": Meaning(TEXT, "origin"),
        "coldstart": Meaning(BOOLEAN, "cold_start"),  # ours: X-Ray has no word for it
    },
    "service": _OF_ONE_SERVICE,
    "edge": {**_OF_ONE_SERVICE, "responsetime": Meaning(NUMBER, "call_time")},
    "rootcause.service": {
        **_PLACES,
        "type": Meaning(TEXT, "Type"),
        "inferred": Meaning(BOOLEAN, "Inferred"),
        "account.id": Meaning(TEXT, "AccountId"),
    },
    "rootcause.entity": {**_PLACES, "remote": Meaning(BOOLEAN, "Remote"), "coverage": Meaning(NUMBER, "Coverage")},
    "rootcause.exception": {**_PLACES, "message": Meaning(TEXT, "Message")},
}
# The lists that a root cause's elements are numbered in, from the cause down.
ELEMENTS = {
    "service": ("Services",),
    "entity": ("Services", "EntityPath"),
    "exception": ("Services", "EntityPath", "Exceptions"),
}
CAUSES = ("fault", "error", "responsetime")
ROOT_CAUSES = tuple(
    f"rootcause.{cause}.{element}"
    for cause in CAUSES
    for element in ELEMENTS
    if (cause, element) != ("responsetime", "exception")  # X-Ray has none
)
# What a pattern of `rootcause.json` may say, as GetTraceSummaries writes it.
PATTERN: dict[str, dict[str, str | None]] = {
    "cause": {"Services": "service", "ClientImpacting": None},
    "service": {"Name": None, "Type": None, "AccountId": None, "Inferred": None, "EntityPath": "entity"},
    "entity": {"Name": None, "Coverage": None, "Remote": None, "Exceptions": "exception"},
    "exception": {"Name": None, "Message": None},
}
