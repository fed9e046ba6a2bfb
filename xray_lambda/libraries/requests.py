"""requests: each Session.send is a remote subsegment named after the host, until its answer is read or closed.

Redirects are part of it. A call that a hook makes is a call of its own, and so is one that the program's `auth` makes
before there is anything to send. What carries the trace on is http.client's card.
"""

from __future__ import annotations

import sys

from requests.exceptions import HTTPError

from xray_lambda.libraries import http_client, urllib3
from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import AWS, answered, http
from xray_lambda.libraries._targets import borrowed

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from typing import Any

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call, Steps, Until


@card("requests.sessions:Session.send(self, request)", part_of=("http", AWS))
def send(call: Call) -> Steps:
    if call.parent.stack == "http" and _is_redirected():
        return
    request = call["request"]
    sub = http(call, request.method, request.url)
    try:
        until = _answered(sub, (yield sub))
    except HTTPError as error:  # a hook has called `raise_for_status`
        if error.response is None:
            raise
        until = _answered(sub, error.response)
    if until is not None:
        yield until


def _answered(sub: Entity, response: Any) -> Until | None:
    answered(sub, response.status_code, response.headers)
    return urllib3.until_done(response.raw)


def _is_redirected() -> bool:
    """Say whether a request is the next one of a call that is recorded: its nearest caller in requests tells."""
    frame = sys._getframe(1)  # noqa: SLF001 - `inspect` would cost 8 ms
    while frame.f_back is not None and frame.f_globals.get("__name__") != "requests.sessions":
        frame = frame.f_back
    return frame.f_code.co_name == "resolve_redirects"


# An answer is read, closed or dropped as urllib3's, which is what the program may have kept of it.
carry_on = borrowed(http_client.endheaders, "requests", "requests.sessions")
end = borrowed(urllib3.end, "requests", "requests.sessions")
