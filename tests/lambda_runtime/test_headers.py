"""Each trace header that Lambda can send, through the real runtime client: what is recorded, and what goes on."""

from __future__ import annotations

import pytest

from tests.lambda_runtime.documents import cold, handled, plain
from tests.lambda_runtime.runtime import Outcome, invoke
from tests.lambda_runtime.runtime_api import PARENT, ROOT, SAMPLED, Invocation

PARENT_2 = "63995c3f42cd8ad8"
UNSAMPLED = SAMPLED.replace("Sampled=1", "Sampled=0")
LINEAGE = "Lineage=1:a87bd80c:1"

# What an invocation is handed, and what a call made in the handler sends on; `#1` is the handler's own id.
RECORDED = {
    "sampled": (SAMPLED, f"Root={ROOT};Parent=#1;Sampled=1"),
    "lineage": (f"{SAMPLED};{LINEAGE}", f"Root={ROOT};Parent=#1;Sampled=1;{LINEAGE}"),
    "unknown keys, in order": (
        f"Root={ROOT};zeta=2;Parent={PARENT};{LINEAGE};Sampled=1;alpha=1",
        f"Root={ROOT};Parent=#1;Sampled=1;zeta=2;{LINEAGE};alpha=1",
    ),
    "self": (f"Self=1-67891234-12456789abcdef012345678a;{SAMPLED}", f"Root={ROOT};Parent=#1;Sampled=1"),
    "order": (f"Sampled=1;Parent={PARENT};Root={ROOT}", f"Root={ROOT};Parent=#1;Sampled=1"),
    "case": (
        f"ROOT={ROOT.upper()};parent={PARENT.upper()};sAMPLED=1",
        f"Root={ROOT};Parent=#1;Sampled=1",
    ),
    "spaces": (f"  Root = {ROOT} ;; Parent= {PARENT}; Sampled =1 ; ", f"Root={ROOT};Parent=#1;Sampled=1"),
    "malformed parts": (f"=;x=;=y;Root=1;{SAMPLED};Parent=;;garbage", f"Root={ROOT};Parent=#1;Sampled=1"),
    "too long": (f"{SAMPLED};{LINEAGE};x={'y' * 9000}", f"Root={ROOT};Parent=#1;Sampled=1;{LINEAGE}"),
}
PASSED_ON = {
    "unsampled": (UNSAMPLED, UNSAMPLED),
    "unsampled, lineage": (f"{UNSAMPLED};{LINEAGE}", f"{UNSAMPLED};{LINEAGE}"),
    "root only": (f"Root={ROOT}", f"Root={ROOT}"),
    "root and lineage": (f"Root={ROOT};{LINEAGE}", f"Root={ROOT};{LINEAGE}"),
    "no decision": (f"Root={ROOT};Parent={PARENT}", f"Root={ROOT};Parent={PARENT}"),
    "decision asked for": (f"Root={ROOT};Parent={PARENT};Sampled=?", f"Root={ROOT};Parent={PARENT};Sampled=?"),
    "no parent": (f"Root={ROOT};Sampled=1", f"Root={ROOT};Sampled=1"),
    "bad parent": (f"Root={ROOT};Parent=53995c3f42cd8adg;Sampled=1", f"Root={ROOT};Sampled=1"),
    "bad decision": (f"Root={ROOT};Parent={PARENT};Sampled=yes", f"Root={ROOT};Parent={PARENT}"),
    "bad root": (f"Root=1-5759e988-bd86;Parent={PARENT};Sampled=1", None),
    "no root": (f"Parent={PARENT};Sampled=1", None),
    "garbage": ("garbage", None),
    "only separators": (";=;=;", None),
    "empty": ("", None),
    "absent": (None, None),
}
CASES = RECORDED | PASSED_ON
WARM_UP = Invocation(None)


@pytest.fixture(scope="module")
def decorated() -> Outcome:
    """One environment that meets all headers, one after the other."""
    source = """
        from xray_lambda import subsegment, trace_header, trace_id, traced_handler

        @traced_handler
        def handler(event, context):
            with subsegment("price"):
                pass
            return {"trace": trace_id(), "header": trace_header()}
    """
    return invoke(source, WARM_UP, *(Invocation(header) for header, _ in CASES.values()))


@pytest.fixture(scope="module")
def bare() -> Outcome:
    """The same without a door: the subsegment has to find the trace by itself."""
    source = """
        from xray_lambda import subsegment, trace_header, trace_id

        def handler(event, context):
            with subsegment("price"):
                return {"trace": trace_id(), "header": trace_header()}
    """
    return invoke(source, *(Invocation(header) for header, _ in CASES.values()))


@pytest.mark.parametrize("case", RECORDED)
def test_a_sampled_invocation_is_recorded_and_goes_on_below_the_handler(decorated: Outcome, case: str) -> None:
    answer = decorated.answers[1 + list(CASES).index(case)]
    document = handled(id="#1", subsegments=[{"name": "price"}])
    assert plain([answer.documents, answer.body]) == [[document], {"trace": ROOT, "header": RECORDED[case][1]}]


@pytest.mark.parametrize("case", PASSED_ON)
def test_any_other_header_records_nothing_and_is_passed_on(decorated: Outcome, case: str) -> None:
    answer = decorated.answers[1 + list(CASES).index(case)]
    header = PASSED_ON[case][1]
    assert answer.documents == []
    assert answer.body == {"trace": header and ROOT, "header": header}


@pytest.mark.parametrize("case", RECORDED)
def test_without_a_door_a_subsegment_finds_the_trace_itself(bare: Outcome, case: str) -> None:
    answer = bare.answers[list(CASES).index(case)]
    document = {"type": "subsegment", "trace_id": ROOT, "parent_id": PARENT, "id": "#1", "name": "price"}
    assert plain([answer.documents, answer.body]) == [[document], {"trace": ROOT, "header": RECORDED[case][1]}]


@pytest.mark.parametrize("case", PASSED_ON)
def test_without_a_door_any_other_header_is_passed_on_too(bare: Outcome, case: str) -> None:
    answer = bare.answers[list(CASES).index(case)]
    header = PASSED_ON[case][1]
    assert answer.documents == []
    assert answer.body == {"trace": header and ROOT, "header": header}


# The same trace again with something changed is another invocation: a retry, a loop, another branch of a workflow.
SEQUENCE = (
    Invocation(SAMPLED),
    Invocation(SAMPLED.replace(PARENT, PARENT_2)),
    Invocation(UNSAMPLED.replace(PARENT, PARENT_2)),
    Invocation(SAMPLED.replace(PARENT, PARENT_2)),
    Invocation(UNSAMPLED.replace(PARENT, PARENT_2)),
    Invocation(None),
    Invocation(SAMPLED),
)
PARENTS = [PARENT, PARENT_2, None, PARENT_2, None, None, PARENT]

LEAKY = """
    from xray_lambda import subsegment, trace_header, traced_handler

    def leaky(event, context):
        with subsegment("price"):
            pass
        leaked = subsegment("leaked")
        leaked.__enter__()
        return trace_header()
"""
_PRICE = [{"name": "price"}]
LEAKY_DOCUMENTS = [
    [cold("leaky", subsegments=_PRICE)],
    *([handled("leaky", parent_id=one, subsegments=_PRICE)] if one else [] for one in PARENTS[1:]),
]


def test_without_a_door_nothing_of_an_earlier_invocation_is_left() -> None:
    outcome = invoke(LEAKY + "    handler = leaky", *SEQUENCE)
    expected = [
        [{"type": "subsegment", "trace_id": ROOT, "parent_id": parent, "name": "price"}] if parent else []
        for parent in PARENTS
    ]
    assert [plain(answer.documents) for answer in outcome.answers] == expected
    headers = [body and body.rpartition(";")[2] for body in outcome.bodies]
    assert headers == ["Sampled=1", "Sampled=1", "Sampled=0", "Sampled=1", "Sampled=0", None, "Sampled=1"]


def test_behind_the_door_nothing_of_an_earlier_invocation_is_left() -> None:
    outcome = invoke(LEAKY + "    handler = traced_handler(leaky)", *SEQUENCE)
    assert [plain(answer.documents) for answer in outcome.answers] == LEAKY_DOCUMENTS


def test_the_door_does_not_open_into_what_leaked_in_front_of_it() -> None:
    source = """
    inner = traced_handler(leaky)

    def handler(event, context):
        inner(event, context)
        subsegment("leaked outside").__enter__()
    """
    outcome = invoke(LEAKY + source, *SEQUENCE)
    assert [plain(answer.documents) for answer in outcome.answers] == LEAKY_DOCUMENTS


def test_a_subsegment_that_another_invocation_ends_stays_in_its_own_trace() -> None:
    source = """
        import threading
        from xray_lambda import bind, subsegment, traced_handler

        opened, proceed, threads = threading.Event(), threading.Event(), []

        def work():
            with subsegment("late"):
                opened.set()
                proceed.wait(20)
            with subsegment("later still"):
                pass

        @traced_handler
        def handler(event, context):
            if event == "start":
                threads.append(threading.Thread(target=bind(work)))
                threads[0].start()
                opened.wait(20)
            else:
                proceed.set()
                threads[0].join()
    """
    other = Invocation(SAMPLED.replace(ROOT, f"{ROOT[:-1]}4").replace(PARENT, PARENT_2))
    outcome = invoke(source, Invocation(event="start"), other)
    late = {"type": "subsegment", "trace_id": ROOT, "parent_id": "#1"}
    assert plain([answer.documents for answer in outcome.answers]) == [
        [cold(id="#1")],
        [
            {**late, "name": "late"},
            {**late, "name": "later still"},
            handled(trace_id=f"{ROOT[:-1]}4", parent_id=PARENT_2),
        ],
    ]


@pytest.mark.parametrize("wanted", ["LOG_ERROR", "RUNTIME_ERROR"])
def test_code_at_import_time_is_silently_not_traced(wanted: str) -> None:
    source = """
        from xray_lambda import annotate, current_segment, metadata, subsegment, trace_header, traced, traced_handler

        @traced
        def settings():
            annotate(colour="green")
            metadata(colour="green")
            current_segment().annotate(colour="green")
            return trace_header()

        with subsegment("at import") as sub:
            sub.annotate(colour="green")
            found = settings()

        @traced_handler
        def handler(event, context):
            settings()
            return found
    """
    outcome = invoke(source, Invocation(), env={"AWS_XRAY_CONTEXT_MISSING": wanted})
    settings = {"name": "settings", "annotations": {"colour": "green"}, "metadata": {"default": {"colour": "green"}}}
    document = cold(annotations={"colour": "green"}, subsegments=[settings])
    assert plain(outcome.documents) == [document]
    assert (outcome.bodies, outcome.stdout) == ([None], "")
