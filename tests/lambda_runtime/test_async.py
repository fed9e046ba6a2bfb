"""Async handlers: the runtime client takes no coroutine, so `@traced_handler` runs the loop, one an environment."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from tests.lambda_runtime.documents import cold, handled, plain
from tests.lambda_runtime.runtime import invoke
from tests.lambda_runtime.runtime_api import Invocation
from xray_lambda import subsegment, traced_handler
from xray_lambda.testing import capture

HEAD = """
import asyncio, sys
from xray_lambda import annotate, subsegment, traced, traced_handler

"""


def test_one_loop_is_kept_and_tasks_go_on_in_the_next_invocation() -> None:
    source = """
        import asyncio
        from xray_lambda import subsegment, traced_handler

        loops, tasks = set(), []

        async def work(event):
            with subsegment("work"):
                await event.wait()

        @traced_handler
        async def handler(event, context):
            loops.add(asyncio.get_running_loop())
            if event == "start":
                stop = asyncio.Event()
                tasks.extend([asyncio.ensure_future(work(stop)), stop])
                await asyncio.sleep(0)
            if event == "stop":
                tasks[1].set()
                await tasks[0]
            return len(loops)
    """
    outcome = invoke(source, *(Invocation(event=event) for event in ("start", "go on", "stop")))
    assert outcome.bodies == [1, 1, 1]
    late = {"type": "subsegment", "trace_id": outcome.documents[0]["trace_id"], "parent_id": "#1", "name": "work"}
    assert plain([answer.documents for answer in outcome.answers]) == [
        [cold(id="#1")],
        [handled()],
        [late, handled()],
    ]


def test_gathered_work_hangs_below_what_gathered_it() -> None:
    source = """
        @traced
        async def row(number):
            annotate(number=number)
            await asyncio.sleep(0)
            with subsegment("cell"):
                await asyncio.sleep(0)

        @traced_handler
        async def handler(event, context):
            with subsegment("table"):
                await asyncio.gather(*map(row, range(3)))
            async with subsegment("footer"):
                await asyncio.sleep(0)
    """
    [document] = plain(invoke(HEAD + source.replace("\n        ", "\n")).documents)
    rows = [{"name": "row", "annotations": {"number": one}, "subsegments": [{"name": "cell"}]} for one in range(3)]
    assert document == cold(subsegments=[{"name": "table", "subsegments": rows}, {"name": "footer"}])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups are new in Python 3.11")
def test_a_task_group_tells_of_the_task_that_failed_and_the_one_cancelled() -> None:
    source = """
        async def sell():
            with subsegment("sell"):
                await asyncio.sleep(60)

        async def pay():
            with subsegment("pay"):
                await asyncio.sleep(0)
                raise ValueError("no money")

        @traced_handler
        async def handler(event, context):
            async with asyncio.TaskGroup() as group:
                group.create_task(sell())
                group.create_task(pay())
    """
    outcome = invoke(HEAD + source.replace("\n        ", "\n"))
    assert outcome.answers[0].body["errorType"] == "ExceptionGroup"
    [document] = outcome.documents
    pay, sell = sorted(document["subsegments"], key=lambda child: str(child["name"]))
    [error] = pay["cause"]["exceptions"]
    [group] = document["cause"]["exceptions"]
    assert (error["type"], error["message"]) == ("ValueError", "no money")
    assert (group["type"], group["cause"], document["fault"]) == ("ExceptionGroup", error["id"], True)
    assert sell["metadata"] == {"xray_lambda": {"cancelled": True}}
    assert not {"fault", "cause"} & sell.keys()


ENDS: dict[str, tuple[int, dict[str, Any]]] = {
    "sys.exit(3)": (3, {"fault": True}),
    "await asyncio.gather(leave())": (3, {"fault": True}),
    "sys.exit(0)": (0, {}),
    "raise KeyboardInterrupt": (-2, {"fault": True}),
    "raise asyncio.CancelledError": (1, {"metadata": {"xray_lambda": {"cancelled": True}}}),
    "asyncio.current_task().cancel()\n    await asyncio.sleep(0)": (
        1,
        {"metadata": {"xray_lambda": {"cancelled": True}}},
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_the_process_from_a_coroutine_arrives_all_the_same(end: str) -> None:
    """The loop is left as it is, as asyncio itself leaves it, and the process ends as with `asyncio.run`."""
    source = f"""
async def leave():
    sys.exit(3)

@traced_handler
async def handler(event, context):
    {end}
"""
    outcome = invoke(HEAD + source)
    exit_code, flags = ENDS[end]
    [document] = plain(outcome.documents)
    document.pop("cause", None)
    assert document == cold(**flags)
    assert outcome.exit_code == exit_code


def test_a_coroutine_from_a_plain_function_is_refused_as_without_us() -> None:
    outcome = invoke(HEAD + "@traced_handler\ndef handler(event, context): return (lambda: 1 + 1j)()")
    assert outcome.answers[0].body["errorType"] == "Runtime.MarshalError"


@traced_handler
async def double(event: int, context: object) -> int:
    with subsegment("add"):
        await asyncio.sleep(0)
        if event < 0:
            raise ValueError("too small")
        return 2 * event


def test_under_a_running_loop_it_is_awaited_as_written() -> None:
    async def twice() -> Any:
        return await asyncio.gather(double(1, None), double(2, None))

    with capture() as traces:
        assert asyncio.run(twice()) == [2, 4]
    assert [root.names() for root in traces.roots] == [("double", [("add", [])])] * 2


def test_under_a_running_loop_its_exception_is_raised_and_recorded() -> None:
    with capture() as traces, pytest.raises(ValueError, match="too small"):
        asyncio.run(double(-1, None))
    [error] = traces.one["add"].exceptions
    assert (traces.one.document["cause"], traces.one.flags) == (error["id"], {"fault"})


def test_without_a_running_loop_it_is_called_like_any_function() -> None:
    with capture() as traces:
        result: Any = double(4, None)
    assert (result, traces.one.names()) == (8, ("double", [("add", [])]))
