"""urllib3: each urlopen is a remote subsegment named after the host, until its answer is read, released or closed.

Retries and redirects are part of it; each request of them carries the trace on. So does each that requests sends.
"""

from __future__ import annotations

from urllib3.response import HTTPResponse

from xray_lambda.libraries._bodies import ending, until_read
from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import AWS, MIDDLE, WITHIN, answered, carrying, http
from xray_lambda.libraries._targets import replacing
from xray_lambda.libraries._urls import url_of

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from typing import Any

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call, Steps, Until


@card("urllib3.poolmanager:PoolManager.urlopen(self, method, url)", part_of=("http", MIDDLE))
def urlopen_anywhere(call: Call) -> Steps:
    url = call["url"]
    sub = http(call, call["method"], url if "://" in url else f"http://{url}", layer=MIDDLE)
    until = _answered(sub, (yield sub))
    if until is not None:
        yield until


@card(
    "urllib3.connectionpool:HTTPConnectionPool.urlopen(self, method, url, body, headers)",
    part_of=("http", AWS),
)
def urlopen(call: Call) -> Steps:
    """Record a call to a pool; one of its requests, or of a call through a manager or requests, carries the trace."""
    is_within = call.parent.stack == "http"
    if not is_within and "" not in urlopen.users:  # requests alone is traced
        return
    pool = call["self"]
    url = url_of(pool.scheme, pool.host, pool.port, call["url"])
    sub = call.parent if is_within else http(call, call["method"], url, layer=MIDDLE)
    headers = call.get("headers")
    call["headers"] = carrying(sub, pool.headers if headers is None else headers, url)
    if is_within:
        yield WITHIN
        return
    until = _answered(sub, (yield sub))
    if until is not None:
        yield until


def _answered(sub: Entity, response: Any) -> Until | None:
    answered(sub, response.status, response.headers)
    is_read = not isinstance(response, HTTPResponse) or response.closed
    return None if is_read or response.status == 101 else until_read(response)


end = replacing("urllib3.response:HTTPResponse.release_conn(self)", "urllib3.response:HTTPResponse.close(self)")(ending)
