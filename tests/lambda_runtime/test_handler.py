"""`@traced_handler` in the real runtime client: what an invocation's document says."""

from __future__ import annotations

import pytest

from tests.lambda_runtime.documents import cold, handled, plain
from tests.lambda_runtime.runtime import invoke
from tests.lambda_runtime.runtime_api import PARENT, SAMPLED, Invocation


def test_a_traced_handler_that_calls_another_is_its_parent() -> None:
    source = """
        from xray_lambda import annotate, current_segment, subsegment, traced_handler

        @traced_handler
        def inner(event, context):
            annotate(room="inner")
            current_segment().annotate(of_the_segment=True)

        @traced_handler
        def handler(event, context):
            with subsegment("call"):
                inner(event, context)
    """
    annotations = {"ColdStart": False, "room": "inner"}
    call = {"name": "call", "subsegments": [{"name": "inner", "annotations": annotations}]}
    document = cold(annotations={"of_the_segment": True}, subsegments=[call])
    assert plain(invoke(source).documents) == [document]


def test_what_is_put_on_the_segment_lands_on_the_handler() -> None:
    source = """
        from xray_lambda import annotate, current_segment, metadata, segment, subsegment, traced_handler

        @traced_handler
        def handler(event, context):
            annotate(order=17)
            metadata(basket=["tea"])
            with subsegment("price"), segment("no segment of its own"):
                current_segment().annotate(paid=True)
                current_segment().metadata({"till": 4}, namespace="shop")
                current_segment().flag("error")
    """
    children = [{"name": "price", "subsegments": [{"name": "no segment of its own"}]}]
    metadata = {"default": {"basket": ["tea"]}, "shop": {"till": 4}}
    document = cold(annotations={"order": 17, "paid": True}, metadata=metadata, error=True, subsegments=children)
    assert plain(invoke(source).documents) == [document]


SERVICE = """
    from xray_lambda import traced_handler

    @traced_handler(OPTIONS)
    def handler(event, context):
        return context.tenant_id
"""


@pytest.mark.parametrize(
    ("options", "env", "service"),
    [
        ("", {"AWS_XRAY_TRACING_NAME": "till"}, "till"),
        ("", {"POWERTOOLS_SERVICE_NAME": "stock"}, "stock"),
        ("", {"AWS_XRAY_TRACING_NAME": "till", "POWERTOOLS_SERVICE_NAME": "stock"}, "till"),
        ("service='shop'", {"AWS_XRAY_TRACING_NAME": "till"}, "shop"),
    ],
)
def test_the_service_is_annotated_when_it_has_a_name(options: str, env: dict[str, str], service: str) -> None:
    outcome = invoke(SERVICE.replace("OPTIONS", options), Invocation(), env=env)
    assert plain(outcome.documents) == [cold(annotations={"Service": service})]


def test_the_tenant_is_annotated_when_lambda_names_one() -> None:
    named = Invocation(headers={"Lambda-Runtime-Aws-Tenant-Id": "blue"})
    outcome = invoke(SERVICE.replace("OPTIONS", ""), Invocation(), named, Invocation())
    assert outcome.bodies == [None, "blue", None]
    blue = handled(annotations={"ColdStart": False, "tenant_id": "blue"})
    assert plain(outcome.documents) == [cold(), blue, handled()]


STATUSES = {
    "{'statusCode': 200}": {},
    "{'statusCode': 404, 'body': 'nowhere'}": {"error": True},
    "{'statusCode': 429}": {"error": True, "throttle": True},
    "{'statusCode': 502}": {"fault": True},
    "{'statusCode': 599}": {"fault": True},
    "{'statusCode': HTTPStatus.NOT_FOUND}": {"error": True},
    "defaultdict(int, statusCode=500)": {"fault": True},
    "{'statusCode': '502'}": {},
    "{'statusCode': None}": {},
    "{'status': 502}": {},
    "[{'statusCode': 502}]": {},
    "'statusCode'": {},
}


def test_the_status_of_a_proxy_response_says_whether_it_failed() -> None:
    source = """
        from collections import defaultdict
        from http import HTTPStatus
        from xray_lambda import traced_handler

        @traced_handler
        def handler(event, context):
            return eval(event)
    """
    outcome = invoke(source, Invocation(None), *(Invocation(event=status) for status in STATUSES))
    assert plain(outcome.documents) == [handled(**flags) for flags in STATUSES.values()]


def test_switched_off_it_sends_nothing_and_passes_the_trace_header_on() -> None:
    source = """
        from xray_lambda import annotate, patch_all, subsegment, trace_header, trace_id, traced_handler
        patch_all()

        @traced_handler(capture_event=True)
        def handler(event, context):
            annotate(order=17)
            with subsegment("price"):
                return [trace_id(), trace_header()]
    """
    lineage = f"{SAMPLED};Lineage=1:a87bd80c:1"
    outcome = invoke(source, Invocation(lineage), Invocation(None), env={"AWS_XRAY_SDK_ENABLED": "false"})
    root = SAMPLED[len("Root=") : SAMPLED.index(";")]
    assert outcome.bodies == [[root, lineage], [None, None]]
    assert outcome.documents == []


def test_many_children_are_sent_on_the_way_and_none_is_lost() -> None:
    source = """
        from xray_lambda import subsegment, traced_handler

        @traced_handler
        def handler(event, context):
            for number in range(150):
                with subsegment(f"row {number}"):
                    pass
    """
    *on_the_way, last = plain(invoke(source, env={"XRAY_LAMBDA_STREAM_BYTES": "10000"}).documents)
    rows = [document["name"] for document in on_the_way] + [child["name"] for child in last["subsegments"]]
    assert 0 < len(on_the_way) < 150
    assert rows == [f"row {number}" for number in range(150)]
    assert {document["parent_id"] for document in on_the_way} == {last["id"]}
    assert last["parent_id"] == PARENT
