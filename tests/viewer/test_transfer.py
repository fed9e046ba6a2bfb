"""Traces go into files and come from them, in the forms that AWS's command line and this one's print."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.viewer.made import a_trace_id, alone, documents, segment
from xray_lambda.viewer import pull
from xray_lambda.viewer.documents import parse
from xray_lambda.viewer.store import Store
from xray_lambda.viewer.transfer import export, texts_in

ONE, OTHER = segment(), segment(trace_id=a_trace_id(7))


def aws(*bodies: dict[str, Any]) -> dict[str, Any]:
    segments = [{"Id": body["id"], "Document": json.dumps(body)} for body in bodies]
    return {"Traces": [{"Id": bodies[0]["trace_id"], "Duration": 1.0, "Segments": segments}], "UnprocessedTraceIds": []}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(aws(ONE, OTHER), indent=2),
        json.dumps([ONE, OTHER]),
        json.dumps([json.dumps(ONE), json.dumps(OTHER)]),
        json.dumps({"result": 1, "error": None, "trace_id": "x", "documents": [ONE, OTHER]}),
        json.dumps(ONE) + "\n\n" + json.dumps(OTHER) + "\n",
        json.dumps({"trace_id": "x", "documents": [ONE]}) + "\r\n" + json.dumps(aws(OTHER)),
    ],
)
def test_every_form_is_read(content: str) -> None:
    assert [json.loads(text) for text in texts_in(content.encode())] == [ONE, OTHER]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is not JSON: "),
        (b"not json", "it is not JSON: "),
        (b"{}\nnot json", "it is not JSON: in line 2, "),
        (b'{\n"a": \n', "it is not JSON: "),
        (b"17", "it has something that is no trace and no segment document"),
        (b"[null]", "it has something that is no trace and no segment document"),
        (b"[" * 100_000, "it is not JSON: depth limit exceeded"),
    ],
)
def test_anything_else_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(texts_in(content))


@given(st.binary(max_size=100))
def test_no_file_does_harm(content: bytes) -> None:
    try:
        texts = list(texts_in(content))
    except ValueError:
        return
    assert all(isinstance(text, str) for text in texts)


def test_what_is_exported_can_be_imported_and_is_the_same() -> None:
    part = alone(ONE["id"], "part", metadata={"a": {"b": [1e300, "ü"]}})
    written: list[str] = []
    with closing(Store(None)) as store, closing(Store(None)) as other:
        store.add(documents(ONE, part, OTHER))
        ids = [ONE["trace_id"], "1-not-there", OTHER["trace_id"]]
        assert export(store, ids, written.append) == 2
        answer = json.loads("".join(written))
        assert [trace["Id"] for trace in answer["Traces"]] == [ONE["trace_id"], OTHER["trace_id"]]
        assert answer["Traces"][0]["LimitExceeded"] is False
        other.add([parse(text) for text in texts_in("".join(written).encode())])
        for trace_id in (ONE["trace_id"], OTHER["trace_id"]):
            assert other.texts(trace_id) == store.texts(trace_id)


def test_nothing_exported_is_still_json() -> None:
    written: list[str] = []
    with closing(Store(None)) as store:
        assert export(store, [], written.append) == 0
    assert json.loads("".join(written)) == {"Traces": [], "UnprocessedTraceIds": []}


class Account:
    """X-Ray as it answers in pages."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def get_trace_summaries(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        page = int(request.get("NextToken", "0"))
        ids = [{"Id": a_trace_id(number)} for number in range(page * 3, page * 3 + 3)]
        return {"TraceSummaries": ids, "NextToken": str(page + 1)}

    def batch_get_traces(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if request.get("NextToken"):
            return {"Traces": [{"Segments": [{"Document": "last"}]}]}
        return {"Traces": [{"Segments": [{"Document": i}]} for i in request["TraceIds"]], "NextToken": "more"}


def test_all_pages_are_fetched_up_to_a_limit() -> None:
    account = Account()
    found = pull.matching(account, "fault", 1.0, 2.0, 7)
    assert found == [a_trace_id(number) for number in range(7)]
    assert [request.get("NextToken") for request in account.requests] == [None, "1", "2"]
    assert account.requests[0] == {"StartTime": 1.0, "EndTime": 2.0, "FilterExpression": "fault"}


def test_five_traces_are_asked_for_at_a_time_and_each_answer_may_have_more() -> None:
    account = Account()
    assert list(pull.documents(account, list("abcdef"))) == [*"abcde", "last", "f", "last"]
    assert [request["TraceIds"] for request in account.requests] == [[*"abcde"], [*"abcde"], ["f"], ["f"]]
