"""aiobotocore, and aioboto3 with it: each call of a client is an aws subsegment named after the service."""

from __future__ import annotations

from functools import wraps

from xray_lambda.libraries._aws import stamp
from xray_lambda.libraries._aws_clients import api_calls
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

make_api_call = api_calls("aiobotocore.client:AioBaseClient._make_api_call(self, operation_name, api_params)")


@replacing("aiobotocore.endpoint:AioEndpoint.create_request(self, params)")
def create_request(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def create_and_stamp(*args: Any, **kwargs: Any) -> Any:
        request = await original(*args, **kwargs)
        stamp(request)
        return request

    return create_and_stamp
