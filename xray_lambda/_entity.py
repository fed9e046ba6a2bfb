"""What every entity answers to, and Untraced, which stands where nothing is recorded."""

from __future__ import annotations

from xray_lambda._guard import say_once

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Literal, Protocol

    from typing_extensions import Self

    from xray_lambda._config import Config
    from xray_lambda._header import TraceHeader

    Namespace = Literal["aws", "remote"]
    Flag = Literal["fault", "error", "throttle"]
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


FLAGS = ("fault", "error", "throttle")


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
    # Closed where it could not leave its place to what was current before: there it still is current, a leftover.
    out_of_turn: bool = False
    before: Entity | None = None
    # A call into a library: of which stack, and how high in it; see libraries/_kinds.
    stack: str = ""
    layer: int = 0

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

    def user(self, name: str) -> None:
        """Say who the segment's request was made for; indexed. On a Lambda handler it becomes the annotation `user`."""

    def flag(self, *names: Flag) -> None:
        """Mark the entity as ended by a fault (5xx), an error (4xx) or a throttle (429)."""

    def exception(self, error: BaseException, *, remote: bool = False) -> None:
        """Record an exception that the program handles, and mark a fault."""

    def link(self, to: str | Entity, /, **attributes: object) -> None:  # noqa: ARG002
        """Say which other trace a segment's work belongs to as well: by its header, a `traceparent`, or an entity.

        X-Ray takes 20 links a segment, and none elsewhere: Lambda's own segment and subsegments record none.
        """
        say_once(10, "link", "xray_lambda: a link was left out: X-Ray takes them on segments of one's own alone")

    def abandon(self) -> None:
        """Close the entity where nothing may be made current: as the collector would, in the middle of anything."""

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


def flags_of(code: int) -> tuple[Flag, ...]:
    """Return the flags for a status: 5xx is a fault, 4xx an error, 429 an error and a throttle."""
    if code >= 500:
        return ("fault",)
    if code == 429:
        return ("error", "throttle")
    return ("error",) if code >= 400 else ()
