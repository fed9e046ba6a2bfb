"""aiohttp: each request of a ClientSession is a remote subsegment named after the host, until its answer is read.

A TraceConfig of aiohttp's own would come too late for a session that is there already, and knows nothing of an
answer's end. Redirects are part of a call; each request carries the trace on.
"""

from __future__ import annotations

from functools import partial
from weakref import ref

from aiohttp.client_exceptions import ClientResponseError

from xray_lambda.libraries._bodies import ended, ending, failure_through, keep_open
from xray_lambda.libraries._card import NotOurCall, card
from xray_lambda.libraries._kinds import AWS, CLIENT, WITHIN, answered, http, outgoing_to
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from typing import Any

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call, Done, Steps, Until


@card("aiohttp.client:ClientSession._request(self, method, str_or_url)", part_of=("http", AWS))
def request(call: Call) -> Steps:
    sub = http(call, call["method"].upper(), _url(call))
    try:
        until = _answered(sub, (yield sub))
    except ClientResponseError as error:
        if type(error) is not ClientResponseError or error.__cause__ is not None:
            raise
        answered(sub, error.status, error.headers or {})  # the program asked for `raise_for_status`
    else:
        yield until


def _url(call: Call) -> object:
    try:
        return call["self"]._build_url(call["str_or_url"])  # noqa: SLF001 - joins it to the session's base
    except (AssertionError, TypeError, ValueError):
        raise NotOurCall("str_or_url") from None


def _answered(sub: Entity, response: Any) -> Until:
    answered(sub, response.status, response.headers)
    return partial(_until_read, ref(response))


def _until_read(waiting: ref[Any], done: Done) -> None:
    response = waiting()
    if response is not None:
        keep_open(response, done)
        response.content.on_eof(partial(_at_eof, waiting))


def _at_eof(waiting: ref[Any]) -> None:
    ended(waiting())


@card("aiohttp.client_reqrep:ClientRequest.send(self, conn)", part_of=("http", AWS))
def send(call: Call) -> Steps:
    sub, sent = call.parent, call["self"]
    if sub.stack == "http" and sub.layer == CLIENT and sent.method != "CONNECT":
        sent.headers.update(outgoing_to(sub, str, sent.url))  # aiohttp's own, made for this one request
    yield WITHIN


@replacing("aiohttp.client_reqrep:ClientResponse.release(self)", "aiohttp.client_reqrep:ClientResponse.close(self)")
def end(method: Any) -> Any:
    return ending(method, _failure_of)


def _failure_of(response: Any) -> BaseException | None:
    error: BaseException | None = response.content.exception()
    return failure_through(response, response.content) if error is None else error
