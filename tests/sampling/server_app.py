"""A program for gunicorn: has begun to sample before its workers are forked, and answers which of them it is."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from xray_lambda._recorder import active
from xray_lambda.sampling import central, targets
from xray_lambda.sampling.request import SamplingRequest

if TYPE_CHECKING:
    from collections.abc import Callable

vars(central)["INTERVAL"] = targets.INTERVAL = 0.2


def decide() -> str:
    """Decide on one request, and return by which rule."""
    sampler = active().sampler
    assert sampler is not None
    return str(sampler.decide(SamplingRequest("shop", path="/")).rule)


end = time.monotonic() + 30
while decide() != "Default":
    assert time.monotonic() < end
    time.sleep(0.01)
PARENT = vars(active().sampler)["_client_id"]


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    """Answer one request."""
    body = f"{os.getpid()} {decide()} {PARENT}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
