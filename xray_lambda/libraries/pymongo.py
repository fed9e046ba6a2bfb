"""pymongo: each command, and each connecting, is a remote subsegment named `database@host:port`; nothing in it is told.

Commands are heard of where pymongo tells its own listeners, in clients that were there before too. What is told is a
beginning and an end, which belong together by the thread or task that they are told in: there it is one at a time.
Heartbeats, and what pymongo does for itself behind an operation that has ended, are left out.
"""

from __future__ import annotations

import re
import sys
from contextvars import ContextVar
from functools import partial, wraps

from xray_lambda._guard import guarded
from xray_lambda._recorder import current_entity
from xray_lambda.libraries._attempt import Attempt
from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import LOWEST, opened
from xray_lambda.libraries._messages import message_without_names
from xray_lambda.libraries._patching import replace, restore
from xray_lambda.libraries._targets import UnknownShape, on_import, replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call, Done, Steps

    Pending = tuple[int, Done]

_STACK = "mongodb"
_PART_OF = (_STACK, LOWEST)
_CONNECT = {"command": "connect"}
# Commands whose first value is the name of a collection; that of any other may be anything.
_WITH_COLLECTION = frozenset((
    "aggregate", "collMod", "collStats", "count", "create", "createIndexes", "delete", "distinct", "drop",
    "dropIndexes", "find", "findAndModify", "insert", "killCursors", "listIndexes", "mapReduce", "update", "validate",
))  # fmt: skip
_OWN = frozenset(("endSessions", "killCursors"))
_DOCUMENT = re.compile(r"\{.*\}", re.DOTALL)

_pending: ContextVar[Pending | None] = ContextVar("xray_lambda_pymongo", default=None)


@on_import("pymongo.monitoring")
def publish_commands(module: ModuleType) -> Callable[[], object]:
    """Have commands told of while a trace is recorded, whether the program listens or not."""
    listeners: Any = getattr(module, "_EventListeners", None)
    if not isinstance(getattr(listeners, "enabled_for_commands", None), property):
        raise UnknownShape("pymongo.monitoring._EventListeners.enabled_for_commands is missing")

    def wrap(original: Any) -> Any:
        return property(lambda self: original.__get__(self) or current_entity().sampled)

    replace(listeners, "enabled_for_commands", wrap)
    return partial(restore, listeners, "enabled_for_commands")


_LISTENERS = "pymongo.monitoring:_EventListeners"


@card(
    f"{_LISTENERS}.publish_command_start(self, command, database_name, request_id, connection_id)",
    part_of=_PART_OF,
)
def started(call: Call) -> Steps:
    command = call["command"]
    name = next(iter(command))
    if name in _OWN and _is_over(call.parent):
        return
    about = {"command": name}
    collection = command.get("collection") if name == "getMore" else command[name]
    if isinstance(collection, str) and (name == "getMore" or name in _WITH_COLLECTION):
        about["collection"] = collection
    sub = _opened(call, call["database_name"], call["connection_id"], about)
    yield sub
    reply = yield partial(_remember, call["request_id"])
    errors = [] if reply is None else reply.get("writeErrors") or [reply.get("writeConcernError")]
    codes = [error.get("code") for error in errors if error]
    if codes:
        sub.flag("fault")
        sub.metadata(write_errors=codes, namespace=_STACK)


@replacing(
    f"{_LISTENERS}.publish_command_success(self, duration, reply, command_name, request_id)",
    f"{_LISTENERS}.publish_command_failure(self, duration, failure, command_name, request_id)",
)
def ended(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def publish(self: Any, duration: Any, reply: Any, command: str, request_id: int, *args: Any, **kwargs: Any) -> None:
        _end(request_id, reply, original.__name__.endswith("failure"))
        original(self, duration, reply, command, request_id, *args, **kwargs)

    return publish


@card(
    "pymongo.synchronous.pool:Connection._raise_connection_failure(self, error)",
    "pymongo.asynchronous.pool:AsyncConnection._raise_connection_failure(self, error)",
    "pymongo.pool:Connection._raise_connection_failure(self, error)?",
    "pymongo.pool:SocketInfo._raise_connection_failure(self, error)?",
)
def interrupted(call: Call) -> Steps:
    """End a command of which pymongo tells no end: that of a cancelled task."""
    if not isinstance(call["error"], Exception):
        _end(None, None, is_failure=True)
    return
    yield


@card(
    "pymongo.synchronous.pool:Pool.connect(self)",
    "pymongo.asynchronous.pool:Pool.connect(self)",
    "pymongo.pool:Pool.connect(self)?",
    part_of=_PART_OF,
)
def connect(call: Call) -> Steps:
    pool = call["self"]
    if not _is_watching(pool) and not _is_over(call.parent):
        yield _opened(call, "mongodb", pool.address, _CONNECT)


@card(
    "pymongo.synchronous.topology:Topology._select_servers_loop(self)",
    "pymongo.asynchronous.topology:Topology._select_servers_loop(self)",
    "pymongo.topology:Topology._select_servers_loop(self)?",
    part_of=_PART_OF,
)
def select_servers(call: Call) -> Steps:
    """Record that no server answers: then there is no command."""
    if call.parent.sampled and not _is_over(call.parent):
        seeds = call["self"]._settings.seeds  # noqa: SLF001
        yield Attempt(call.parent, lambda: _opened(call, "mongodb", next(iter(seeds)), _CONNECT))


@card(
    "pymongo.synchronous.pool:Pool._get_conn(self)",
    "pymongo.asynchronous.pool:Pool._get_conn(self)",
    "pymongo.pool:Pool._get_conn(self)?",
    "pymongo.pool:Pool._get_socket(self)?",
    part_of=_PART_OF,
)
def wait_for_connection(call: Call) -> Steps:
    """Record that a pool has no connection to give in time."""
    pool = call["self"]
    if call.parent.sampled and not _is_watching(pool) and not _is_over(call.parent):
        yield Attempt(call.parent, lambda: _opened(call, "mongodb", pool.address, _CONNECT))


def _opened(call: Call, database: str, address: tuple[str, int | None], about: dict[str, str]) -> Entity:
    host, port = address
    name = f"{database}@{host}" if port is None else f"{database}@{host}:{port}"
    sub = opened(call, name, "remote", _STACK, LOWEST, f"MongoDB.{about['command']}")
    if sub.sampled:
        sub.metadata(about, namespace=_STACK)
        sub.message_of = _message_of  # type: ignore[attr-defined]
    return sub


def _is_watching(pool: Any) -> bool:
    return getattr(pool, "is_sdam", False) or not getattr(pool, "handshake", True)


def _is_over(parent: Entity) -> bool:
    return parent.end_ns is not None


def _remember(request_id: int, done: Done) -> None:
    _pending.set((request_id, done))


@guarded
def _end(request_id: int | None, reply: Any, is_failure: bool) -> None:  # noqa: FBT001
    """Close the command that this thread or task has open; the exception is being handled, and tells the most."""
    pending = _pending.get()
    if pending is not None and request_id in (None, pending[0]):
        _pending.set(None)
        pending[1](sys.exc_info()[1] if is_failure else None, result=reply)


def _message_of(error: BaseException) -> str:
    """Return the message of an exception without documents: pymongo adds the server's reply, that the duplicate key."""
    return _DOCUMENT.sub("?", message_without_names(error).partition(", full error: ")[0])
