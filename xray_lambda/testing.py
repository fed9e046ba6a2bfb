"""Testing: capture what a test's code records, as a tree that is pleasant to assert on.

`with capture() as traces: handler(event, context)`, then `assert traces.one["handler"]["price"].annotations == {...}`.
With pytest, the fixture `xray` is such a capture.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from xray_lambda import _config, _guard, _recorder
from xray_lambda._context import current
from xray_lambda._emitters.memory import MemoryEmitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["Node", "Traces", "capture", "counting_ids", "fake_clock"]

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
HEADER = f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"

_FIRST_SECOND = 1_700_000_000


def fake_clock(step_ms: float = 1, start: int = _FIRST_SECOND) -> Callable[[], int]:
    """Return a clock in nanoseconds that begins `start` seconds after the epoch and moves `step_ms` at each look.

    Raises ValueError for a start before the first second: X-Ray takes no such time.
    """
    if start < 1:
        raise ValueError(f"start={start}: expected seconds after the epoch, 1 or more")
    step = int(step_ms * 1_000_000)
    looks = count(start * 1_000_000_000, step)
    return lambda: next(looks)


def counting_ids() -> Callable[[], str]:
    """Return a maker of ids: 0000000000000001, 0000000000000002..."""
    numbers = count(1)
    return lambda: f"{next(numbers):016x}"


class Node:
    """A segment or subsegment of a captured trace; `document` is what was sent of it, its children aside."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.children = [Node(child) for child in document.get("subsegments", ())]
        self.document = {key: value for key, value in document.items() if key != "subsegments"}

    @property
    def name(self) -> str:
        """The name."""
        return str(self.document["name"])

    @property
    def id(self) -> str:
        """The id, 16 hex digits."""
        return str(self.document["id"])

    @property
    def annotations(self) -> dict[str, str | float]:
        """The annotations, as X-Ray gets them."""
        return dict(self.document.get("annotations", {}))

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata by namespace, as X-Ray gets it."""
        return dict(self.document.get("metadata", {}))

    @property
    def flags(self) -> set[str]:
        """Those of fault, error and throttle that are set."""
        return {"fault", "error", "throttle"} & self.document.keys()

    @property
    def exceptions(self) -> list[dict[str, Any]]:
        """The exceptions recorded here; none where the cause is one that a child recorded."""
        cause = self.document.get("cause")
        return list(cause.get("exceptions", ())) if isinstance(cause, dict) else []

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return float(self.document["end_time"]) - float(self.document["start_time"])

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, name: str) -> Node:
        """Return the one node of that name here or below; LookupError says what there is instead."""
        found = [node for node in self.walk() if node.name == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} nodes are called {name!r} in\n{self}")
        return found[0]

    def __getitem__(self, name: str) -> Node:
        found = [child for child in self.children if child.name == name]
        if len(found) != 1:
            raise LookupError(f"{self.name!r} has {len(found)} children called {name!r}; there is\n{self}")
        return found[0]

    def names(self) -> tuple[str, list[Any]]:
        """Return the shape of the tree: `("handler", [("price", [])])`."""
        return (self.name, [child.names() for child in self.children])

    def __str__(self) -> str:
        return "\n".join(self._lines(""))

    def _lines(self, indent: str) -> Iterator[str]:
        said = [f"{key}={value!r}" for key, value in self.annotations.items()]
        yield " ".join([indent + self.name, *sorted(self.flags), *said])
        for child in self.children:
            yield from child._lines(indent + "  ")  # noqa: SLF001 - a node's own children

    def __repr__(self) -> str:
        return f"<Node {self.name!r} with {len(self.children)} children>"


class Traces:
    """What a capture has caught so far."""

    def __init__(self, emitter: MemoryEmitter) -> None:
        self._emitter = emitter

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The documents as they were sent, oldest first."""
        return [json.loads(document) for document in self._emitter.documents]

    @property
    def roots(self) -> list[Node]:
        """The trees: independent subsegments stand below their parents, where those were sent too."""
        documents = list({document["id"]: document for document in self.documents}.values())  # the last one counts
        nodes = {node.id: node for node in map(Node, documents) for node in node.walk()}
        tops = [nodes[document["id"]] for document in documents]
        roots: list[Node] = []
        for node in tops:
            parent = nodes.get(node.document.get("parent_id", ""))
            (roots if parent is None else parent.children).append(node)
        for node in nodes.values():
            node.children.sort(key=lambda child: float(child.document["start_time"]))
        return sorted(roots, key=lambda node: float(node.document["start_time"]))

    @property
    def one(self) -> Node:
        """The only tree; LookupError says what there is instead."""
        roots = self.roots
        if len(roots) != 1:
            raise LookupError(f"{len(roots)} trees were recorded, not one:\n{self}")
        return roots[0]

    def find(self, name: str) -> Node:
        """Return the one node of that name in all trees."""
        found = [node for root in self.roots for node in root.walk() if node.name == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} nodes are called {name!r} in\n{self}")
        return found[0]

    def clear(self) -> None:
        """Forget what has been caught."""
        self._emitter.documents.clear()

    def __len__(self) -> int:
        return len(self.roots)

    def __str__(self) -> str:
        return "\n".join(map(str, self.roots)) or "nothing was recorded"


@contextmanager
def capture(
    header: str | None = HEADER,
    *,
    clock: Callable[[], int] | None = None,
    new_id: Callable[[], str] | None = None,
    **settings: object,
) -> Iterator[Traces]:
    """Record in memory what the block does, as in an invocation of Lambda that came with the trace `header`.

    `clock=fake_clock()` and `new_id=counting_ids()` make documents that can be compared whole; `settings` are
    those of `configure`. `header=None` stands for a program outside Lambda.
    """
    emitter = MemoryEmitter()
    settings.setdefault("strict", _guard.strict)
    config = _config.load({}, **settings)
    given = {"clock": clock, "new_id": new_id}
    recorder = _recorder.Recorder(
        config,
        emitter,
        read_header=lambda: header,
        in_lambda=header is not None,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    before = _recorder.active()
    token = current.set(None)
    _recorder.use(recorder)
    try:
        yield Traces(emitter)
    finally:
        _recorder.use(before)
        current.reset(token)
