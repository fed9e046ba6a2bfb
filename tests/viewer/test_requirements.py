"""What X-Ray would refuse is what the schema refuses, save what the schema asks of this library alone."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.viewer.made import alone, call, http, segment
from xray_lambda.viewer.requirements import DEEPEST, fault_in

pytestmark = pytest.mark.full


def lenient(schema: Any) -> Any:
    """Take from the schema what only this library promises of its own documents.

    X-Ray's published schema takes unknown keys everywhere but among annotations, a flag that is false, ids in upper
    case, dots in annotation keys, any namespace; it names no limit for subsegments' names but the 250 of every text.
    """
    if isinstance(schema, list):
        return [lenient(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: lenient(value) for key, value in schema.items()}
    if found.get("additionalProperties") is False and "patternProperties" not in found:
        del found["additionalProperties"]
    if found.get("const") is True:
        return {"type": "boolean"}
    if "enum" in found:
        return {"type": "string"}
    if "pattern" in found:
        found["pattern"] = found["pattern"].replace("[0-9a-f]", "[0-9a-fA-F]")
    if "patternProperties" in found:
        found["patternProperties"] = {"^[A-Za-z0-9_.]{1,500}$": {"type": ["string", "number", "boolean"]}}
    for limit in ("maxLength", "maxProperties", "maxItems", "minItems"):
        found.pop(limit, None)
    return found


def relaxed() -> dict[str, Any]:
    text = (Path(__file__).parent.parent / "xray-document.schema.json").read_text("utf-8")
    schema: dict[str, Any] = lenient(json.loads(text))
    for name in ("embedded", "independent"):
        schema["$defs"][name]["properties"]["name"] = {"type": "string", "minLength": 1, "maxLength": 250}
    return schema


VALIDATOR = Draft202012Validator(relaxed())


def without_nulls_and_false_flags(body: Any) -> Any:
    """Leave out what X-Ray takes as not there, which a schema can only say by being twice as long."""
    if isinstance(body, list):
        return [without_nulls_and_false_flags(item) for item in body]
    if not isinstance(body, dict):
        return body
    kept = {key: value for key, value in body.items() if value is not None}
    as_they_are = {key: body[key] for key in ("annotations", "metadata") if isinstance(body.get(key), dict)}
    if kept.get("in_progress") is False:
        del kept["in_progress"]
    return {key: without_nulls_and_false_flags(value) for key, value in kept.items()} | as_they_are


def takes(body: dict[str, Any]) -> bool:
    return VALIDATOR.is_valid(without_nulls_and_false_flags(body))


EXCEPTION = {"id": "0123456789abcdef", "type": "E", "message": "m", "stack": [{"path": "a", "line": 1, "label": "f"}]}
WHOLE = segment(
    user="Ann",
    origin="AWS::Lambda::Function",
    service={"version": "1.0", "runtime": "CPython"},
    annotations={"order": 17, "new.customer": True, "text": "x" * 900},
    metadata={"default": {"a": [1, None, {}]}, "other": {}},
    http=http(200, x_forwarded_for=True),
    aws={"xray": {"sdk": "X-Ray for Python"}, "cloudwatch_logs": [{"log_group": "a"}]},
    cause={"working_directory": "/", "paths": [], "exceptions": [EXCEPTION]},
    fault=False,
    subsegments=[call("a@b", namespace="remote", sql={"url": "x"}, cause="0123456789abcdef", subsegments=[call("c")])],
)
SAMPLES = [WHOLE, segment(seconds=None), alone("0123456789ABCDEF", "## handler"), alone("0" * 16, "x", seconds=None)]
STRANGE: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    1_700_000_000,
    "",
    "x",
    "0123456789abcdef",
    "aws",
    [],
    [1],
    [{}],
    {},
    {"a": 1},
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(below for key, item in inner for below in paths(item, (*path, key)))]


def changed(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    body = copy.deepcopy(body)
    place: Any = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return body


# What is looked at is what the viewer's work, or X-Ray's index, stands on: the rest may be as it is.
UNSEEN = ("metadata.", "aws.", "sql.", "service.", "links", "stack", "content_length", "x_forwarded_for", "paths",
          "working_directory", "message", "type.", "exceptions.0.type", "precursor_ids")  # fmt: skip


def is_seen(path: tuple[Any, ...]) -> bool:
    dotted = ".".join(map(str, path))
    return not any(part in dotted for part in UNSEEN if part != "metadata." or len(path) > 2)


@pytest.mark.parametrize("sample", SAMPLES)
def test_sound_documents_are_taken(sample: dict[str, Any]) -> None:
    assert fault_in(sample) is None
    assert takes(sample)


CASES = [(sample, path) for sample in SAMPLES for path in paths(sample) if path and is_seen(path)]


@pytest.mark.parametrize("value", STRANGE, ids=repr)
def test_one_strange_value_anywhere_is_judged_as_the_schema_does(value: Any) -> None:
    for sample, path in CASES:
        body = changed(sample, path, value)
        assert (fault_in(body) is None) == takes(body), (path, value, fault_in(body))


@given(st.data())
def test_two_strange_values_are_judged_as_the_schema_does(data: st.DataObject) -> None:
    sample, path = data.draw(st.sampled_from(CASES))
    body = changed(sample, path, data.draw(st.sampled_from(STRANGE)))
    key = data.draw(st.sampled_from(sorted({path[0] for _, path in CASES})))
    body[key] = data.draw(st.sampled_from(STRANGE))
    assert (fault_in(body) is None) == takes(body), (body, fault_in(body))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": "shop?"}, "name is 'shop?', not 1 to 200 letters, digits, spaces and _.:/%&#=+-@"),
        ({"name": None}, "there is no name"),
        ({"id": "1"}, "id is '1', not 16 hex digits"),
        ({"trace_id": "1-2-3"}, "trace_id is '1-2-3', not 1-, 8 hex digits, - and 24 hex digits"),
        ({"type": "segment"}, "type is 'segment', not 'subsegment', or left out for a segment"),
        ({"type": "subsegment"}, "there is no parent_id"),
        ({"start_time": 1_700_000_000_000}, "start_time is 1700000000000, not a time in seconds since 1970"),
        ({"start_time": 1e300}, "start_time is 1e+300, not a time in seconds since 1970"),
        ({"end_time": None}, "it has neither an end_time nor in_progress"),
        ({"in_progress": True}, "it has an end_time and is in_progress"),
        ({"fault": 1}, "fault is 1, not true or false"),
        ({"namespace": 1}, "namespace is 1, not a text"),
        ({"annotations": {"a b": 1}}, "the annotation key 'a b' has more than letters, digits, _ and ."),
        ({"annotations": {"a": []}}, "annotation 'a' is a list, not a text, a number or a boolean"),
        (
            {"metadata": {"a": 1}},
            "metadata 'a' is 1, not an object: metadata has namespaces, and these have keys",
        ),
        ({"subsegments": [call("")]}, "subsegment '': name is '', not a text of 1 to 250 characters"),
        ({"subsegments": [1]}, "subsegments has an item that is no object"),
        ({"http": {"response": {"status": "200"}}}, "http.response.status is '200', not a whole number"),
        ({"http": {"request": {"url": 1}}}, "http.request.url is 1, not a text"),
        ({"cause": {"exceptions": [{}]}}, "an exception's id is null, not 16 hex digits"),
    ],
)
def test_a_fault_is_said_in_words(more: dict[str, Any], words: str) -> None:
    assert fault_in({**segment(), **more}) == words


def test_subsegments_have_a_deepest_level() -> None:
    body = inner = segment()
    for _ in range(DEEPEST + 1):
        inner["subsegments"] = [call("a")]
        inner = inner["subsegments"][0]
    assert fault_in(body) == f"subsegments are nested over {DEEPEST} deep"
