"""The recorder: owns the settings, the emitter, the clock and the ids, and finds where new work belongs."""

from __future__ import annotations

import logging
import os
import sys
import time
from _thread import RLock
from functools import cache, partial

from xray_lambda import _config, _guard, _header, _ids
from xray_lambda._context import current
from xray_lambda._emitters.udp import UDPEmitter
from xray_lambda._entities import FacadeSegment, Segment, UntracedSegment
from xray_lambda._entity import UNTRACED, Untraced
from xray_lambda._header import TraceHeader
from xray_lambda._recording import Recording
from xray_lambda._version import VERSION

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, TypeVar

    from xray_lambda._config import Config
    from xray_lambda._entity import Emitter, Entity
    from xray_lambda.sampling.request import Decision, Sampler, SamplingRequest

    T = TypeVar("T")


class SegmentNotFoundError(Exception):
    """No segment is open here; raised only where AWS_XRAY_CONTEXT_MISSING=RUNTIME_ERROR asks for it."""


def lambda_header() -> str | None:
    """Return what Lambda's runtime says of the current invocation's trace."""
    try:
        return os.environ["_X_AMZN_TRACE_ID"]  # `get` costs half as much again
    except KeyError:
        return None


def in_lambda() -> bool:
    """Say whether this process is a Lambda function's; the daemon's variables alone do not say so."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ and "LAMBDA_TASK_ROOT" in os.environ


class Recorder:
    """Makes segments and facades, and hands what they need on to them."""

    def __init__(
        self,
        config: Config,
        emitter: Emitter,
        *,
        sampler: Sampler | None = None,
        host: Callable[[], dict[str, Any]] | None = None,
        clock: Callable[[], int] = time.time_ns,
        new_id: Callable[[], str] = _ids.new_id,
        new_trace_id: Callable[[int], str] = _ids.new_trace_id,
        read_header: Callable[[], str | None] = lambda_header,
        in_lambda: bool = False,
    ) -> None:
        self.config = config
        self.emitter = emitter
        self.sampler = sampler  # None: every segment that begins here is recorded
        self.host = host  # returns what is known of the host by now, the same object as long as that is the same
        self.clock = clock
        self.new_id = new_id
        self.new_trace_id = new_trace_id
        self.read_header = read_header
        self.in_lambda = in_lambda
        self.cold = True  # no invocation has been seen yet
        self._said: tuple[Config | None, object, dict[str, Any]] = (None, NOWHERE, {})
        self._joined: tuple[str | None, Entity] = (None, UNTRACED)

    def enter(self, header: str | None, *, unsettled: bool = False) -> FacadeSegment | Untraced:
        """Return what an invocation with this trace header works under: its facade, or Untraced."""
        if not header:
            return UNTRACED
        usual = _header.usual_form(header)
        if usual is not None:
            root, parent, sampled, extra = usual.groups()
            if sampled == "1" and self.config.enabled:
                return FacadeSegment(self, root, parent, extra, unsettled)
            return Untraced(TraceHeader(root, parent, sampled, extra))
        parsed = _header.parse(header)
        if parsed.sampled == "1" and parsed.root and parsed.parent and self.config.enabled:
            return FacadeSegment(self, parsed.root, parsed.parent, parsed.extra, unsettled)
        return Untraced(parsed) if parsed.root else UNTRACED

    def join(self) -> Entity:
        """Return the facade of the current invocation, found without a door; the same one as long as the header is.

        A changed Root, Parent or Sampled is a new invocation.
        """
        header = self.read_header() if self.in_lambda else None
        if header != self._joined[0]:
            self._joined = (header, self.enter(header, unsettled=True))
        return self._joined[1]

    def settle(self, entity: Entity | None) -> Entity:
        """Return the entity that new work belongs to where `entity` is current: none, or one to be looked at twice.

        An entity that was closed out of turn gives its place to the one before it, and one that an earlier
        invocation left behind to the facade of this one.
        """
        while entity is not None and entity.out_of_turn:
            entity = entity.before
        if entity is None:
            return self.join()
        if isinstance(entity.segment, FacadeSegment) and entity.segment.unsettled:
            facade = self.join()
            return entity if entity.segment is facade else facade
        return entity

    def missing(self) -> None:
        """Do what `context_missing` says where no segment is open; nothing in Lambda, whose init phase has none.

        Raises SegmentNotFoundError for RUNTIME_ERROR.
        """
        wanted = self.config.context_missing
        if self.in_lambda or wanted == "IGNORE_ERROR" or not self.config.enabled:
            return
        place = _guard.call_site()
        message = "no segment is open at %s: open one with `with segment(...)`, a middleware or @traced_handler"
        if wanted == "RUNTIME_ERROR":
            raise SegmentNotFoundError(message % place)
        _guard.say_once(logging.ERROR, f"missing {place}", "xray_lambda: " + message, place)

    def segment(
        self, name: str, header: TraceHeader, request: SamplingRequest | None = None
    ) -> Segment | UntracedSegment:
        """Return a new segment that continues `header`, or an untraced one where that is decided against.

        Upstream's decision wins; where there is none, or `?`, the sampler decides by `request`.
        """
        header.root = header.root or self.new_trace_id(self.clock() // 1_000_000_000)
        if header.sampled == "0" or not self.config.enabled:
            return UntracedSegment(header)
        decision = None if header.sampled == "1" or self.sampler is None else self._decision(name, request)
        if decision is None:
            return Segment(self, name, header, self._about())
        return self._decided(name, header, decision)

    def _decided(self, name: str, header: TraceHeader, decision: Decision) -> Segment | UntracedSegment:
        watch = decision.watch
        if decision.sampled:
            about = _ruled(self._about(), decision.rule)
            return (watch.segment if watch else Segment)(self, name, header, about)
        header = TraceHeader(header.root, header.parent, "0", header.extra)
        return watch.untraced(self, name, header) if watch else UntracedSegment(header)

    def _about(self) -> dict[str, Any]:
        """Return what every segment says: see `_said_of`, which is asked again only when what it goes by is new."""
        host = NOWHERE if self.host is None else self.host()
        config, known, said = self._said
        if config is not self.config or known is not host:
            said = _said_of(self.config, host)
            self._said = (self.config, host, said)
        return {**said, "aws": said["aws"].copy()}

    def _decision(self, name: str, request: SamplingRequest | None) -> Decision | None:
        """Ask the sampler; a fault of ours records the trace, which shows that something is wrong."""
        try:
            request = request or _request(name)
            if request.service_type is None and self.host is not None:
                request.service_type = self.host().get("origin")
            return self.sampler.decide(request)  # type: ignore[union-attr]  # the caller has looked
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            _guard.swallow(fault)
            return None


def _request(name: str) -> SamplingRequest:
    """Return what a sampler is asked of a segment of which nothing but the name is known: a script, a worker."""
    from xray_lambda.sampling.request import SamplingRequest  # noqa: PLC0415 - nothing of it in Lambda

    return SamplingRequest(name)


def _ruled(about: dict[str, object], rule: str | None) -> dict[str, object]:
    """Return `about`, in a copy, with the name of the rule of X-Ray's that the trace was sampled by."""
    if rule is None:
        return about
    aws: dict[str, dict[str, object]] = about["aws"]  # type: ignore[assignment]  # as `_about` makes it
    return {**about, "aws": {**aws, "xray": {**aws["xray"], "sampling_rule_name": rule}}}


NOWHERE: dict[str, Any] = {}


def _said_of(config: Config, host: dict[str, Any]) -> dict[str, Any]:
    """Return what every segment says: the program's version and runtime, its host and logs, and who traced it."""
    service = {"runtime": sys.implementation.name, "runtime_version": ".".join(map(str, sys.version_info[:3]))}
    if config.service_version is not None:
        service["version"] = config.service_version
    aws = {"xray": {"sdk": "xray_lambda", "sdk_version": VERSION}, **host.get("aws", {})}
    logs = aws.get("cloudwatch_logs", []) + [{"log_group": name} for name in config.log_groups]
    if logs:
        aws["cloudwatch_logs"] = logs
    return {"service": service, **host, "aws": aws}


_arguments: dict[str, object] = {}
_active: Recorder | None = None


def active() -> Recorder:
    """Return the recorder in force; the first call reads the settings."""
    return _active if _active is not None else _made()


_making = RLock()


def _made() -> Recorder:
    """Return the recorder that the settings describe, one for all threads that come first at once."""
    return _one_at_a_time(lambda: _active if _active is not None else use(_default()))


def _one_at_a_time(make: Callable[[], T]) -> T:
    """Call `make` in one thread after the other; none waits longer than a second: a fork may leave the lock held."""
    has_lock = _making.acquire(timeout=1)
    try:
        return make()
    finally:
        if has_lock:
            _making.release()


def use(recorder: Recorder) -> Recorder:
    """Put `recorder` in force."""
    global _active  # noqa: PLW0603 - the one global of the house: what `subsegment()` records with
    _active = recorder
    _guard.strict = recorder.config.strict
    return recorder


def _default() -> Recorder:
    config = _load()
    _watch_forks()
    inside = in_lambda()
    recorder = Recorder(config, _emitter(config, inside), host=_host(config, inside), in_lambda=inside)
    recorder.sampler = _sampler(recorder)
    return recorder


def _sampler(recorder: Recorder) -> Sampler | None:
    """Return what decides; nothing does in Lambda, whose service does, and where everything is recorded."""
    return None if recorder.in_lambda or recorder.config.sampling == "all" else _SamplerLater(recorder)


class _SamplerLater:
    """Stands for the sampler of the settings until the first segment asks: a program may have none, and saves it."""

    __slots__ = ("_recorder",)

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def decide(self, request: SamplingRequest) -> Decision:
        """Put the real one in this place, and ask it."""
        return _one_at_a_time(self._made).decide(request)

    def _made(self) -> Sampler:
        recorder = self._recorder
        if recorder.sampler is self:
            recorder.sampler = _sampling().sampler_for(recorder.config)
        return recorder.sampler  # type: ignore[return-value]  # there is one unless everything is recorded

    def close(self) -> None:
        """Nothing has been started."""


def _emitter(config: Config, inside: bool) -> Emitter:  # noqa: FBT001 - whether we are in Lambda
    """Return what sends. In Lambda that is UDP: AWS runs the daemon, and a thread would be frozen with its work."""
    if config.emitter == "udp" or inside:
        if config.emitter == "direct":
            message = "xray_lambda: emitter=direct is not for Lambda, where AWS runs the X-Ray daemon: udp is used"
            _guard.say_once(logging.WARNING, "direct in Lambda", message)
        return UDPEmitter(config.daemon_address)
    from xray_lambda._emitters import choice  # noqa: PLC0415 - threads, sockets and more that few programs need

    return choice.emitter_for(config)


def _host(config: Config, inside: bool) -> Callable[[], dict[str, Any]] | None:  # noqa: FBT001 - see above
    """Return what knows the host; Lambda describes its segment itself."""
    return None if inside or not config.host else partial(_asked_of_host, config.host)


def _asked_of_host(names: tuple[str, ...]) -> dict[str, Any]:
    return _host_data(names)()


@cache
def _host_data(names: tuple[str, ...]) -> Callable[[], dict[str, Any]]:
    """Return what asks the host, when the first segment wants to know: milliseconds that others save."""
    from xray_lambda.plugins import Host  # noqa: PLC0415 - see above, and nothing of it in Lambda

    return Host(names)


def _sampling() -> ModuleType:
    """Return what chooses a sampler: loaded outside Lambda, where it is for us to decide."""
    from xray_lambda.sampling import choice  # noqa: PLC0415 - milliseconds that Lambda has no use for

    return choice


@cache
def _watch_forks() -> None:
    os.register_at_fork(after_in_child=_leave_to_the_parent)


def _leave_to_the_parent() -> None:
    """In a forked child, leave what is open to the parent, which sends it: what the child adds sends itself."""
    entity = current.get()
    while isinstance(entity, Recording):
        entity.end_ns, entity._waiting = entity.start_ns, None  # noqa: SLF001 - as if it were closed
        entity = getattr(entity, "parent", None)


def _load() -> Config:
    config = _config.load(os.environ, **_arguments)
    for problem in config.problems:
        _guard.say_once(logging.WARNING, problem, "xray_lambda: %s", problem)
    return config


def configure(**settings: object) -> None:
    """Change settings of the running program; what is not named stays as it is.

    Raises TypeError for an unknown setting and ValueError for a value that makes no sense.
    Example: `configure(service="shop", ignore=(KeyError,))`.
    """
    wanted = _config.load({}, **settings)  # raises before anything changes
    if wanted.sampling_rules is not None and not in_lambda():
        _sampling().check(wanted.sampling_rules)
    _arguments.update(settings)
    recorder = active()
    before = recorder.config
    recorder.config = _load()
    if _said_of_sending(recorder.config) != _said_of_sending(before):
        left, recorder.emitter = recorder.emitter, _emitter(recorder.config, recorder.in_lambda)
        getattr(left, "close", _nothing)()
    if recorder.config.host != before.host:
        recorder.host = _host(recorder.config, recorder.in_lambda)
    if not recorder.in_lambda and _said_of_sampling(recorder.config) != _said_of_sampling(before):
        replaced, recorder.sampler = recorder.sampler, _sampler(recorder)
        if replaced is not None:
            replaced.close()
    _guard.strict = recorder.config.strict


def _said_of_sending(config: Config) -> tuple[object, ...]:
    """Return the settings that an emitter is made by."""
    return config.emitter, str(config.daemon_address), config.exit_seconds


def _nothing() -> None:
    """Close an emitter that has nothing to be closed."""


def _said_of_sampling(config: Config) -> tuple[object, ...]:
    """Return the settings that a sampler is made by."""
    return config.sampling, config.sampling_rules, config.emitter, str(config.daemon_address)


def current_entity() -> Entity:
    """Return the entity that new work here belongs to; UNTRACED where there is none."""
    entity = current.get()
    if entity is None or entity.unsettled:
        try:
            return active().settle(entity)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            _guard.swallow(fault)
            return UNTRACED
    return entity
