"""Anomalies: counts how the requests of a rule ended, by which X-Ray decides whether to record more for a while.

Adaptive sampling, https://docs.aws.amazon.com/xray/latest/devguide/xray-adaptive-sampling.html: an anomaly is a fault.
"""

from __future__ import annotations

import threading

from xray_lambda import _cause
from xray_lambda._config import parse_ignore
from xray_lambda._entities import Segment, UntracedSegment

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from types import TracebackType

    from xray_lambda._entity import Flag, Ignored, Services
    from xray_lambda._header import TraceHeader

# Services may be named after the hosts that requests ask for.
_MAX_SERVICES = 25


class Endings:
    """How many requests of one service ended, how many with an anomaly, and how many of those were recorded."""

    __slots__ = ("anomalies", "sampled_anomalies", "total")

    def __init__(self, total: int = 0, anomalies: int = 0, sampled_anomalies: int = 0) -> None:
        self.total = total
        self.anomalies = anomalies
        self.sampled_anomalies = sampled_anomalies

    def __repr__(self) -> str:
        return f"Endings({self.total}, {self.anomalies}, {self.sampled_anomalies})"


class Watch:
    """Makes the segments of a rule that may be boosted, and counts how they end, by service."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._services: dict[str, Endings] = {}

    def segment(self, recorder: Services, name: str, header: TraceHeader, about: dict[str, object]) -> Segment:
        """Return a segment that tells how it ended."""
        return WatchedSegment(recorder, name, header, about, self)

    def untraced(self, recorder: Services, name: str, header: TraceHeader) -> UntracedSegment:
        """Return what stands for a segment that is not recorded, and tells how it ended all the same."""
        return WatchedUntraced(recorder, name, header, self)

    def ended(self, service: str, *, sampled: bool, anomaly: bool) -> None:
        """Count one request."""
        self.give_back({service: Endings(1, int(anomaly), int(anomaly and sampled))})

    def take(self) -> dict[str, Endings]:
        """Return what was counted since the last time, by service, and begin anew."""
        with self._lock:
            services, self._services = self._services, {}
            return services

    def give_back(self, services: dict[str, Endings]) -> None:
        """Add to the counts; of more than 25 services the last ones are not counted."""
        with self._lock:
            for service, endings in services.items():
                known = self._services.get(service)
                if known is None:
                    if len(self._services) >= _MAX_SERVICES:
                        continue
                    known = self._services[service] = Endings()
                known.total += endings.total
                known.anomalies += endings.anomalies
                known.sampled_anomalies += endings.sampled_anomalies

    def start_anew(self) -> None:
        """In a forked child, leave the parent's counts to it."""
        self._lock = threading.RLock()
        self._services = {}


class WatchedSegment(Segment):
    """A segment that tells how it ended."""

    __slots__ = ("_watch",)

    def __init__(
        self, recorder: Services, name: str, header: TraceHeader, about: dict[str, object], watch: Watch
    ) -> None:
        super().__init__(recorder, name, header, about)
        self._watch: Watch | None = watch

    def close(self) -> None:
        """Close it, and tell once."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.ended(self.name, sampled=True, anomaly="fault" in (self.details or ()))
        super().close()


class WatchedUntraced(UntracedSegment):
    """Stands for a segment that is not recorded, and tells how it ended."""

    __slots__ = ("_anomaly", "_ignored", "_name", "_watch")

    def __init__(self, recorder: Services, name: str, header: TraceHeader, watch: Watch) -> None:
        super().__init__(header)
        self._name = name
        self._watch: Watch | None = watch
        self._anomaly = False
        self._ignored: Ignored = recorder.config.ignore

    def status(self, code: int, content_length: int | None = None) -> None:  # noqa: ARG002 - as Entity has it
        """Note an answer with 5xx."""
        self._anomaly = self._anomaly or code >= 500

    def flag(self, *names: Flag) -> None:
        """Note a fault."""
        self._anomaly = self._anomaly or "fault" in names

    def exception(self, error: BaseException, *, remote: bool = False) -> None:  # noqa: ARG002 - as Entity has it
        """Note an exception that the program handles."""
        self._anomaly = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        watch, self._watch = self._watch, None
        if watch is not None:
            fault = error is not None and _cause.is_fault(error, parse_ignore(self._ignored))
            watch.ended(self._name, sampled=False, anomaly=self._anomaly or fault)
