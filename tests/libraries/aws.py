"""AWS clients for tests: made-up credentials, no retries that wait, nothing of this machine's settings."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.config import Config

from xray_lambda import subsegment
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Node, Traces

REGION = "eu-west-1"
ACCOUNT = "123456789012"
SECRETS = ("AKIAMADEUPKEYID0001", "made-up-secret-key-hunter2", "made-up-session-token-hunter2")
CREDENTIALS: dict[str, Any] = dict(
    zip(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), SECRETS, strict=True)
)


def config(attempts: int = 1, *, timeout: float = 20, **more: Any) -> Config:
    """Return settings with which nothing is tried again, or at once."""
    more.setdefault("s3", {"addressing_style": "path"})
    retries: Any = {"total_max_attempts": attempts, "mode": "standard"}
    return Config(retries=retries, connect_timeout=timeout, read_timeout=timeout, **more)


def client(service: str, url: str, *, region: str | None = REGION, **options: Any) -> Any:
    """Return botocore's client of a service."""
    options = {"config": config(), **CREDENTIALS, **options}
    return botocore.session.get_session().create_client(service, region_name=region, endpoint_url=url, **options)


def needs_json(service: str) -> None:
    """Skip the test where the botocore at hand speaks XML with the service, which the stub does not: SQS of 1.34."""
    if botocore.session.get_session().get_service_model(service).metadata["protocol"] == "query":
        pytest.skip(f"botocore {botocore.__version__} speaks XML with {service}")


def of_account(made: Any, account: str) -> Any:
    """Return a client whose credentials tell their account, as those of newer providers do."""
    made._request_signer._credentials.account_id = account
    return made


@contextmanager
def traced(**options: Any) -> Iterator[Traces]:
    """Record what the block calls, below `handler`; nothing of the credentials must show."""
    with capture(**options) as traces:
        with subsegment("handler"):
            yield traces
        for document in traces._emitter.documents:
            assert not [secret for secret in SECRETS if secret in document]


def only_child(traces: Traces) -> Node:
    """Return the one subsegment below `handler`, which has none itself."""
    (child,) = traces.one.children
    assert child.children == []
    return child


def aws(traces: Traces) -> dict[str, Any]:
    """Return what the only call says of itself under `aws`."""
    fields: dict[str, Any] = only_child(traces).document["aws"]
    return fields
