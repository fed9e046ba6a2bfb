"""pynamodb: each of its calls is one aws subsegment, DynamoDB, however often it is tried.

Version 5 signs with botocore's client and sends by itself, with retries of its own; version 6 lets the client send.
Both send through botocore's session, which is where attempts are counted and answers seen.
"""

from __future__ import annotations

from functools import wraps

from botocore.exceptions import ClientError

from xray_lambda._context import current
from xray_lambda._guard import guarded
from xray_lambda.libraries._aws import AwsCall, aws, ended, refused, stamp
from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import AWS
from xray_lambda.libraries._patching import replace, restore
from xray_lambda.libraries._targets import on_import

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps

_ABOVE = AWS + 1


@card("pynamodb.connection.base:Connection._make_api_call(self, operation_name, operation_kwargs)")
def make_api_call(call: Call) -> Steps:
    try:
        client = call["self"].client
    except Exception:  # noqa: BLE001 - the call makes the client as its first step too, and will fail in its own words
        return
    sub = aws(call.parent, client, call["operation_name"], call["operation_kwargs"], _ABOVE)
    try:
        answer = yield sub
    except ClientError as error:
        refused(sub, error)
    except Exception:
        ended(sub, None)
        raise
    else:
        ended(sub, answer)


@on_import("pynamodb.connection.base")
def watch_session(_module: ModuleType) -> Callable[[], object]:
    from botocore.httpsession import URLLib3Session  # noqa: PLC0415 - pynamodb has loaded it

    replace(URLLib3Session, "send", _watched)
    return lambda: restore(URLLib3Session, "send")


def _watched(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def send_and_note(self: object, request: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_attempt(request):
            return send(self, request, *args, **kwargs)
        stamp(request, _ABOVE)
        response = send(self, request, *args, **kwargs)
        note(response)
        return response

    return send_and_note


def _is_attempt(request: Any) -> bool:
    """Say whether a request is one of DynamoDB's, and not one for credentials."""
    sub = current.get()
    return sub is not None and sub.layer == _ABOVE and "X-Amz-Target" in getattr(request, "headers", ())


@guarded
def note(response: Any) -> None:
    """Keep what the answer to an attempt says; the last one counts."""
    sub = current.get()
    if isinstance(sub, AwsCall):
        sub.seen = {
            "RequestId": response.headers.get("x-amzn-RequestId"),
            "HTTPStatusCode": response.status_code,
        }
