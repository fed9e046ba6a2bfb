"""How a handler can end other than by returning: it is recorded, and Lambda sees what it would see without us."""

from __future__ import annotations

import sys
from textwrap import dedent, indent

import pytest

from tests.lambda_runtime.documents import cold, handled, plain
from tests.lambda_runtime.runtime import Outcome, behaviour, invoke, undecorated
from tests.lambda_runtime.runtime_api import Invocation
from xray_lambda import traced_handler
from xray_lambda.testing import capture

HEAD = """\
import asyncio, sys
from xray_lambda import traced_handler
from xray_lambda import configure, subsegment

class Refused(Exception):
    def __init__(self, order, reason):
        super().__init__(f"order {order}: {reason}")
        self.order = order

@traced_handler(ignore=(KeyError,))
def handler(event, context):
"""
FIRST = len(HEAD.splitlines()) + 1  # the line that the handler's body begins in


def run(body: str) -> Outcome:
    """Run a handler with this body, after making sure that Lambda sees the same of it without us."""
    source = HEAD + indent(dedent(body).strip("\n"), "    ") + "\n"
    outcome = invoke(source)
    assert behaviour(outcome) == behaviour(invoke(undecorated(source)))
    return outcome


def at(line: int) -> str:
    """Return the frame of a line of the handler's body."""
    return f"app.py:{FIRST + line} handler"


def exception(kind: str, message: str, line: int, **more: object) -> dict[str, object]:
    return {"type": kind, "message": message, "stack": [at(line)], **more}


def test_an_exception_is_recorded_and_raised_as_itself() -> None:
    outcome = run("raise Refused(17, 'no money')")
    [answer] = outcome.answers
    assert answer.kind == "error"
    assert (answer.body["errorType"], answer.body["errorMessage"]) == ("Refused", "order 17: no money")
    cause = {"exceptions": [exception("app.Refused", "order 17: no money", 0)]}
    assert plain(answer.documents) == [cold(fault=True, cause=cause)]


def test_nothing_is_written_on_the_exception() -> None:
    error = ValueError("no such order")

    @traced_handler
    def handler(event: object, context: object) -> None:
        raise error

    with capture(), pytest.raises(ValueError, match="no such order") as raised:
        handler({}, None)
    assert raised.value is error
    assert vars(error) == {}
    assert (error.__cause__, error.__context__, error.__suppress_context__) == (None, None, False)


@pytest.mark.parametrize(("clause", "linked"), [("from error", True), ("", True), ("from None", False)])
def test_what_an_exception_was_raised_from_follows_by_id(clause: str, linked: bool) -> None:
    outcome = run(f"""
        try:
            int("seventeen")
        except ValueError as error:
            raise Refused(17, "bad number") {clause}
    """)
    refused = exception("app.Refused", "order 17: bad number", 3)
    reason = "invalid literal for int() with base 10: 'seventeen'"
    link = {"id": "#1", **exception("ValueError", reason, 1)}
    exceptions = [{**refused, "cause": "#1"}, link] if linked else [refused]
    assert plain(outcome.documents) == [cold(fault=True, cause={"exceptions": exceptions})]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are new in Python 3.11")
def test_the_members_of_a_group_follow_one_after_the_other() -> None:
    outcome = run("""
        failed = []
        for number in "ab":
            try:
                int(number)
            except ValueError as error:
                failed.append(error)
        raise ExceptionGroup("two bad numbers", failed)
    """)
    message = "invalid literal for int() with base 10: "
    exceptions = [
        {**exception("ExceptionGroup", "two bad numbers (2 sub-exceptions)", 6), "cause": "#1"},
        {"id": "#1", **exception("ValueError", message + "'a'", 3), "cause": "#2"},
        {"id": "#2", **exception("ValueError", message + "'b'", 3)},
    ]
    assert plain(outcome.documents) == [cold(fault=True, cause={"exceptions": exceptions})]


def test_an_exception_is_recorded_once_and_named_by_id_further_up() -> None:
    outcome = run("""
        with subsegment("order"), subsegment("price"):
            raise Refused(17, "no price")
    """)
    refused = {"id": "#1", **exception("app.Refused", "order 17: no price", 1)}
    price = {"name": "price", "fault": True, "cause": {"exceptions": [refused]}}
    order = {"name": "order", "fault": True, "cause": "#1", "subsegments": [price]}
    assert plain(outcome.documents) == [cold(fault=True, cause="#1", subsegments=[order])]


def test_an_exception_raised_from_a_recorded_one_names_that_by_id() -> None:
    outcome = run("""
        try:
            with subsegment("price"):
                raise LookupError("no price")
        except LookupError as error:
            raise Refused(17, "later") from error
    """)
    price = {"id": "#1", **exception("LookupError", "no price", 2)}
    refused = exception("app.Refused", "order 17: later", 4, cause="#1")
    assert plain(outcome.documents) == [
        cold(
            fault=True,
            cause={"exceptions": [refused]},
            subsegments=[{"name": "price", "fault": True, "cause": {"exceptions": [price]}}],
        )
    ]


@pytest.mark.parametrize(
    "body",
    [
        "raise KeyError('no such order')",
        "with subsegment('price', ignore=(ValueError, KeyError)):\n    raise KeyError('no such order')",
        "configure(ignore=(LookupError,))\nwith subsegment('price'):\n    raise KeyError('no such order')",
    ],
)
def test_an_ignored_exception_is_no_fault(body: str) -> None:
    outcome = run(body)
    assert outcome.answers[0].body["errorType"] == "KeyError"
    children = {"subsegments": [{"name": "price"}]} if "price" in body else {}
    assert plain(outcome.documents) == [cold(**children)]


def test_what_a_subsegment_ignores_is_a_fault_further_up() -> None:
    outcome = run("""
        with subsegment("price", ignore=(ValueError,)):
            raise ValueError("no price")
    """)
    cause = {"exceptions": [exception("ValueError", "no price", 1)]}
    assert plain(outcome.documents) == [cold(fault=True, cause=cause, subsegments=[{"name": "price"}])]


# What ends the process: nothing of it is posted to Lambda, yet the document has been sent.
DEADLY = {
    "sys.exit(3)": ("SystemExit", "3", 3),
    "sys.exit('no money')": ("SystemExit", "no money", 1),
    "raise KeyboardInterrupt": ("KeyboardInterrupt", "", -2),
    "raise BaseException('enough')": ("BaseException", "enough", 1),
}
HARMLESS = {
    "sys.exit(0)": ({}, 0),
    "sys.exit()": ({}, 0),
    "raise asyncio.CancelledError": ({"metadata": {"xray_lambda": {"cancelled": True}}}, 1),
    "raise GeneratorExit": ({}, 1),
}


@pytest.mark.parametrize("body", DEADLY)
def test_what_ends_the_process_is_a_fault_and_arrives_all_the_same(body: str) -> None:
    outcome = run(f"with subsegment('price'):\n    {body}")
    kind, message, exit_code = DEADLY[body]
    price = {"id": "#1", **exception(kind, message, 1)}
    child = {"name": "price", "fault": True, "cause": {"exceptions": [price]}}
    assert plain(outcome.documents) == [cold(fault=True, cause="#1", subsegments=[child])]
    assert (outcome.exit_code, outcome.answers[0].kind) == (exit_code, "nothing")


@pytest.mark.parametrize("body", HARMLESS)
def test_a_clean_exit_or_a_cancellation_is_no_fault_and_arrives_all_the_same(body: str) -> None:
    outcome = run(f"with subsegment('price'):\n    {body}")
    more, exit_code = HARMLESS[body]
    assert plain(outcome.documents) == [cold(**more, subsegments=[{"name": "price", **more}])]
    assert (outcome.exit_code, outcome.answers[0].kind) == (exit_code, "nothing")


def test_an_exception_that_cannot_be_printed_ends_the_process_as_without_us() -> None:
    outcome = run("""
        class Hostile(Exception):
            def __str__(self):
                raise RuntimeError("no words")
            __repr__ = __str__
        raise Hostile
    """)
    [document] = plain(outcome.documents)
    [error] = document["cause"]["exceptions"]
    assert (error["type"], error["stack"]) == ("app.handler.<locals>.Hostile", [at(4)])
    assert outcome.exit_code == 1


@pytest.mark.parametrize("result", ["object()", "{1, 2}", "(one for one in 'ab')", "{(1, 2): 3}"])
def test_a_result_that_is_no_json_is_refused_by_the_runtime_after_a_good_invocation(result: str) -> None:
    outcome = run(f"return {result}")
    assert outcome.answers[0].body["errorType"] == "Runtime.MarshalError"
    assert plain(outcome.documents) == [cold()]


def test_the_next_invocation_begins_afresh_after_an_exception() -> None:
    source = """
        from xray_lambda import subsegment, traced_handler

        @traced_handler
        def handler(event, context):
            with subsegment("price"):
                if event:
                    raise ValueError("the same again")
    """
    outcome = invoke(source, Invocation(event=1), Invocation(event=1), Invocation())
    first, second, third = [plain(answer.documents) for answer in outcome.answers]
    [price] = first[0]["subsegments"]
    assert price["cause"]["exceptions"][0]["message"] == "the same again"
    assert first == [cold(fault=True, cause="#1", subsegments=[price])]
    assert second == [handled(fault=True, cause="#1", subsegments=[price])]
    assert third == [handled(subsegments=[{"name": "price"}])]
