"""Other ways to ask X-Ray: straight, signed by botocore; or through the daemon where there is one, else straight."""

from __future__ import annotations

from xray_lambda._emitters.service import client
from xray_lambda.sampling.daemon import Unavailable, Unreachable

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from xray_lambda.sampling.daemon import XRayClient


class DirectClient:
    """Asks X-Ray itself. Region, credentials and endpoint are botocore's; they need xray:GetSamplingRules and -Targets.

    botocore's client is made at the first call, which takes a third of a second, and again in a forked child.
    """

    def __init__(self, make_client: Callable[[], Any] = client) -> None:
        self._make_client = make_client
        self._client: Any = None

    def __str__(self) -> str:
        return "X-Ray"

    def get_sampling_rules(self, **members: Any) -> dict[str, Any]:
        """Return one page of the rules; `NextToken` asks for a later one."""
        return self._call("get_sampling_rules", members)

    def get_sampling_targets(self, **members: Any) -> dict[str, Any]:
        """Report `SamplingStatisticsDocuments`, and return the targets."""
        return self._call("get_sampling_targets", members)

    def _call(self, name: str, members: dict[str, Any]) -> dict[str, Any]:
        try:
            if self._client is None:
                self._client = self._make_client()
            return dict(getattr(self._client, name)(**members))
        except Exception as error:  # no region, no credentials, refused, throttled: there is no answer
            raise Unavailable(f"{type(error).__name__}: {error}"[:500]) from error

    def close(self) -> None:
        """Do nothing: a call under way ends by its own time-outs."""

    def start_anew(self) -> None:
        """In a forked child, leave the parent its connections."""
        self._client = None


class EitherClient:
    """Asks through the daemon where one can be reached, else straight: each call looks for itself."""

    def __init__(self, daemon: XRayClient, direct: XRayClient) -> None:
        self._daemon = daemon
        self._direct = direct

    def __str__(self) -> str:
        return f"{self._daemon}, nor from {self._direct} itself"

    def get_sampling_rules(self, **members: Any) -> dict[str, Any]:
        """Return one page of the rules."""
        try:
            return self._daemon.get_sampling_rules(**members)
        except Unreachable:
            return self._direct.get_sampling_rules(**members)

    def get_sampling_targets(self, **members: Any) -> dict[str, Any]:
        """Report `SamplingStatisticsDocuments`, and return the targets."""
        try:
            return self._daemon.get_sampling_targets(**members)
        except Unreachable:
            return self._direct.get_sampling_targets(**members)

    def close(self) -> None:
        """Break off a call under way in another thread."""
        self._daemon.close()
        self._direct.close()

    def start_anew(self) -> None:
        """In a forked child, leave the parent its connections."""
        self._daemon.start_anew()
        self._direct.start_anew()
