"""The tree is right, however tasks, threads and generators interleave: random programs against what they say."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schema import checked
from xray_lambda import bind, subsegment, traced
from xray_lambda.testing import Node, capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOW = ("with", "async with", "task", "thread", "to_thread", "generator", "traced", "outlives")


@dataclass
class Work:
    """One subsegment of a program: how it is run, how often it gives way first, and what it does."""

    how: str
    pauses: int
    parts: list[Work] = field(default_factory=list)
    name: str = ""

    def named(self, name: str) -> Work:
        self.name = name
        for number, part in enumerate(self.parts):
            part.named(f"{name}.{number}")
        return self


works = st.recursive(
    st.builds(Work, st.sampled_from(HOW), st.integers(0, 3), st.just([])),
    lambda inner: st.builds(Work, st.sampled_from(HOW), st.integers(0, 3), st.lists(inner, max_size=4)),
    max_leaves=12,
)


class Program:
    """Runs a Work; `late` keeps what is to be awaited only after its parent has closed."""

    def __init__(self) -> None:
        self.late: list[asyncio.Task[None]] = []

    async def run(self, work: Work) -> None:
        for _ in range(work.pauses):
            await asyncio.sleep(0)
        run: Callable[[Work], object] = getattr(self, "_" + work.how.replace(" ", "_"))
        result = run(work)
        if asyncio.iscoroutine(result):
            await result

    async def _parts(self, work: Work) -> None:
        """Run the parts: those that may at once, and in any order, the others after one another."""
        side_by_side = [asyncio.create_task(self.run(part)) for part in work.parts if part.how in ("task", "to_thread")]
        for part in work.parts:
            if part.how == "outlives":
                self.late.append(asyncio.create_task(self._with(part)))
            elif part.how not in ("task", "to_thread"):
                await self.run(part)
        await asyncio.gather(*side_by_side)

    async def _with(self, work: Work) -> None:
        await asyncio.sleep(0)
        with subsegment(work.name):
            await self._parts(work)

    async def _async_with(self, work: Work) -> None:
        async with subsegment(work.name):
            await self._parts(work)

    _task = _outlives = _with

    async def _traced(self, work: Work) -> None:
        await traced(work.name)(self._parts)(work)

    def _in_thread(self, work: Work) -> None:
        with subsegment(work.name):
            program = Program()
            asyncio.run(program.all_parts(work))

    async def all_parts(self, work: Work) -> None:
        await self._parts(work)
        await self.wait_for_late()

    def _thread(self, work: Work) -> None:
        thread = threading.Thread(target=bind(self._in_thread), args=(work,))
        thread.start()
        thread.join()

    async def _to_thread(self, work: Work) -> None:
        await asyncio.to_thread(self._in_thread, work)

    async def _generator(self, work: Work) -> None:
        """Take a step of a traced generator between the parts; what its consumer does is not below it."""

        @traced(f"{work.name}")
        def steps() -> Iterator[int]:
            with subsegment("inside"):
                yield from range(3)

        for _ in steps():
            with subsegment("consumer"):
                await asyncio.sleep(0)

    async def wait_for_late(self) -> None:
        while self.late:
            await self.late.pop()


Shape = tuple[str, list[Any]]


def shape(node: Node) -> Shape:
    return (node.name, [shape(child) for child in sorted(node.children, key=lambda child: child.name)])


def expected(work: Work) -> list[Shape]:
    """Return what a part adds to its parent: itself, and for a generator what its consumer does beside it."""
    if work.how == "generator":
        return [("consumer", [])] * 3 + [(work.name, [("inside", [])])]
    below = [one for part in work.parts for one in expected(part)]
    return [(work.name, sorted(below))]


async def run(work: Work) -> None:
    program = Program()
    with subsegment("root"):
        await program.run(work)
    await program.wait_for_late()


@settings(max_examples=150)
@given(works)
def test_random_programs_give_the_tree_that_they_describe(work: Work) -> None:
    work.named("w")
    with capture() as traces:
        asyncio.run(run(work))
        for document in traces._emitter.documents:
            checked(document)
        root = traces.one
    assert shape(root) == ("root", sorted(expected(work)))


@settings(max_examples=50)
@given(works, st.integers(0, 400))
def test_a_small_byte_budget_sends_more_documents_and_loses_none(work: Work, budget: int) -> None:
    work.named("w")
    with capture(stream_bytes=budget) as traces:
        asyncio.run(run(work))
        for document in traces._emitter.documents:
            checked(document)
        root = traces.one
    assert shape(root) == ("root", sorted(expected(work)))


def test_threads_that_share_a_parent_lose_no_child() -> None:
    """The hand-over of a child and the closing of its parent race: 8 threads, children closing while it closes."""
    with capture() as traces:
        with subsegment("root") as root:
            begin = threading.Barrier(9)
            threads = [threading.Thread(target=bind(_close_many), args=(begin, number)) for number in range(8)]
            for thread in threads:
                thread.start()
            begin.wait()
        for thread in threads:
            thread.join()
        names = [node.name for top in traces.roots for node in top.walk()]
        assert root.end_ns is not None
    assert sorted(names) == sorted(["root", *(f"{number}.{index}" for number in range(8) for index in range(200))])


def _close_many(begin: threading.Barrier, number: int) -> None:
    begin.wait()
    for index in range(200):
        with subsegment(f"{number}.{index}"):
            pass


def test_ten_thousand_siblings_and_a_huge_metadata_value_lose_no_sibling() -> None:
    """Every document stays below the limit, and the memory that waiting children take stays bounded."""
    with capture() as traces:
        with subsegment("root") as root:
            for number in range(10_000):
                with subsegment(f"child{number}"):
                    pass
            with subsegment("large") as large:
                large.metadata(value="x" * 5_000_000)
            assert root._size < 60_000  # type: ignore[attr-defined]
        for document in traces._emitter.documents:
            checked(document)
        root_node = traces.one
    names = {child.name for child in root_node.children}
    assert names == {"large", *(f"child{number}" for number in range(10_000))}
    assert root_node["large"].metadata["xray_lambda"] == {"truncated": True}
