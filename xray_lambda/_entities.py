"""Entities: Segment, Subsegment, Lambda's FacadeSegment, and Untraced where nothing is recorded."""

from __future__ import annotations

from _thread import allocate_lock

from xray_lambda import _annotations, _document
from xray_lambda._cause import Recorded, describe, is_cancelled, is_fault
from xray_lambda._context import current
from xray_lambda._guard import swallow
from xray_lambda._header import TraceHeader
from xray_lambda._values import Budget, clean, snapshot

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Literal, Protocol

    from typing_extensions import Self

    from xray_lambda._config import Config

    Namespace = Literal["aws", "remote"]
    Ignored = tuple[type[BaseException], ...]

    class Emitter(Protocol):
        """Where documents go; see `_emitters`."""

        def send(self, document: str) -> None: ...

    class Services(Protocol):
        """What entities need of the recorder that made them."""

        @property
        def config(self) -> Config: ...
        def clock(self) -> int: ...
        def new_id(self) -> str: ...

        @property
        def emitter(self) -> Emitter: ...


_get_current = current.get
_set_current = current.set

_MAX_TEXT = 250
_MAX_FIELD = 10_000


class Entity:
    """What every entity answers to; as it stands here it takes every call and records nothing.

    `sampled` says whether work under it is recorded, `trace_id` and `id` are None where there is no trace.
    """

    __slots__ = ()

    id: str | None = None
    trace_id: str | None = None
    sampled: bool = False
    end_ns: int | None = None
    # Whether the recorder must look twice before this entity becomes a parent: see Recorder.settle.
    unsettled: bool = False

    @property
    def segment(self) -> Entity:
        """The segment that this entity belongs to."""
        return self

    def child(self, name: str, namespace: Namespace | None = None, ignore: Ignored = ()) -> Entity:  # noqa: ARG002
        """Return a new subsegment below this entity."""
        return self

    def header(self) -> TraceHeader | None:
        """Return the trace header for a call made by this entity."""
        return None

    def annotate(self, values: Mapping[str, object] | None = None, /, **more: object) -> None:
        """Put indexed, searchable values: `annotate(order=17)`; `annotate({"order.id": 17})` for other keys."""

    def metadata(
        self, values: Mapping[str, object] | None = None, /, *, namespace: str = "default", **more: object
    ) -> None:
        """Put values that are shown but not indexed: `metadata(basket=basket)`; encoded when the entity closes."""

    def http(self, **fields: object) -> None:
        """Say what was requested: method, url, user_agent, client_ip, x_forwarded_for, traced."""

    def status(self, code: int, content_length: int | None = None) -> None:
        """Say how it was answered: 4xx marks error, 429 throttle too, 5xx fault; `content_length` in bytes."""

    def aws(self, **fields: object) -> None:
        """Say which AWS call it was: operation, region, request_id, table_name..."""

    def sql(self, **fields: object) -> None:
        """Say which SQL call it was: url, user, sanitized_query, database_type..."""

    def flag(self, *names: Literal["fault", "error", "throttle"]) -> None:
        """Mark the entity as ended by a fault (5xx), an error (4xx) or a throttle (429)."""

    def exception(self, error: BaseException, *, remote: bool = False) -> None:
        """Record an exception that the program handles, and mark a fault."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the entity; the exception passes on."""

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


class Untraced(Entity):
    """Stands for all work that is not recorded; it still passes the trace header on."""

    __slots__ = ("_header",)

    def __init__(self, header: TraceHeader | None = None) -> None:
        self._header = header

    @property
    def trace_id(self) -> str | None:  # type: ignore[override]
        """The trace that is not recorded here, or None."""
        return None if self._header is None else self._header.root

    def header(self) -> TraceHeader | None:
        return self._header


UNTRACED = Untraced()


class FacadeSegment(Entity):
    """Lambda's own segment, seen from the function: never sent, and never changed.

    What the program puts on it lands on the subsegment of the handler.
    """

    __slots__ = ("extra", "handler", "id", "lock", "recorded", "recorder", "trace_id", "unsettled")

    id: str
    trace_id: str
    sampled = True

    def __init__(self, recorder: Services, trace_id: str, parent_id: str, extra: str, unsettled: bool) -> None:  # noqa: FBT001 - by position, for speed
        self.recorder = recorder
        self.trace_id = trace_id
        self.id = parent_id
        self.extra = extra
        self.unsettled = unsettled
        self.lock = allocate_lock()
        self.recorded: Recorded | None = None
        self.handler: Entity = UNTRACED

    @property
    def root(self) -> FacadeSegment:
        """The facade itself, as its subsegments see it; no attribute, which would be a reference cycle."""
        return self

    def child(self, name: str, namespace: Namespace | None = None, ignore: Ignored = ()) -> Subsegment:
        return Subsegment(name, self, namespace, ignore)

    def header(self) -> TraceHeader:
        return TraceHeader(self.trace_id, self.id, "1", self.extra)

    def adopt(self, document: str) -> Sequence[str]:
        """Take a finished child; returns what has to be sent by itself: here, the child."""
        return (document,)

    def annotate(self, values: Mapping[str, object] | None = None, /, **more: object) -> None:
        self.handler.annotate(values, **more)

    def metadata(
        self, values: Mapping[str, object] | None = None, /, *, namespace: str = "default", **more: object
    ) -> None:
        self.handler.metadata(values, namespace=namespace, **more)

    def http(self, **fields: object) -> None:
        self.handler.http(**fields)

    def status(self, code: int, content_length: int | None = None) -> None:
        self.handler.status(code, content_length)

    def aws(self, **fields: object) -> None:
        self.handler.aws(**fields)

    def sql(self, **fields: object) -> None:
        self.handler.sql(**fields)

    def flag(self, *names: Literal["fault", "error", "throttle"]) -> None:
        self.handler.flag(*names)

    def exception(self, error: BaseException, *, remote: bool = False) -> None:
        self.handler.exception(error, remote=remote)


class Recording(Entity):
    """An entity that is recorded: what Segment and Subsegment share."""

    __slots__ = (
        "_annotations", "_before", "_details", "_ignore", "_size", "_waiting",
        "end_ns", "id", "name", "out_of_turn", "start_ns", "unsettled",
    )  # fmt: skip

    id: str
    name: str
    start_ns: int
    end_ns: int | None
    unsettled: bool
    # Closed while another entity was current, or in another context: where it still is current, it is a leftover.
    out_of_turn: bool
    sampled = True
    root: Segment | FacadeSegment
    # JSON of each annotation by key; every other section by name; finished children, as JSON, and their size.
    _annotations: dict[str, str] | None
    _details: dict[str, object] | None
    _waiting: list[str] | None
    _size: int
    _ignore: Ignored
    _before: Entity | None

    def __enter__(self) -> Self:
        self._before = _get_current()
        _set_current(self)
        self.start_ns = self.root.recorder.clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if _get_current() is self:
            _set_current(self._before)
        else:
            self.unsettled = self.out_of_turn = True
        try:
            if error is not None:
                self._ended_by(error)
            self.close()
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    def close(self) -> None:
        """Encode this entity with its finished children and hand the text on; a second call does nothing.

        Children may finish in other threads meanwhile: the lock decides whether one still gets in. It is held
        for that alone, and by acquire and release, which cost 0.07 us where `with` costs 0.15 us.
        """
        root = self.root
        recorder = root.recorder
        end = recorder.clock()
        if end < self.start_ns:  # noqa: PLR1730 - the clock was set back; max() would cost a call
            end = self.start_ns
        root.lock.acquire()
        waiting, self._waiting = self._waiting, None
        was_open = self.end_ns is None
        if was_open:
            self.end_ns = end
        root.lock.release()
        if not was_open:
            return
        try:
            text = _document.encode(self, recorder.config.metadata_bytes)
        except Exception as fault:  # noqa: BLE001 - better a bare subsegment than a lost one
            swallow(fault)
            text = _document.encode_bare(self)
        if waiting is None:
            text += "}"
        else:
            text, pushed_out = _document.splice(text, waiting)
            for one in pushed_out:
                recorder.emitter.send(_document.independent(one, root.trace_id, self.id))
        self._hand_on(text)

    def _hand_on(self, document: str) -> None:
        raise NotImplementedError

    def adopt(self, document: str) -> Sequence[str]:
        """Take a finished child; returns what has to be sent by itself: the oldest children beyond the byte budget.

        One in, the oldest out keeps the pace of the program; all at once would overflow the daemon's UDP buffer.
        """
        root = self.root
        root.lock.acquire()
        try:
            if self.end_ns is not None:
                return (document,)
            if self._waiting is None:
                self._waiting = [document]
            else:
                self._waiting.append(document)
            self._size += len(document)
            budget = root.recorder.config.stream_bytes
            return () if self._size <= budget else self._push_out(self._waiting, budget)
        finally:
            root.lock.release()

    def _push_out(self, waiting: list[str], budget: int) -> list[str]:
        first = 0
        while self._size > budget and first < len(waiting):
            self._size -= len(waiting[first])
            first += 1
        pushed_out = waiting[:first]
        del waiting[:first]
        return pushed_out

    def child(self, name: str, namespace: Namespace | None = None, ignore: Ignored = ()) -> Subsegment:
        return Subsegment(name, self, namespace, ignore)

    def header(self) -> TraceHeader:
        return TraceHeader(self.root.trace_id, self.id, "1", self.root.extra)

    def annotate(self, values: Mapping[str, object] | None = None, /, **more: object) -> None:
        if self.end_ns is not None:
            return
        annotations = self._annotations
        if annotations is None:
            annotations = self._annotations = {}
        try:
            _annotations.put(annotations, more if values is None else {**values, **more})
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    def metadata(
        self, values: Mapping[str, object] | None = None, /, *, namespace: str = "default", **more: object
    ) -> None:
        if self.end_ns is not None:
            return
        try:
            section = self._section("metadata").setdefault(_namespace(namespace), {})
            section.update(values or {})  # type: ignore[attr-defined]
            section.update(more)  # type: ignore[attr-defined]
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    def http(self, **fields: object) -> None:
        self._http("request", {name: _http_field(value) for name, value in fields.items() if value is not None})

    def status(self, code: int, content_length: int | None = None) -> None:
        response = {"status": int(code)}
        if content_length is not None:
            response["content_length"] = int(content_length)
        self._http("response", response)
        self.flag(*flags_of(code))

    def _http(self, side: str, fields: Mapping[str, object]) -> None:
        if self.end_ns is None:
            self._section("http").setdefault(side, {}).update(fields)  # type: ignore[attr-defined]

    def aws(self, **fields: object) -> None:
        if self.end_ns is None:
            self._section("aws").update(_plain_fields(fields))

    def sql(self, **fields: object) -> None:
        if self.end_ns is None:
            self._section("sql").update({name: str(value) for name, value in _plain_fields(fields).items()})

    def flag(self, *names: Literal["fault", "error", "throttle"]) -> None:
        if self.end_ns is None and names:
            self._all_details().update(dict.fromkeys(names, True))

    def exception(self, error: BaseException, *, remote: bool = False) -> None:
        if self.end_ns is not None:
            return
        try:
            self.flag("fault")
            self._all_details()["cause"] = self._cause(error, remote=remote)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    def _cause(self, error: BaseException, *, remote: bool) -> object:
        root = self.root
        if root.recorded is None:
            root.recorded = Recorded()
        frames = root.recorder.config.stack_frames
        return describe(error, root.recorded, root.recorder.new_id, stack_frames=frames, remote=remote)

    def _ended_by(self, error: BaseException) -> None:
        if is_fault(error, self._ignore + self.root.recorder.config.ignore):
            self.exception(error)
        elif is_cancelled(error):
            self.metadata({"cancelled": True}, namespace=_document.MARK)

    def _all_details(self) -> dict[str, object]:
        if self._details is None:
            self._details = {}
        return self._details

    def _section(self, name: str) -> dict[str, object]:
        return self._all_details().setdefault(name, {})  # type: ignore[return-value]


class Subsegment(Recording):
    """A piece of work below a segment; a context manager for `with` and `async with`.

    It belongs where `subsegment()` was called, and may be entered in another thread, and outlive its parent.
    """

    __slots__ = ("parent", "root")

    def __init__(
        self, name: str, parent: Recording | FacadeSegment, namespace: Namespace | None = None, ignore: Ignored = ()
    ) -> None:
        self.name = name
        self.parent = parent
        self.root = root = parent.root
        self.id = root.recorder.new_id()
        self.unsettled = parent.unsettled
        self.end_ns = None
        self.out_of_turn = False
        self._ignore = ignore
        self._annotations = None
        self._details = None if namespace is None else {"namespace": namespace}
        self._waiting = None
        self._size = 0

    @property
    def segment(self) -> Segment | FacadeSegment:
        """The segment that this subsegment belongs to."""
        return self.root

    @property
    def trace_id(self) -> str:  # type: ignore[override]
        """The trace that this subsegment belongs to."""
        return self.root.trace_id

    def _hand_on(self, document: str) -> None:
        parent, root = self.parent, self.root
        for text in parent.adopt(document):
            root.recorder.emitter.send(_document.independent(text, root.trace_id, parent.id))


class Segment(Recording):
    """The root of the work of one service in a trace: a request, a message, a run of a script."""

    __slots__ = ("extra", "lock", "parent_id", "recorded", "recorder", "trace_id")

    trace_id: str

    def __init__(self, recorder: Services, name: str, header: TraceHeader, about: dict[str, object]) -> None:
        self.recorder = recorder
        self.name = name
        self.trace_id = header.root  # type: ignore[assignment]  # the recorder makes one where none came in
        self.parent_id = header.parent
        self.extra = header.extra
        self.id = recorder.new_id()
        self.lock = allocate_lock()
        self.recorded: Recorded | None = None
        self.unsettled = False
        self.end_ns = None
        self.out_of_turn = False
        self._ignore = ()
        self._annotations = None
        self._details = about
        self._waiting = None
        self._size = 0

    @property
    def root(self) -> Segment:  # type: ignore[override]
        """The segment itself, as its subsegments see it; no attribute, which would be a reference cycle."""
        return self

    @property
    def segment(self) -> Segment:
        """The segment itself."""
        return self

    def _hand_on(self, document: str) -> None:
        parent = "" if self.parent_id is None else f'"parent_id":"{self.parent_id}",'
        self.recorder.emitter.send(f'{{"trace_id":"{self.trace_id}",{parent}{document[1:]}')


def flags_of(code: int) -> tuple[Literal["fault", "error", "throttle"], ...]:
    """Return the flags for a status: 5xx is a fault, 4xx an error, 429 an error and a throttle."""
    if code >= 500:
        return ("fault",)
    if code == 429:
        return ("error", "throttle")
    return ("error",) if code >= 400 else ()


def _namespace(name: object) -> str:
    """Return a metadata namespace; X-Ray keeps those that begin with `AWS.` for itself."""
    text = clean(name)[:_MAX_TEXT] if isinstance(name, str) else "default"
    return "AWS_" + text[4:] if text.startswith("AWS.") else text


def _http_field(value: object) -> object:
    return value if isinstance(value, bool) else clean(str(value))[:_MAX_TEXT]


def _plain_fields(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: snapshot(value, Budget(_MAX_FIELD)) for name, value in fields.items() if value is not None}
