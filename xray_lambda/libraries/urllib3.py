"""urllib3: each urlopen is a remote subsegment named after the host, until its answer is read, released or closed.

Retries and redirects are part of it. What carries the trace on is http.client's card.
"""

from __future__ import annotations

from urllib3.response import HTTPResponse

from xray_lambda.libraries import http_client
from xray_lambda.libraries._bodies import ending, until_read
from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import MIDDLE, answered, http
from xray_lambda.libraries._targets import borrowed, replacing
from xray_lambda.libraries._urls import url_of

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from typing import Any

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call, Steps, Until


@card(
    "urllib3.poolmanager:PoolManager.urlopen(self, method, url)",
    "urllib3.connectionpool:HTTPConnectionPool.urlopen(self, method, url)",
    part_of=("http", MIDDLE),
)
def urlopen(call: Call) -> Steps:
    sub = http(call, call["method"], _url(call["self"], call["url"]), layer=MIDDLE)
    until = _answered(sub, (yield sub))
    if until is not None:
        yield until


def _url(pool: Any, url: str) -> str:
    if hasattr(pool, "scheme"):  # it is of one host
        return url_of(pool.scheme, pool.host, pool.port, url)
    return url if "://" in url else f"http://{url}"


def _answered(sub: Entity, response: Any) -> Until | None:
    answered(sub, response.status, response.headers)
    return until_done(response)


def until_done(response: Any) -> Until | None:
    """Return what keeps a subsegment open until urllib3's response has been read; None if it has been."""
    is_read = not isinstance(response, HTTPResponse) or response.closed or response.status == 101
    return None if is_read else until_read(response)


carry_on = borrowed(http_client.endheaders, "urllib3", "urllib3.connectionpool")
end = replacing("urllib3.response:HTTPResponse.release_conn(self)", "urllib3.response:HTTPResponse.close(self)")(ending)
