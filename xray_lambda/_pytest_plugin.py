"""The pytest plugin: the fixture `xray` captures what a test records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from xray_lambda.testing import Traces, capture

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def xray() -> Iterator[Traces]:
    """Capture what the test records, as in one Lambda invocation: `assert xray.one["price"].annotations == {...}`."""
    with capture() as traces:
        yield traces
