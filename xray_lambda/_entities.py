"""The entities of a trace: a service's Segment, Lambda's FacadeSegment, and the Subsegment of a piece of work."""

from __future__ import annotations

from xray_lambda import _document
from xray_lambda._context import current
from xray_lambda._entity import UNTRACED, Entity, Untraced
from xray_lambda._guard import guarded
from xray_lambda._header import TraceHeader
from xray_lambda._recording import Recording

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from xray_lambda._cause import Recorded
    from xray_lambda._entity import Flag, Ignored, Namespace, Services


class UntracedSegment(Untraced):
    """A segment that upstream, or the sampler, decided against: what opens inside passes its header on."""

    __slots__ = ("_inside",)

    def __init__(self, header: TraceHeader | None) -> None:
        self._header = header
        self._inside = _Inside(header)

    def __enter__(self) -> Self:
        before = current.get()
        if before is not self._inside:
            self._inside.before = before
            current.set(self._inside)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if current.get() is self._inside:
            current.set(self._inside.before)

    def abandon(self) -> None:
        self._inside.unsettled = self._inside.out_of_turn = True


class _Inside(Untraced):
    """What is current inside an UntracedSegment."""

    __slots__ = ("before", "out_of_turn", "unsettled")

    def __init__(self, header: TraceHeader | None) -> None:
        self._header = header
        self.before: Entity | None = None
        self.out_of_turn = self.unsettled = False


class FacadeSegment(Entity):
    """Lambda's own segment, seen from the function: never sent, and never changed.

    What the program puts on it lands on the subsegment of the handler.
    """

    __slots__ = ("extra", "handler", "id", "recorded", "recorder", "trace_id", "unsettled")

    id: str
    trace_id: str
    sampled = True

    def __init__(self, recorder: Services, trace_id: str, parent_id: str, extra: str, unsettled: bool) -> None:  # noqa: FBT001 - by position, for speed
        self.recorder = recorder
        self.trace_id = trace_id
        self.id = parent_id
        self.extra = extra
        self.unsettled = unsettled
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

    def adopt(self, document: str, now: int) -> Sequence[str]:  # noqa: ARG002 - see Recording.adopt
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

    def user(self, name: str) -> None:
        self.handler.annotate(user=name)

    def flag(self, *names: Flag) -> None:
        self.handler.flag(*names)

    def exception(self, error: BaseException, *, remote: bool = False) -> None:
        self.handler.exception(error, remote=remote)


class Subsegment(Recording):
    """A piece of work below a segment; a context manager for `with` and `async with`.

    It belongs where `subsegment()` was called, and may be entered in another thread, and outlive its parent.
    """

    __slots__ = ("parent", "root")

    _request_marks = ("traced",)

    def __init__(
        self, name: str, parent: Recording | FacadeSegment, namespace: Namespace | None = None, ignore: Ignored = ()
    ) -> None:
        self.name = name
        self.parent = parent
        self.root = root = parent.root
        self.id = root.recorder.new_id()
        self.unsettled = parent.unsettled
        self.end_ns = None
        self.out_of_turn = self.announced = False
        self._ignore = ignore
        self.annotations = None
        self.details = None if namespace not in ("aws", "remote") else {"namespace": namespace}
        self._waiting = []
        self._size = 0

    @property
    def segment(self) -> Segment | FacadeSegment:
        """The segment that this subsegment belongs to."""
        return self.root

    @property
    def trace_id(self) -> str:  # type: ignore[override]
        """The trace that this subsegment belongs to."""
        return self.root.trace_id

    def child(self, name: str, namespace: Namespace | None = None, ignore: Ignored = ()) -> Subsegment:
        return Subsegment(name, self, namespace, ignore)

    def user(self, name: str) -> None:
        self.root.user(name)

    def _hand_on(self, document: str) -> None:
        if self.announced:  # X-Ray has it as a document of its own, which only another one replaces
            self._send(document)
            return
        for text in self.parent.adopt(document, self.end_ns):  # type: ignore[arg-type]  # it has ended
            self._send(text)

    def _send(self, document: str) -> None:
        """Send this subsegment, or one of those beside it, as a document of its own."""
        root = self.root
        root.recorder.emitter.send(_document.independent(document, root.trace_id, self.parent.id))


class Segment(Recording):
    """The root of the work of one service in a trace: a request, a message, a run of a script."""

    __slots__ = ("extra", "parent_id", "recorded", "recorder", "trace_id")

    _request_marks = ("x_forwarded_for",)
    trace_id: str

    def __init__(self, recorder: Services, name: str, header: TraceHeader, about: dict[str, object]) -> None:
        self.recorder = recorder
        self.name = name
        self.trace_id = header.root  # type: ignore[assignment]  # the recorder makes one where none came in
        self.parent_id = header.parent
        self.extra = header.extra
        self.id = recorder.new_id()
        self.recorded: Recorded | None = None
        self.unsettled = False
        self.end_ns = None
        self.out_of_turn = self.announced = False
        self._ignore = ()
        self.annotations = None
        self.details = about
        self._waiting = []
        self._size = 0

    @property
    def root(self) -> Segment:  # type: ignore[override]
        """The segment itself, as its subsegments see it; no attribute, which would be a reference cycle."""
        return self

    @property
    def segment(self) -> Segment:
        """The segment itself."""
        return self

    def child(self, name: str, namespace: Namespace | None = None, ignore: Ignored = ()) -> Subsegment:
        return Subsegment(name, self, namespace, ignore)

    @guarded
    def link(self, to: str | Entity, /, **attributes: object) -> None:
        from xray_lambda import _sections  # noqa: PLC0415 - for messages alone: 0.1 ms

        link = _sections.link_fields(to, attributes)
        if self.end_ns is None and link is not None:
            links: Any = self._all_details().setdefault("links", [])
            _sections.add_link(links, link)

    def _send(self, document: str) -> None:
        parent = "" if self.parent_id is None else f'"parent_id":"{self.parent_id}",'
        self.recorder.emitter.send(f'{{"trace_id":"{self.trace_id}",{parent}{document[1:]}')

    _hand_on = _send
