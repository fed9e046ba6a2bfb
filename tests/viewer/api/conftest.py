"""A running viewer with X-Ray's API, and boto3's client of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.viewer.running import Running
from tests.viewer.running import running as run
from xray_lambda.viewer import api
from xray_lambda.viewer.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def started() -> Iterator[Running]:
    with run(routes_of=api.routes) as found:
        yield found


@pytest.fixture
def running(started: Running) -> Running:
    """A viewer that knows nothing yet."""
    started.viewer.store.clear()
    started.viewer.rules = Sampling(None)
    started.viewer.rejections.clear()
    return started


@pytest.fixture
def xray(running: Running) -> Any:
    boto3 = pytest.importorskip("boto3")
    return boto3.client(
        "xray",
        endpoint_url=f"http://127.0.0.1:{running.port}",
        region_name="eu-central-1",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
    )
