"""What a sampler is asked, and what it answers."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from xray_lambda.sampling.anomalies import Watch

    class Sampler(Protocol):
        """Decides whether a trace that begins here is recorded; called by many threads at once."""

        def decide(self, request: SamplingRequest) -> Decision:
            """Decide on one request."""

        def close(self) -> None:
            """End what runs in the background."""


class SamplingRequest:
    """What is known of a request when its trace begins; None is not known, and matches every rule.

    `service_type` is the segment's origin (`AWS::ECS::Container`), `attributes` what rules may ask for by key.
    """

    __slots__ = ("attributes", "host", "method", "path", "service", "service_type")

    def __init__(
        self,
        service: str,
        host: str | None = None,
        method: str | None = None,
        path: str | None = None,
        service_type: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        self.service = service
        self.host = host
        self.method = method
        self.path = path
        self.service_type = service_type
        self.attributes = attributes


class Decision:
    """Whether a trace is recorded, the rule of X-Ray's that says so, and what counts how its requests end.

    `rule` is None where a local one decided, `watch` where X-Ray does not want to know.
    """

    __slots__ = ("rule", "sampled", "watch")

    def __init__(self, sampled: bool, rule: str | None = None, watch: Watch | None = None) -> None:  # noqa: FBT001 - by position, for speed
        self.sampled = sampled
        self.rule = rule
        self.watch = watch


RECORD = Decision(True)
PASS_ON = Decision(False)


class Never:
    """Records no trace that begins here: only those that upstream decided to record."""

    def decide(self, request: SamplingRequest) -> Decision:  # noqa: ARG002 - whatever it is
        """Decline."""
        return PASS_ON

    def close(self) -> None:
        """Do nothing: nothing runs."""
