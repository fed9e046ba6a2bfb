"""What is recorded of a piece of work, and how it closes: encoded once, handed to its parent, streamed when large."""

from __future__ import annotations

from xray_lambda import _annotations, _document
from xray_lambda._config import parse_ignore
from xray_lambda._context import current
from xray_lambda._entity import FLAGS, Entity, flags_of
from xray_lambda._guard import guarded, swallow
from xray_lambda._header import TraceHeader

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType, TracebackType

    from typing_extensions import Self

    from xray_lambda._entities import FacadeSegment, Segment
    from xray_lambda._entity import Flag, Ignored


# Children that one closing child sends along when the time has come: a daemon's UDP buffer takes some 200.
_MOST_AT_ONCE = 20

_get_current = current.get
_set_current = current.set


class Recording(Entity):
    """An entity that is recorded: what Segment and Subsegment share."""

    __slots__ = (
        "_ignore", "_size", "_waiting", "annotations", "announced", "before", "details",
        "end_ns", "id", "name", "out_of_turn", "start_ns", "unsettled",
    )  # fmt: skip

    id: str
    name: str
    start_ns: int
    end_ns: int | None
    sampled = True
    # The true-or-false fields of an HTTP request that X-Ray takes of this kind of entity.
    _request_marks: tuple[str, ...] = ()
    # What puts an exception into words here, where its own may hold what is private; see libraries/_messages.
    message_of: Callable[[BaseException], str] | None = None
    root: Segment | FacadeSegment
    # What was current when this was entered, and is again when it closes.
    before: Entity | None
    # Closed while another entity was current, or in another context: where it still is current, it is a leftover.
    out_of_turn: bool
    unsettled: bool
    # Sent as work in progress.
    announced: bool
    # Each annotation's JSON by its key, and every other section by its name.
    annotations: dict[str, str] | None
    details: dict[str, object] | None
    # The JSON of finished children, None once this is closed; and about how long it is in all.
    _waiting: list[str] | None
    _size: int
    _ignore: Ignored

    def __enter__(self) -> Self:
        try:
            self.start_ns = self.root.recorder.clock()
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
            self.start_ns = self.end_ns = 0  # as good as closed: without a start it cannot be sent
        before = _get_current()
        if before is not self:
            self.before = before
            _set_current(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if _get_current() is self:
            _set_current(self.before)
            self.before = None  # else a program that goes from one entity to the next would keep them all
        else:
            self.unsettled = self.out_of_turn = True
        if error is not None:
            self._ended_by(error)
        try:
            self.close()
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    @guarded
    def abandon(self) -> None:
        self.unsettled = self.out_of_turn = True
        self.close()

    def close(self) -> None:
        """Encode this entity with its finished children and hand the text on; a second call does nothing.

        Children may finish in other threads meanwhile, and signals, forks and the garbage collector may come at
        any point: so there is no lock to be held. Each child's text is popped off the list exactly once, here or
        by the `adopt` that finds the entity closed.
        """
        root = self.root
        recorder = root.recorder
        end = recorder.clock()
        if self.end_ns is not None:
            return
        if end < self.start_ns:  # noqa: PLR1730 - the clock was set back; max() would cost a call
            end = self.start_ns
        self.end_ns = end
        waiting = self._waiting
        self._waiting = None
        try:
            text = _document.encode(self, recorder.config.metadata_bytes)
        except Exception as fault:  # noqa: BLE001 - better a bare subsegment than a lost one
            swallow(fault)
            text = _document.encode_bare(self)
        self.annotations = self.details = None
        if waiting:
            text, pushed_out = _document.splice(text, _drained(waiting))
            for one in pushed_out:
                recorder.emitter.send(_document.independent(one, root.trace_id, self.id))
        else:
            text += "}"
        self._hand_on(text)

    def _hand_on(self, document: str) -> None:
        raise NotImplementedError

    def announce(self) -> None:
        """Send this entity as work in progress, once, and those above it: what runs on, or is killed, can be seen."""
        if self.announced or self.end_ns is not None:
            return
        self.announced = True
        above = getattr(self, "parent", None)
        if isinstance(above, Recording):
            above.announce()
        root = self.root
        try:
            self._send(_document.encode_in_progress(self, root.recorder.config.metadata_bytes))
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    def _send(self, document: str) -> None:
        raise NotImplementedError

    def adopt(self, document: str, now: int) -> Sequence[str]:
        """Take a finished child; returns what has to be sent by itself: the oldest children beyond the byte budget.

        One in, the oldest out keeps the pace of the program; all at once would overflow the daemon's UDP buffer.
        What is open for long, `now` being the child's end, keeps none, and is told of as work in progress.
        """
        waiting = self._waiting
        if waiting is None:
            return (document,)
        waiting.append(document)
        if self._waiting is None:  # closed since: either `close` has popped the text, or it is still there
            return (document,) if _removed(waiting, document) else ()
        self._size += len(document)
        config = self.root.recorder.config
        if now - self.start_ns >= config.stream_seconds * 1_000_000_000:
            self.announce()
            return self._push_out(waiting, 0, _MOST_AT_ONCE)
        budget = 0 if config.early else config.stream_bytes
        return () if self._size <= budget else self._push_out(waiting, budget, len(waiting))

    def _push_out(self, waiting: list[str], budget: int, most: int) -> list[str]:
        pushed_out: list[str] = []
        try:
            while self._size > budget and len(pushed_out) < most:
                pushed_out.append(waiting.pop(0))
                self._size -= len(pushed_out[-1])
        except IndexError:  # another thread, or `close`, has taken the rest
            self._size = 0
        return pushed_out

    def header(self) -> TraceHeader:
        return TraceHeader(self.root.trace_id, self.id, "1", self.root.extra)

    def annotate(self, values: Mapping[str, object] | None = None, /, **more: object) -> None:
        if self.end_ns is not None:
            return
        annotations = self.annotations
        if annotations is None:
            annotations = self.annotations = {}
        try:
            _annotations.put(annotations, more if values is None else {**values, **more})
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    @guarded
    def metadata(
        self, values: Mapping[str, object] | None = None, /, *, namespace: str = "default", **more: object
    ) -> None:
        if self.end_ns is None:
            named = self._section("metadata").setdefault(_sections().metadata_namespace(namespace), {})
            named.update(more if values is None else {**values, **more})  # type: ignore[attr-defined]

    @guarded
    def http(self, **fields: object) -> None:
        self._http("request", _sections().request_fields(fields, self._request_marks))

    @guarded
    def status(self, code: int, content_length: int | None = None) -> None:
        self._http("response", _sections().response_fields(code, content_length))
        self.flag(*flags_of(int(code)))

    def _http(self, side: str, fields: dict[str, object]) -> None:
        if self.end_ns is None:
            self._section("http").setdefault(side, {}).update(fields)  # type: ignore[attr-defined]

    @guarded
    def aws(self, **fields: object) -> None:
        if self.end_ns is None:
            self._section("aws").update(_sections().aws_fields(fields))

    @guarded
    def sql(self, **fields: object) -> None:
        if self.end_ns is None:
            self._section("sql").update(_sections().sql_fields(fields))

    @guarded
    def user(self, name: str) -> None:
        if self.end_ns is None:
            self._all_details()["user"] = _sections().user_text(name)

    @guarded
    def flag(self, *names: Flag) -> None:
        if self.end_ns is None and names:
            self._all_details().update({name: True for name in FLAGS if name in names})

    @guarded
    def exception(self, error: BaseException, *, remote: bool = False) -> None:
        if self.end_ns is None:
            self.flag("fault")
            cause, details = self._cause(error, remote=remote), self._all_details()
            if not _tells_of(details.get("cause"), cause):  # one that was recorded by hand, and goes on its way
                details["cause"] = cause

    def _cause(self, error: BaseException, *, remote: bool) -> object:
        root = self.root
        if root.recorded is None:
            root.recorded = _causes().Recorded()
        frames = root.recorder.config.stack_frames
        words = {} if self.message_of is None else {"message_of": self.message_of}
        return _causes().describe(
            error, root.recorded, root.recorder.new_id, stack_frames=frames, remote=remote, **words
        )

    def _ended_by(self, error: BaseException) -> None:
        try:
            if _causes().is_fault(error, parse_ignore(self._ignore) + self.root.recorder.config.ignore):
                self.exception(error)
            elif _causes().is_cancelled(error):
                self.metadata({"cancelled": True}, namespace=_document.MARK)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
            self.flag("fault")

    def _all_details(self) -> dict[str, object]:
        if self.details is None:
            self.details = {}
        return self.details

    def _section(self, name: str) -> dict[str, object]:
        return self._all_details().setdefault(name, {})  # type: ignore[return-value]


def _tells_of(cause: object, exception_id: object) -> bool:
    return isinstance(cause, dict) and any(one["id"] == exception_id for one in cause["exceptions"])


def _drained(waiting: list[str]) -> list[str]:
    """Take everything off a list to which other threads may still append, in its order."""
    taken = []
    try:
        while True:
            taken.append(waiting.pop())
    except IndexError:
        taken.reverse()
    return taken


def _removed(waiting: list[str], document: str) -> bool:
    try:
        waiting.remove(document)
    except ValueError:
        return False
    return True


def _causes() -> ModuleType:
    """Return what describes exceptions, loaded when the first one comes: 0.15 ms that most cold starts save."""
    from xray_lambda import _cause  # noqa: PLC0415

    return _cause


def _sections() -> ModuleType:
    """Return what puts calls into words for X-Ray, loaded when the first one is recorded: 0.1 ms."""
    from xray_lambda import _sections as sections  # noqa: PLC0415

    return sections
