"""The daemon's TCP side, and X-Ray behind it: hands out sampling rules page by page, takes statistics, grants quotas.

Requests are checked against botocore's model of X-Ray. What it is told to do wrong stands in `faults`.
"""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from tests.servers.process import HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Self

_PATIENCE = 30
_OPERATIONS = {"/GetSamplingRules": "GetSamplingRules", "/SamplingTargets": "GetSamplingTargets"}
_MODEL = ServiceModel(Loader().load_service_model("xray", "service-2"))
# Of 2025: an older botocore neither reads nor sends what belongs to adaptive sampling.
KNOWS_BOOSTS = "SamplingRateBoost" in _MODEL.shape_for("SamplingRule").members  # type: ignore[attr-defined]  # a structure
# Seconds that a quota lasts, and that a client that has not reported counts as one that shares the reservoir.
QUOTA_SECONDS = 15
ACTIVE_SECONDS = 25


def rule(name: str, priority: int = 100, rate: float = 0.05, reservoir: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a rule as X-Ray has it, that fits everything unless `fields` say otherwise."""
    plain = {
        "RuleName": name,
        "RuleARN": f"arn:aws:xray:eu-west-1:123456789012:sampling-rule/{name}",
        "ResourceARN": "*",
        "Priority": priority,
        "FixedRate": rate,
        "ReservoirSize": reservoir,
        "ServiceName": "*",
        "ServiceType": "*",
        "Host": "*",
        "HTTPMethod": "*",
        "URLPath": "*",
        "Version": 1,
        "Attributes": {},
    }
    return {**plain, **fields}


class Answer:
    """What to answer instead of the right thing: a status and a body; `hang` sends nothing, or nothing more."""

    def __init__(self, status: int = 200, body: bytes = b"", *, hang: bool = False, close: bool = False) -> None:
        self.status = status
        self.body = body
        self.hang = hang
        self.close = close


THROTTLED = Answer(429, b'{"__type":"ThrottledException","Message":"slow down"}')
BROKEN = Answer(500, b'{"__type":"InternalFailure"}')
FORBIDDEN = Answer(403, b'{"message":"Missing Authentication Token"}')
HANGING = Answer(hang=True)
STUCK_HALF_WAY = Answer(200, b'{"SamplingRuleRecords":[', hang=True)
CLOSED = Answer(close=True)


class XRayAPI(ThreadingHTTPServer):
    """Holds `rules` and shares each one's reservoir among the clients that reported lately; a context manager.

    `grants` has, for each target given, when, to which client, of which rule, and the target itself.
    """

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, rules: list[dict[str, Any]] | None = None, clock: Callable[[], float] = time.time) -> None:
        super().__init__((HOST, 0), _Handler)
        self.rules = [rule("Default", 10_000)] if rules is None else rules
        self.modified = 1_600_000_000.0
        self.clock = clock
        self.page_size = 100
        self.extra: dict[str, dict[str, Any]] = {}  # members of the target of a rule, beside the usual
        self.unprocessed: set[str] = set()
        self.faults: list[Answer] = []  # one for each call to come; the last one, if `faulty`, for all of them
        self.faulty: Answer | None = None
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.complaints: list[str] = []
        self.grants: list[tuple[float, str, str, dict[str, Any]]] = []
        self.gate = threading.Event()  # what hangs does so until it is set
        self._arrived = threading.Condition()
        self._seen: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_port)

    @property
    def address(self) -> str:
        """What belongs into AWS_XRAY_DAEMON_ADDRESS, beside a UDP port that nobody listens on."""
        return f"tcp:{HOST}:{self.port} udp:{HOST}:9"

    @property
    def statistics(self) -> list[dict[str, Any]]:
        """All statistics that came in, in their order."""
        return [one for _, body in self.calls for one in body.get("SamplingStatisticsDocuments", ())]

    @property
    def boosts(self) -> list[dict[str, Any]]:
        """All statistics of anomalies that came in."""
        return [one for _, body in self.calls for one in body.get("SamplingBoostStatisticsDocuments", ())]

    def asked(self, path: str) -> int:
        """Return how many calls of this path came in."""
        return sum(called == path for called, _ in self.calls)

    def wait_for(self, path: str, count: int = 1) -> None:
        """Wait until so many calls of this path have come in."""
        with self._arrived:
            done = self._arrived.wait_for(lambda: self.asked(path) >= count, _PATIENCE)
        assert done, f"{self.asked(path)} calls of {path} came, not {count}"

    def take(self, path: str, body: dict[str, Any]) -> None:
        """Note a call."""
        with self._arrived:
            self.calls.append((path, body))
            self._arrived.notify_all()

    def fault_for(self, path: str, body: dict[str, Any]) -> Answer | None:
        """Return what is to go wrong with a call, if anything."""
        with self._lock:
            return self.faults.pop(0) if self.faults else self.faulty

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the right answer."""
        with self._lock:
            return self._page(body) if path == "/GetSamplingRules" else self._targets(body)

    def _page(self, body: dict[str, Any]) -> dict[str, Any]:
        start = int(body.get("NextToken", "0"))
        records = [
            {"SamplingRule": one, "CreatedAt": 0.0, "ModifiedAt": self.modified}
            for one in self.rules[start : start + self.page_size]
        ]
        more = start + self.page_size < len(self.rules)
        return {"SamplingRuleRecords": records, "NextToken": str(start + self.page_size) if more else None}

    def _targets(self, body: dict[str, Any]) -> dict[str, Any]:
        now = self.clock()
        rules = {one["RuleName"]: one for one in self.rules}
        documents = body["SamplingStatisticsDocuments"]
        for one in documents:
            self._seen[one["RuleName"], one["ClientID"]] = now
        targets = [
            self._target(rules[one["RuleName"]], one["ClientID"], now)
            for one in documents
            if one["RuleName"] in rules and one["RuleName"] not in self.unprocessed
        ]
        return {
            "SamplingTargetDocuments": targets,
            "LastRuleModification": self.modified,
            "UnprocessedStatistics": [
                {"RuleName": one["RuleName"], "ErrorCode": "InvalidRuleName", "Message": "no such rule"}
                for one in documents
                if one["RuleName"] not in rules or one["RuleName"] in self.unprocessed
            ],
            "UnprocessedBoostStatistics": [],
        }

    def _target(self, of: dict[str, Any], client: str, now: float) -> dict[str, Any]:
        name = of["RuleName"]
        sharing = sorted(
            who for (which, who), seen in self._seen.items() if which == name and now - seen < ACTIVE_SECONDS
        )
        share, left = divmod(of["ReservoirSize"], len(sharing))
        target = {
            "RuleName": name,
            "FixedRate": of["FixedRate"],
            "ReservoirQuota": share + (sharing.index(client) < left),
            "ReservoirQuotaTTL": now + QUOTA_SECONDS,
            "Interval": 10,
            **self.extra.get(name, {}),
        }
        self.grants.append((now, client, name, target))
        return target

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away: that is what tests do."""

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.gate.set()
        self.shutdown()
        self.server_close()
        self._thread.join(_PATIENCE)
        if error[0] is None:
            assert self.complaints == []


class _Handler(BaseHTTPRequestHandler):
    server: XRayAPI
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.complaints += complaints(self.path, dict(self.headers), sent)
        body = json.loads(sent)
        fault = self.server.fault_for(self.path, body)
        if fault is None:
            # Answered first, so that who waits for the call can look at what was granted.
            answer = json.dumps(self.server.answer(self.path, body)).encode()
            self.server.take(self.path, body)
            self._send(200, answer)
        else:
            self.server.take(self.path, {})
            self._fail(fault)

    def _fail(self, fault: Answer) -> None:
        self.close_connection = True
        if fault.close:
            return
        if not fault.hang:
            self._send(fault.status, fault.body)
            return
        if fault.body:
            self.send_response(fault.status)
            self.send_header("Content-Length", str(len(fault.body) + 1000))
            self.end_headers()
            self.wfile.write(fault.body)
        self.server.gate.wait(_PATIENCE)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
        """Say nothing."""


def complaints(path: str, headers: dict[str, str], sent: bytes) -> list[str]:
    """Say what X-Ray would not take of a request, and what has no place in one to the daemon."""
    found = []
    if headers.get("Content-Type") != "application/json":
        found.append(f"Content-Type is {headers.get('Content-Type')}")
    if any(name.lower() in ("x-amzn-trace-id", "traceparent") for name in headers):
        found.append("the request is traced")
    members = json.loads(sent)
    judged = {name: value for name, value in members.items() if KNOWS_BOOSTS or "Boost" not in name}
    report = ParamValidator().validate(judged, _MODEL.shape_for(f"{_OPERATIONS[path]}Request"))
    if report.has_errors():
        found.append(report.generate_report())
    statistics = members.get("SamplingStatisticsDocuments", [])
    boosts = members.get("SamplingBoostStatisticsDocuments", [])
    if len(statistics) > 25 or len(boosts) > 25:
        found.append(f"{len(statistics)} statistics, {len(boosts)} of anomalies")
    known = {"RuleName", "ClientID", "Timestamp", "RequestCount", "SampledCount", "BorrowCount"}
    for one in statistics:
        if set(one) != known or not re.fullmatch("[0-9a-f]{24}", one["ClientID"]):
            found.append(f"statistics {one}")
        elif not 0 <= one["BorrowCount"] <= one["SampledCount"] <= one["RequestCount"]:
            found.append(f"counts {one}")
    return found
