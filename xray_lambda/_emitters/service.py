"""X-Ray's PutTraceSegments through botocore: the client, and what an answer or an error means for the documents."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from xray_lambda._emitters.notices import Notices
from xray_lambda._loading import loading
from xray_lambda._version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    Kind = Literal["sent", "later", "refused", "rejected"]

# Seconds. X-Ray answers in some 20 ms; what is slower is tried again.
CONNECT_TIMEOUT = 2
READ_TIMEOUT = 5

_THROTTLES = frozenset((
    "ThrottledException", "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded",
    "RequestThrottled", "RequestThrottledException", "SlowDown", "LimitExceededException",
))  # fmt: skip
# What no trying again helps against: somebody has to do something, which the words say.
_NO_PERMISSION = frozenset(("AccessDeniedException", "AccessDenied", "NotAuthorized", "UnauthorizedOperation"))
_ALLOW = "allow xray:PutTraceSegments, as the managed policy AWSXRayDaemonWriteAccess does"
CREDENTIALS = "give the program valid credentials: a role of its task, pod or instance, or AWS_ACCESS_KEY_ID and so on"
_REGION = "say the region in AWS_REGION or AWS_DEFAULT_REGION"
_ENDPOINT = "see that AWS_ENDPOINT_URL_XRAY, AWS_ENDPOINT_URL and the region lead to X-Ray"
_SETTINGS = "see to the AWS settings of the program: profile, configuration file, endpoint, proxy"
_BOTOCORE = "install botocore, which signs and sends"


class Outcome(NamedTuple):
    """What became of a batch: sent, to be tried later, refused as long as nobody does something, or rejected.

    `advice` says what there is to do, `lost` how many of the documents sent X-Ray did not process.
    """

    kind: Kind
    why: str = ""
    advice: str = ""
    lost: int = 0


SENT = Outcome("sent")


class XRay:
    """X-Ray, to which batches of documents are put; its client is made when it is wanted, and again after a fork."""

    def __init__(self, make_client: Callable[[], Any] | None = None, notices: Notices | None = None) -> None:
        self._make_client = make_client or client
        self._notices = notices or Notices()
        self._client: Any = None

    def prepare(self) -> None:
        """Make the client, while documents gather; whatever fails, the first batch meets it again. Never raises."""
        try:
            self._client = self._client or self._make_client()
        except Exception:  # noqa: BLE001 - see there
            return

    def put(self, documents: list[str]) -> Outcome:
        """Put a batch; never raises. What X-Ray does not process of it is told in the log."""
        try:
            if self._client is None:
                self._client = self._make_client()
            answer = self._client.put_trace_segments(TraceSegmentDocuments=documents)
        except Exception as error:  # noqa: BLE001 - whatever it is, the batch was not taken
            outcome = outcome_of(error)
            if outcome.kind == "refused":
                self.close()  # the next one asks botocore's chain anew
            return outcome
        unprocessed = answer.get("UnprocessedTraceSegments") or ()
        for one in unprocessed:
            self._tell(one)
        return Outcome("sent", lost=len(unprocessed))

    def _tell(self, one: dict[str, object]) -> None:
        code = str(one.get("ErrorCode"))[:100]
        message = "X-Ray did not process the document with the id %s: %s: %s"
        why = str(one.get("Message"))[:500]
        self._notices.say(logging.WARNING, f"unprocessed {code}", message, str(one.get("Id"))[:100], code, why)

    def close(self) -> None:
        """Close the connections; the next batch makes new ones."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def start_anew(self) -> None:
        """Leave the parent of a fork its client: closed here, it might wait for a lock that the parent held."""
        self._client = None


def outcome_of(error: Exception) -> Outcome:
    """Say what an error of botocore's means for the batch that met it."""
    why = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, ImportError):
        return Outcome("refused", why, _BOTOCORE)
    from botocore import exceptions as known  # noqa: PLC0415 - loaded by the client, unless that was a test's
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - the same

    if isinstance(error, known.ClientError):
        return _answered(error.response, why)
    if isinstance(error, (known.HTTPClientError, known.ConnectionError, ResponseParserError)):
        return Outcome("later", why)
    advice = _advice(type(error).__mro__)
    return Outcome("refused", why, advice) if advice else Outcome("rejected", why)


def _advice(classes: tuple[type, ...]) -> str:
    """Return what to do about an error of one of these classes, the first one first."""
    names = [one.__name__ for one in classes]
    if "NoRegionError" in names:
        return _REGION
    if any(word in names[0] for word in ("Credential", "Token", "SSO", "Metadata")):
        return CREDENTIALS
    if "BotoCoreError" in names:
        return _SETTINGS
    return _ENDPOINT if "ValueError" in names else ""  # the URL of an endpoint that is none


def _answered(response: Any, why: str) -> Outcome:
    code = response.get("Error", {}).get("Code", "")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLES or status in (408, 429) or status >= 500:
        return Outcome("later", why)
    if code in _NO_PERMISSION:
        return Outcome("refused", why, _ALLOW)
    if status in (401, 403) or "Token" in code or "Signature" in code or code == "UnrecognizedClientException":
        return Outcome("refused", why, CREDENTIALS)
    if status in (301, 307, 308, 404, 405):
        return Outcome("refused", why, _ENDPOINT)
    return Outcome("rejected", why)


def client() -> Any:
    """Return botocore's client for X-Ray, with the region, credentials and endpoint of its own chain.

    One attempt each: who calls tries again, and knows when to stop. Takes some 0.3 s.
    """
    with loading():
        from botocore.config import Config  # noqa: PLC0415 - tens of ms, in a thread that nobody waits for
        from botocore.session import Session  # noqa: PLC0415 - the same
    # What follows loads no module, and may ask the network for credentials: no fork waits for that.
    session = Session()
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"total_max_attempts": 1},
        max_pool_connections=1,
        parameter_validation=False,
        user_agent_extra=f"xray-lambda/{VERSION}",
    )
    return session.create_client("xray", region_name=region(session, os.environ), config=config)


def region(session: Any, environ: Any) -> str | None:
    """Return the region: botocore's own, AWS_REGION, which botocore leaves out, or that of the EC2 instance."""
    found = session.get_config_variable("region") or environ.get("AWS_REGION")
    if found:
        return str(found)
    try:
        from botocore.utils import IMDSRegionProvider  # noqa: PLC0415 - loaded by botocore.session

        return IMDSRegionProvider(session).provide()  # type: ignore[no-any-return]
    except Exception:  # noqa: BLE001 - no instance, or a botocore that has it otherwise: NoRegionError says what to do
        return None
