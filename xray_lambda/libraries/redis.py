"""redis: each command, and each pipeline, is a remote subsegment named `redis@host:port`; commands are told by name.

The name says what answers: a Redis database is but a number. Keys and values are never looked at. What a subscriber
listens to is no call, and is left out; what it takes to try again belongs to the call.
"""

from __future__ import annotations

import re

from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import LOWEST, opened
from xray_lambda.libraries._messages import message_without_names

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call, Steps

_PART_OF = ("redis", LOWEST)
_MAX_NAMES = 50
_MAX_TEXT = 100
_NAME = re.compile(r"[A-Z][A-Z0-9._-]{0,40}(?: [A-Z][A-Z-]{0,40})?")
# These come with another word that says what they do.
_IN_TWO_WORDS = frozenset((
    "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "LATENCY", "MEMORY", "MODULE", "OBJECT",
    "PUBSUB", "SCRIPT", "SENTINEL", "SLOWLOG", "XGROUP", "XINFO",
))  # fmt: skip


@card(
    "redis.client:Redis.execute_command(self)",
    "redis.client:Pipeline.immediate_execute_command(self)",
    "redis.asyncio.client:Redis.execute_command(self)",
    "redis.asyncio.client:Pipeline.immediate_execute_command(self)",
    "redis.cluster:RedisCluster.execute_command(self)",
    "redis.asyncio.cluster:RedisCluster.execute_command(self)",
    part_of=_PART_OF,
)
def execute_command(call: Call) -> Steps:
    client, *words = call.args
    if words:
        name = _name_of(words)
        yield _opened(call, client, name, {"command": name})


@card(
    "redis.client:Pipeline.execute(self)",
    "redis.asyncio.client:Pipeline.execute(self)",
    "redis.cluster:ClusterPipeline.execute(self)",
    "redis.asyncio.cluster:ClusterPipeline.execute(self)",
    part_of=_PART_OF,
)
def execute(call: Call) -> Steps:
    pipeline = call.args[0]
    queue = _queue_of(pipeline)
    if queue:  # else nothing is sent
        names = [_name_of(_words_of(queued)) for queued in queue[:_MAX_NAMES]]
        yield _opened(call, pipeline, "PIPELINE", {"commands": names, "count": len(queue)})


def _opened(call: Call, client: Any, name: str, about: dict[str, object]) -> Entity:
    sub = opened(call, f"redis@{_place_of(client)}", "remote", "redis", LOWEST, f"Redis.{name}")
    if sub.sampled:
        sub.metadata(about, namespace="redis")
        sub.message_of = message_without_names  # type: ignore[attr-defined]
    return sub


def _place_of(client: Any) -> str:
    """Return where commands go: a server, the socket of one, Sentinel's name for it, or a node of a cluster."""
    cluster = getattr(client, "cluster_client", None) or getattr(client, "_client", None) or client
    manager = getattr(cluster, "nodes_manager", None)
    if manager is not None:
        node = manager.default_node or next(iter(manager.startup_nodes.values()))
        return f"{node.host}:{node.port}"
    pool = client.connection_pool
    told = pool.connection_kwargs
    place = getattr(pool, "service_name", None) or told.get("path")
    return place or f"{told.get('host', 'localhost')}:{told.get('port', 6379)}"


def _queue_of(pipeline: Any) -> Sequence[Any]:
    """Return the commands that a pipeline has gathered; each version and each kind has its own place for them."""
    holder = getattr(pipeline, "_execution_strategy", pipeline)
    for name in ("command_stack", "_command_stack", "_command_queue"):
        queue: Sequence[Any] | None = getattr(holder, name, None)
        if queue is not None:
            return queue
    return ()


def _words_of(queued: Any) -> Sequence[Any]:
    return queued[0] if isinstance(queued, tuple) else queued.args  # type: ignore[no-any-return]


def _name_of(words: Sequence[Any]) -> str:
    """Return a command's name alone: redis takes a whole command as one text too."""
    first, *more = _text(words[0]).split()[:2] or ["?"]
    name = first.upper()
    if name in _IN_TWO_WORDS:
        name = f"{name} {more[0] if more else _text(words[1]) if len(words) > 1 else ''}".strip().upper()
    return name if _NAME.fullmatch(name) else "?"


def _text(word: object) -> str:
    text = word.decode(errors="replace") if isinstance(word, bytes) else word
    return text[:_MAX_TEXT] if isinstance(text, str) else "?"
