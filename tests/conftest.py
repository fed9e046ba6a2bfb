"""What every test starts from: no settings of this machine, our faults raised, nothing said yet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from xray_lambda import _guard, _recorder
from xray_lambda._context import current

if TYPE_CHECKING:
    from collections.abc import Iterator

# Two shared cores stall now and then: a deadline would measure them. `CI` runs no more examples than a developer does.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

_OURS = ("AWS_", "XRAY_", "LAMBDA_", "POWERTOOLS_", "_X_AMZN", "_HANDLER")


@pytest.fixture(autouse=True)
def a_fresh_house(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start with the defaults, in strict mode, and leave nothing current behind."""
    for name in list(os.environ):
        if name.startswith(_OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XRAY_LAMBDA_STRICT", "1")
    monkeypatch.setenv("XRAY_LAMBDA_HOST", "none")  # no test asks the network where it runs, unless it says so
    monkeypatch.setenv("XRAY_LAMBDA_SAMPLING", "all")  # no test means to lose a trace, or to look for X-Ray's rules
    monkeypatch.setattr(_recorder, "_active", None)
    monkeypatch.setattr(_recorder, "_arguments", {})
    monkeypatch.setattr(_guard, "strict", True)
    _guard.forget()
    before = current.get()
    yield
    assert current.get() is before, "the test left an entity current"
