"""s3transfer: each part that its threads send or fetch is a call below what was current when the program asked."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.libraries.aws import CREDENTIALS, REGION, config
from tests.libraries.aws import traced as traced_calls
from xray_lambda import patch, patch_all, subsegment
from xray_lambda.testing import HEADER, capture

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 1024 * 1024
PARTS = TransferConfig(multipart_threshold=5 * MEGABYTE, multipart_chunksize=5 * MEGABYTE, max_concurrency=3)
SIZE = 11 * MEGABYTE


@pytest.fixture
def s3(aws_url: str) -> Any:
    made = boto3.client("s3", region_name=REGION, endpoint_url=aws_url, config=config(), **CREDENTIALS)
    try:
        made.create_bucket(Bucket="transfers", CreateBucketConfiguration={"LocationConstraint": REGION})
    except made.exceptions.BucketAlreadyOwnedByYou:
        pass
    return made


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(b"x" * SIZE)
    return path


def operations(node: Any) -> list[str]:
    assert all(child.name == "S3" and child.children == [] for child in node.children), str(node)
    return [child.document["aws"]["operation"] for child in node.children]


@pytest.mark.parametrize("everything", [True, False])
def test_an_upload_in_parts_stays_in_the_trace(everything: bool, s3: Any, large: Path) -> None:
    patch_all() if everything else patch("boto3", "threads")
    with traced_calls() as traces, subsegment("upload"):
        s3.upload_file(str(large), "transfers", "large", Config=PARTS)
    node = traces.find("upload")
    assert sorted(operations(node)) == [
        "CompleteMultipartUpload", "CreateMultipartUpload", "UploadPart", "UploadPart", "UploadPart",
    ]  # fmt: skip
    parts = [child.document["aws"].get("part_number") for child in node.children]
    assert sorted(filter(None, parts)) == [1, 2, 3]
    assert {child.document["aws"]["key"] for child in node.children} == {"large"}
    assert traces.one.names()[1][0][0] == "upload"


def test_a_download_in_parts_stays_in_the_trace(s3: Any, large: Path, tmp_path: Path) -> None:
    s3.upload_file(str(large), "transfers", "fetched")
    patch_all()
    with traced_calls() as traces, subsegment("download"):
        s3.download_file("transfers", "fetched", str(tmp_path / "copy"), Config=PARTS)
    assert sorted(operations(traces.find("download"))) == ["GetObject", "GetObject", "GetObject", "HeadObject"]
    assert (tmp_path / "copy").read_bytes() == large.read_bytes()


def test_objects_of_files_and_copies_stay_in_the_trace(s3: Any) -> None:
    patch_all()
    fetched = io.BytesIO()
    with traced_calls() as traces, subsegment("objects"):
        s3.upload_fileobj(io.BytesIO(b"opensesame"), "transfers", "small")
        s3.copy({"Bucket": "transfers", "Key": "small"}, "transfers", "copied")
        s3.download_fileobj("transfers", "copied", fetched)
    assert fetched.getvalue() == b"opensesame"
    assert operations(traces.find("objects")) == ["PutObject", "HeadObject", "CopyObject", "HeadObject", "GetObject"]
    assert "opensesame" not in json.dumps(traces.documents)


def test_a_download_of_what_is_not_there_fails_as_it_would(s3: Any, tmp_path: Path) -> None:
    patch_all()
    with traced_calls() as traces, subsegment("download"), pytest.raises(ClientError):
        s3.download_file("transfers", "nothing", str(tmp_path / "copy"))
    (node,) = traces.find("download").children
    assert (node.flags, node.document["http"]["response"]["status"]) == ({"error"}, 404)
    assert traces.find("download").flags == set()


def test_an_unsampled_upload_leaves_nothing_behind(s3: Any, large: Path) -> None:
    patch_all()
    with capture(header=HEADER.replace("Sampled=1", "Sampled=0")) as traces:
        s3.upload_file(str(large), "transfers", "unsampled", Config=PARTS)
    assert len(traces) == 0


def test_without_a_trace_transfers_work_as_they_would(s3: Any, large: Path, tmp_path: Path) -> None:
    patch_all()
    with capture(header=None) as traces:
        s3.upload_file(str(large), "transfers", "untraced", Config=PARTS)
        s3.download_file("transfers", "untraced", str(tmp_path / "copy"), Config=PARTS)
    assert (len(traces), (tmp_path / "copy").stat().st_size) == (0, SIZE)
