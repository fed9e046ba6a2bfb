"""botocore, and boto3 with it: each call of a client is an aws subsegment named after the service, retries and all."""

from __future__ import annotations

from functools import wraps

from xray_lambda.libraries._aws import stamp
from xray_lambda.libraries._aws_clients import api_calls
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

make_api_call = api_calls("botocore.client:BaseClient._make_api_call(self, operation_name, api_params)")


@replacing("botocore.endpoint:Endpoint.create_request(self, params)")
def create_request(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def create_and_stamp(*args: Any, **kwargs: Any) -> Any:
        request = original(*args, **kwargs)
        stamp(request)
        return request

    return create_and_stamp
