"""`records(event)`: each record of an event as the loop comes to it, with a subsegment around what the loop does."""

from __future__ import annotations

from xray_lambda._entity import UNTRACED
from xray_lambda._records.events import records_in
from xray_lambda._records.opening import Options, opened
from xray_lambda._records.origins import identifier_of

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from xray_lambda._entity import Entity
    from xray_lambda._records.events import Found


class records:  # noqa: N801 - read as a function: `for record in records(event)`
    """Yield an event's records, each the event's own object, with a subsegment named after its queue or the like.

    `with records(event) as batch: for record in batch: ...` also sees what the loop raises. `name` names them all;
    `continue_trace` makes each a segment in its sender's trace, outside Lambda; `include_unsampled` also records
    what a sender left unrecorded.
    """

    __slots__ = ("_failed", "_found", "_open", "_options", "_place", "_record", "_rest")

    def __init__(
        self, event: object, *, name: str | None = None, continue_trace: bool = False, include_unsampled: bool = False
    ) -> None:
        self._open: Entity = UNTRACED  # what stands for the record that the loop is at; first, for `__del__`
        self._options = Options(name, continue_trace, include_unsampled)
        self._found = records_in(event)
        self._rest: Iterator[Found] = iter(self._found)
        self._place = 0
        self._record: Any = None
        self._failed: dict[int, str] = {}

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self.close()
        record, hint = next(self._rest)
        self._place += 1
        self._record = record
        self._open = opened(record, hint, self._options).__enter__()
        return record

    def failed(self, error: BaseException | None = None) -> None:
        """Say that the record at hand failed, with an exception that the loop handles: a fault, and in `response`."""
        if error is not None:
            self._open.exception(error)
        else:
            self._open.flag("fault")
        if self._place:
            self._failed[self._place] = identifier_of(self._record)

    @property
    def response(self) -> dict[str, list[dict[str, str]]]:
        """Return what Lambda wants to know of a batch: the records that failed, and those that the loop left out.

        For event sources with `ReportBatchItemFailures`: SQS, Kinesis, DynamoDB.
        """
        left_out = self._found[self._place :] if isinstance(self._found, list) else []
        again = [*self._failed.values(), *(identifier_of(record) for record, _ in left_out)]
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in again]}

    def close(self) -> None:
        """Close what stands for the record at hand; the loop may go on."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        entity, self._open = self._open, UNTRACED
        entity.__exit__(kind, error, traceback)

    def __del__(self) -> None:
        """Close what a loop has left open; by `abandon`, since the collector may come in the middle of anything."""
        if self._open is not UNTRACED:
            self._open.metadata({"loop_left": True}, namespace="xray_lambda")
            self._open.abandon()
