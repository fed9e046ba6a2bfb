"""Filter expressions as X-Ray's guide writes them are understood; what is wrong is said with its place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.viewer.filters.oracle import matches
from tests.viewer.made import call, documents, http, segment
from xray_lambda.viewer.filters import FilterError, parse, where
from xray_lambda.viewer.store import Store
from xray_lambda.viewer.summaries import Summary, summarize

if TYPE_CHECKING:
    from collections.abc import Iterator


def made() -> dict[str, Any]:
    """Make a shop's segment that calls a table well and a bank badly, and answers with 200 after two seconds."""
    exception = {"id": "e" * 16, "type": "Timeout", "message": "Access Denied for account_id: 1234567890"}
    failed = {"fault": True, "cause": {"exceptions": [exception]}}
    return segment(
        "shop",
        0,
        2.0,
        http=http(200, "POST", "http://shop.example/v2/orders", user_agent="curl/8", client_ip="10.0.0.1"),
        user="alice",
        annotations={"order": 17, "gameid": "817DL6VO", "vip": True, "trial": False, "a.b": "c"},
        aws={"account_id": "123456789012", "ec2": {"instance_id": "i-1", "availability_zone": "eu-1a"}},
        origin="AWS::EC2::Instance",
        subsegments=[
            call("DynamoDB", 0.1, namespace="aws", aws={"table_name": "baskets", "operation": "GetItem"}),
            call("bank", 0.5, 1.4, namespace="remote", http=http(503), **failed),
        ],
    )


SHOP = made()


def shop() -> Summary:
    return summarize([SHOP])


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store that has this trace alone."""
    found = Store(None)
    found.add(documents(SHOP))
    yield found
    found.close()


def finds(store: Store, text: str) -> bool:
    """Look for the trace in the store, and hold the answer against the second reading."""
    condition = where(parse(text))
    found = store.count(condition.sql, condition.parameters) == 1
    assert matches(parse(text), shop()) == found
    return found


HOLDS = [
    "",
    "   ",
    "ok",
    "!error",
    "NOT fault",
    "ok = true",
    'ok = "true"',
    "ok != false",
    "responsetime > 1.5",
    "responseTime >= 2 and duration <= 8",
    "ok !partial duration <3",
    "http.status = 200",
    "http.status!=404",
    'http.url BEGINSWITH "http://shop.example/" AND http.url contains "/v2/" AND !service("api.example.com")',
    'http.url ENDSWITH "orders"',
    "http.url AND responseTime > 1",
    'http.method = "POST"',
    "http.method = POST",
    "http.useragent BEGINSWITH 'curl'",
    'http.clientip = "10.0.0.1"',
    'user CONTAINS ""',
    'user = "alice"',
    "user",
    'name = "shop"',
    'type = "AWS::EC2::Instance"',
    'instance.id = "i-1" AND availabilityzone = "eu-1a" AND account.id = "123456789012"',
    "annotation.order = 17",
    "annotation.order >= 17 AND annotation.order < 18",
    'annotation.gameid = "817DL6VO"',
    "annotation.order",
    "annotation.vip",
    "annotation.vip = true",
    "!annotation.trial",
    "annotation.trial = false",
    "!annotation.age",
    'annotation[a.b] = "c"',
    'annotation["a.b"] = "c"',
    "annotation.a.b CONTAINS c",
    'service("bank") { fault }',
    'service("bank") { fault = true OR responsetime > 2.5 } AND annotation.order = 17',
    "service() { fault }",
    "service() { inferred AND http.status >= 500 }",
    'service(id(name: "baskets", type: "AWS::DynamoDB::Table"))',
    'service(id(type:"AWS::DynamoDB::Table")) { ok }',
    'service(id(account.id: "123456789012"))',
    'service("shop") {root = true and ok = true}',
    'service("shop") { annotation.order = 17 }',
    '!service("bank") { annotation.order = 17 }',
    'edge("shop", "bank") { fault }',
    'edge(id(name: "shop", type: "AWS::EC2::Instance"), id(name: "bank", type: "remote"))',
    'edge("shop", "")',
    'edge(, "bank") { responsetime > 1 }',
    'edge(id(type: "client"), "shop")',
    'rootcause.fault.service { name = "bank" }',
    'rootcause.fault.service { inferred and name = bank and type = "remote" }',
    "rootcause.fault.service { index > 0 }",
    'rootcause.fault.service { last and type = "remote" } AND rootcause.fault.service { first and !inferred }',
    'rootcause.fault.exception { last and message = "Access Denied for account_id: 1234567890" }',
    'rootcause.fault.entity { remote and name = "bank" }',
    "rootcause.responsetime.entity { last and coverage > 0.6 }",
    'rootcause.responsetime.service { last and name = "bank" }',
    'rootcause.json = #[{"Services": [{"Name": "shop"}, {"Name": "bank", "EntityPath": [{"Name": "bank"}]}]}]',
    "(error OR ok) AND (ok)",
    "ok OR fault AND error",
]


@pytest.mark.parametrize("text", HOLDS)
def test_an_expression_of_the_guide_finds_its_trace(store: Store, text: str) -> None:
    assert finds(store, text)


@pytest.mark.parametrize(
    "text",
    [
        "error",
        "fault OR throttle",
        "partial",
        "coldstart",
        'http.status = 200 AND http.method = "GET"',
        'annotation.order = "17"',  # X-Ray keeps texts and numbers apart
        "annotation.trial",
        'annotation.gameid = "817dl6vo"',
        'service("shop") { fault }',
        'service("bank") { http.method = "POST" }',
        'service(id(name: "bank", type: "AWS::DynamoDB::Table"))',
        'edge("bank", "shop")',
        "rootcause.error.service",
        'rootcause.fault.service { first and name = "bank" }',
        'rootcause.json = #[{ "Services": [ { "Name": "shop" } ] }]',
        'rootcause.json = #[{ "ClientImpacting": true, "Services": [ { "Name": "shop" }, { "Type": null } ] }]',
        "rootcause.json = #[]",
        "!(ok)",
    ],
)
def test_what_is_not_so_finds_no_trace(store: Store, text: str) -> None:
    assert not finds(store, text)


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("faults", 0, "'faults' is no keyword; did you mean fault? known: "),
        ("ok AND", 6, "expected a keyword where the expression ends"),
        ("ok AND AND fault", 7, "expected a keyword where 'AND' stands"),
        ("ok fault)", 8, "expected AND, OR or the end where ')' stands"),
        ("(ok", 3, "expected ')' where the expression ends"),
        ("responsetime", None, ""),
        ("responsetime > fast", 15, "expected a number where 'fast' stands"),
        ('responsetime CONTAINS "1"', 13, "responsetime cannot be compared with CONTAINS; known: =, !=, <, <=, >, >="),
        ("http.url > 3", 9, "http.url cannot be compared with >; known: =, !=, CONTAINS, BEGINSWITH, ENDSWITH"),
        ("ok = maybe", 5, "expected true or false, for ok is a boolean keyword, where 'maybe' stands"),
        ("annotation.a < true", 13, "a boolean value cannot be compared with <; known: =, !="),
        ("annotation.a = ", 15, "expected a value where the expression ends"),
        ('user = "alice', 7, "this text has no closing quotation mark"),
        ("ok & fault", 3, "'&' means nothing here"),
        ("root", 0, "root has no meaning of a whole trace; it stands in the braces of service, edge"),
        (
            'service("a") { last }',
            15,
            "last has no meaning in the braces of service; it stands in the braces of rootcause.",
        ),
        ('service("a") { service("b") }', 15, "service cannot stand inside the braces of another"),
        ("rootcause.fault.service { annotation.a }", 26, "annotation.a cannot stand inside the braces of a root cause"),
        (
            "rootcause.responsetime.exception",
            0,
            "'rootcause.responsetime.exception' is no keyword; did you mean rootcause.",
        ),
        ('service(id(kind: "a"))', 11, "expected name:, type: or account.id: where 'kind:' stands"),
        ('service("a"', 11, "expected ')' where the expression ends"),
        ('edge(id(account.id: "1"), "a")', 5, "the account of a caller is not known"),
        ('edge("a")', 8, "expected ',' where ')' stands"),
        ('group.name = "slow"', 0, "group.name: groups are kept in an AWS account"),
        ("rootcause.json = 3", 17, "expected JSON after a #"),
        ('rootcause.json = #[{"Servces": []}]', 17, "a cause has no 'Servces'; known: Services, ClientImpacting"),
        ('rootcause.json = #[{"Services": [{"Name": ["a"]}]}]', 17, "Name is a single value"),
        ("rootcause.json = #[{]", 17, "this JSON has no end"),
        ("rootcause.json = #[1]", 17, "a cause is an object, with any of Services, ClientImpacting"),
        ("rootcause.json = #[{'a': 1}]", 17, "this is no JSON: "),
        ("(" * 31 + "ok" + ")" * 31, 30, "the expression is nested more than 30 deep"),
        ("ok " * 201, 600, "the expression has more than 200 conditions"),
        (" " * 5_001, 5_000, "the expression has 5,001 characters, over 5,000"),
        ('user = "\ud800"', 8, "half of a surrogate pair is no character"),
        ("responsetime > 1e999", 15, "this number is too large"),
    ],
)
def test_a_mistake_is_said_with_its_place(text: str, position: int | None, message: str) -> None:
    if position is None:
        assert parse(text)
        return
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert (caught.value.message[: len(message)], caught.value.position) == (message, position)
    assert str(caught.value).endswith(f"(at character {position + 1})")


PIECES = [
    "ok", "service", "(", ")", "{", "}", "edge", "annotation", ".", "[", "]", "AND", "OR", "!", "id", '"a"', ",",
    "name:", "rootcause.json", "=", "#", '[{"Services":[]}]', "1", "-1.5e3", "CONTAINS", "rootcause.fault.entity",
    "first", "\\", "'", '"', "#[", "é", "\x00", " ",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(PIECES) | st.text(max_size=3),
        max_size=12,
    )
)
def test_no_text_at_all_breaks_the_parser(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        node = parse(text)
    except FilterError as error:
        place = error.position
        assert 0 <= place <= len(text)
        return
    matches(node, shop())
    where(node)
    assert parse(str(node)) == node


def test_nothing_a_user_writes_becomes_sql() -> None:
    evil = "x') OR 1=1; DROP TABLE traces; --"
    text = json.dumps(evil)
    expression = (
        f"http.url CONTAINS {text} AND annotation[{text}] ENDSWITH {text} AND service({text}) {{ user = {text} }} "
        f"AND edge(id(type: {text}), {text}) AND rootcause.fault.entity {{ name BEGINSWITH {text} }} "
        f'AND rootcause.json = #[{{"Services": [{{"Name": {text}}}]}}]'
    )
    sql, parameters = where(parse(expression))
    assert "DROP" not in sql
    assert "'" not in sql.replace("'$.fault'", "").replace("'$.Services'", "").replace("'$.EntityPath'", "").replace(
        "'$.Name'", ""
    ).replace("''", "")
    assert evil in parameters


def test_a_value_may_hold_any_character() -> None:
    value = "a\"b\\c\nd\te'f"
    node: Any = parse(f"user = {json.dumps(value)}")
    assert node.value == value
