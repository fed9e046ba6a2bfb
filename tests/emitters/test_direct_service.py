"""PutTraceSegments through botocore, against a server: what is asked, and what each answer means for the documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from tests.schema import checked
from tests.servers.aws import CLOSED, NOTHING, Answer, Service, refusal, service
from tests.servers.process import HOST, free_port
from xray_lambda import _recorder, configure, segment, subsegment
from xray_lambda._emitters import service as module
from xray_lambda._emitters.direct import DirectEmitter
from xray_lambda._emitters.service import XRay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from xray_lambda._emitters.service import Outcome

PATIENCE = 20
TRACE = "1-5759e988-bd862e3fe1be46a994272793"
DOCUMENT = f'{{"name":"a","id":"53995c3f42cd8ad8","trace_id":"{TRACE}","start_time":1.0,"end_time":2.0}}'


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give botocore made-up credentials and a region, and nothing of this machine's."""
    said = {
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "AKIAMADEUPKEYID0001",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.3)
    monkeypatch.setattr(module, "READ_TIMEOUT", 0.3)


def put(documents: list[str]) -> Outcome:
    """Put one batch, by a client of its own."""
    xray = XRay()
    try:
        return xray.put(documents)
    finally:
        xray.close()


@pytest.fixture
def x_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with service() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_XRAY", server.url)
        yield server


def test_a_batch_is_one_signed_call_that_says_who_makes_it(x_ray: Service) -> None:
    assert put([DOCUMENT, "{}"]).kind == "sent"
    [request] = x_ray.received
    assert (request.method, request.path) == ("POST", "/TraceSegments")
    assert request.json == {"TraceSegmentDocuments": [DOCUMENT, "{}"]}
    headers = dict(request.headers)
    assert "/eu-west-1/xray/aws4_request" in headers["authorization"]
    assert "xray-lambda/" in headers["user-agent"]
    assert request.trace == []


def test_the_connection_is_kept_between_batches(x_ray: Service) -> None:
    xray = XRay()
    assert [xray.put([DOCUMENT]).kind for _ in range(3)] == ["sent"] * 3
    client = xray._client
    xray.put([DOCUMENT])
    assert xray._client is client
    xray.start_anew()  # as in a forked child
    client.close()
    assert xray.put([DOCUMENT]).kind == "sent"
    assert xray._client is not client
    xray.close()


@pytest.mark.parametrize(
    ("answer", "kind", "advice"),
    [
        (refusal(429, "ThrottledException"), "later", ""),
        (refusal(400, "ThrottlingException"), "later", ""),
        (refusal(503, "ServiceUnavailable"), "later", ""),
        (Answer(500, b"<html>oops</html>"), "later", ""),
        (CLOSED, "later", ""),
        (NOTHING, "later", ""),
        (refusal(403, "AccessDeniedException"), "refused", "xray:PutTraceSegments"),
        (refusal(403, "UnrecognizedClientException"), "refused", "credentials"),
        (refusal(403, "ExpiredTokenException"), "refused", "credentials"),
        (refusal(403, "InvalidSignatureException"), "refused", "credentials"),
        (refusal(404, "NotFound"), "refused", "AWS_ENDPOINT_URL"),
        (refusal(400, "InvalidRequestException"), "rejected", ""),
        (refusal(413, "RequestEntityTooLarge"), "rejected", ""),
    ],
)  # fmt: skip
def test_an_answer_says_whether_to_try_again(x_ray: Service, answer: Answer, kind: str, advice: str) -> None:
    x_ray.answers[:] = [answer]
    outcome = put([DOCUMENT])
    assert outcome.kind == kind, outcome
    assert advice in outcome.advice
    assert bool(advice) == bool(outcome.advice)
    assert outcome.why
    assert len(x_ray.received) == 1, "trying again is the emitter's"


def test_an_endpoint_where_nothing_listens_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_XRAY", f"http://{HOST}:{free_port()}")
    assert put([DOCUMENT]).kind == "later"


def test_an_endpoint_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_XRAY", "not a url")
    outcome = put([DOCUMENT])
    assert (outcome.kind, "AWS_ENDPOINT_URL" in outcome.advice) == ("refused", True)


@pytest.mark.parametrize(
    ("without", "advice"),
    [("AWS_ACCESS_KEY_ID", "credentials"), ("AWS_DEFAULT_REGION", "AWS_REGION")],
)
def test_what_is_missing_is_said(x_ray: Service, monkeypatch: pytest.MonkeyPatch, without: str, advice: str) -> None:
    monkeypatch.delenv(without)
    outcome = put([DOCUMENT])
    assert (outcome.kind, advice in outcome.advice) == ("refused", True), outcome
    assert x_ray.received == []


def test_credentials_that_come_later_are_found(x_ray: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    xray = XRay()
    assert xray.put([DOCUMENT]).kind == "refused"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUPKEYID0001")
    assert xray.put([DOCUMENT]).kind == "sent"
    xray.close()


def test_the_region_of_containers_is_known_too(x_ray: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    assert put([DOCUMENT]).kind == "sent"
    assert "/ap-south-1/xray/" in dict(x_ray.received[0].headers)["authorization"]


def test_a_profile_that_is_not_there_is_said(x_ray: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    outcome = put([DOCUMENT])
    assert (outcome.kind, "profile" in outcome.advice) == ("refused", True)


def test_without_botocore_it_is_said_what_to_install(x_ray: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "botocore.session", None)
    outcome = put([DOCUMENT])
    assert (outcome.kind, "install botocore" in outcome.advice) == ("refused", True)


def test_what_x_ray_does_not_process_is_told_with_id_code_and_message(
    x_ray: Service, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        {"Id": "53995c3f42cd8ad8", "ErrorCode": "InvalidTraceId", "Message": "The trace id is too old"},
        {"ErrorCode": "MissingId"},
    ]
    x_ray.answers[:] = [Answer(200, {"UnprocessedTraceSegments": rows})]
    outcome = put([DOCUMENT, "{}", "{}"])
    assert (outcome.kind, outcome.lost) == ("sent", 2)
    said = "xray_lambda: X-Ray did not process the document with the id"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"{said} 53995c3f42cd8ad8: InvalidTraceId: The trace id is too old"),
        ("WARNING", f"{said} None: MissingId: None"),
    ]


def test_a_segment_reaches_x_ray_while_the_libraries_on_its_way_are_patched(
    x_ray: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xray_lambda import patch, unpatch

    libraries = ("botocore", "urllib3", "http.client", "threads")
    patch(*libraries)
    try:
        configure(emitter="direct")
        emitter = _recorder.active().emitter
        assert isinstance(emitter, DirectEmitter)
        with segment("nightly"):
            with subsegment("first"):
                pass
            emitter.send(DOCUMENT)  # while a segment is open
            assert emitter.flush(PATIENCE)
        assert emitter.flush(PATIENCE)
        configure(emitter="udp")
    finally:
        unpatch(*libraries)
    documents = [document for request in x_ray.received for document in request.json["TraceSegmentDocuments"]]
    assert [request.trace for request in x_ray.received] == [[]] * len(x_ray.received)
    first, second = map(checked, documents)
    assert first["name"] == "a"
    assert (second["name"], [child["name"] for child in second["subsegments"]]) == ("nightly", ["first"])


def test_documents_outlast_an_x_ray_that_throttles_hangs_closes_and_fails(
    x_ray: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xray_lambda._emitters.direct._FIRST_PAUSE", 0.001)
    bad = [refusal(429, "ThrottledException"), NOTHING, CLOSED, refusal(503, "ServiceUnavailable")]
    x_ray.answers[:] = [*bad, Answer(200, {"UnprocessedTraceSegments": []})]
    configure(emitter="direct")
    with segment("nightly"):
        pass
    emitter = _recorder.active().emitter
    assert isinstance(emitter, DirectEmitter)
    assert emitter.flush(PATIENCE)
    configure(emitter="udp")
    bodies = [request.body for request in x_ray.received]
    assert bodies == [bodies[0]] * 5
    assert checked(x_ray.received[0].json["TraceSegmentDocuments"][0])["name"] == "nightly"
    assert emitter.lost == 0


@pytest.mark.full
def test_traces_can_be_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.servers.moto import moto_server

    monkeypatch.setattr(module, "READ_TIMEOUT", PATIENCE)
    with moto_server(tmp_path) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_XRAY", url)
        configure(emitter="direct")
        traces = []
        for number in range(120):
            with segment(f"nightly-{number}") as root, subsegment("price") as sub:
                sub.annotate(order=number)
            traces.append(str(root.trace_id))
        emitter = _recorder.active().emitter
        assert isinstance(emitter, DirectEmitter)
        assert emitter.flush(PATIENCE)
        configure(emitter="udp")
        client = botocore.session.get_session().create_client("xray", endpoint_url=url)
        assert [document_of(client, trace)["name"] for trace in traces] == [f"nightly-{n}" for n in range(120)]
        assert document_of(client, traces[7])["subsegments"][0]["annotations"] == {"order": 7}
        assert emitter.lost == 0


def document_of(client: Any, trace: str) -> dict[str, Any]:
    """Return the one document that X-Ray has of a trace."""
    [found] = client.batch_get_traces(TraceIds=[trace])["Traces"]
    [kept] = found["Segments"]
    document: dict[str, Any] = json.loads(kept["Document"])
    return document
