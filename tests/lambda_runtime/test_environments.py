"""Environments of every kind: which start is a cold one, SnapStart's copies, managed instances' worker processes."""

from __future__ import annotations

import os

import pytest

from tests.emitters.daemon import Document
from tests.lambda_runtime.documents import cold, handled, plain
from tests.lambda_runtime.runtime import RUNTIME_CLIENT, invoke
from tests.lambda_runtime.runtime_api import ROOT, SAMPLED, Invocation
from xray_lambda import traced_handler
from xray_lambda.testing import capture

HANDLER = """
    import os
    from xray_lambda import subsegment, traced_handler

    @traced_handler
    def handler(event, context):
        with subsegment("price"):
            return os.getpid()
"""
PRICE = [{"name": "price"}]


def ids_of(documents: list[Document]) -> list[str]:
    """Return the ids of documents and of all below them."""
    below = [one for document in documents for one in ids_of(document.get("subsegments", []))]
    return [document["id"] for document in documents] + below


def test_an_environments_first_invocation_is_a_cold_start() -> None:
    outcome = invoke(HANDLER, Invocation(), Invocation(), Invocation())
    assert plain(outcome.documents) == [cold(subsegments=PRICE), *[handled(subsegments=PRICE)] * 2]


def test_an_invocation_that_is_not_sampled_is_a_cold_start_too() -> None:
    outcome = invoke(HANDLER, Invocation(SAMPLED.replace("Sampled=1", "Sampled=0")), Invocation())
    assert plain(outcome.documents) == [handled(subsegments=PRICE)]


@pytest.mark.parametrize("kind", ["provisioned-concurrency", "snap-start", "lambda-managed-instances"])
def test_no_user_waited_for_an_environment_that_was_made_beforehand(kind: str) -> None:
    outcome = invoke(HANDLER, Invocation(), Invocation(), env={"AWS_LAMBDA_INITIALIZATION_TYPE": kind})
    assert plain(outcome.documents) == [handled(subsegments=PRICE)] * 2
    assert outcome.restored == (kind == "snap-start")


RESTORED = """
    import os
    from snapshot_restore_py import register_after_restore, register_before_snapshot
    from xray_lambda import subsegment, trace_header, traced_handler
    from xray_lambda import _ids, _recorder

    seen = []

    @traced_handler
    def handler(event, context):
        with subsegment("price"):
            return [seen, len(_ids._block)]

    def prime():
        seen.append(trace_header())
        handler({}, None)
        os.environ["_X_AMZN_TRACE_ID"] = HEADER
        handler({}, None)
        del os.environ["_X_AMZN_TRACE_ID"]

    @register_after_restore
    def restored():
        emitter = _recorder.active().emitter
        os.dup2(os.open(os.devnull, os.O_WRONLY), emitter._socket.fileno())
        seen.append(trace_header())

    register_before_snapshot(prime)
"""


def test_a_restored_environment_sends_on_a_new_socket_and_draws_fresh_ids() -> None:
    """A snapshot keeps what was read ahead and the number of a socket, which may be something else's afterwards."""
    source = RESTORED.replace("HEADER", repr(SAMPLED.replace(ROOT, f"{ROOT[:-1]}4")))
    env = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    outcome = invoke(source, Invocation(), Invocation(), env=env, primes=True)
    assert outcome.bodies == [[[None, None], 0]] * 2
    primed, *documents = plain([outcome.primed, *(answer.documents for answer in outcome.answers)])
    assert primed == [handled(trace_id=f"{ROOT[:-1]}4", subsegments=PRICE)]
    assert documents == [[handled(subsegments=PRICE)]] * 2


# Some versions of the runtime client load the handler before they fork: so they inherit ids read ahead, and a socket.
PRIMED = f"""{HANDLER}
    os.environ["_X_AMZN_TRACE_ID"] = "{SAMPLED}"
    handler({{}}, None)
    del os.environ["_X_AMZN_TRACE_ID"]
"""
LOADED_FIRST = ("-c", "import app; from awslambdaric.__main__ import main; main(['', 'app.handler'])")


@pytest.mark.parametrize(("source", "command"), [(HANDLER, RUNTIME_CLIENT), (PRIMED, LOADED_FIRST)])
def test_managed_instances_run_workers_that_share_nothing(source: str, command: tuple[str, ...]) -> None:
    roots = [f"{ROOT[:-1]}{number}" for number in range(4, 10)]
    invocations = [Invocation(SAMPLED.replace(ROOT, root)) for root in roots]
    outcome = invoke(source, *invocations, env={"AWS_LAMBDA_MAX_CONCURRENCY": "2"}, workers=2, command=command)
    assert [plain(answer.documents) for answer in outcome.answers] == [
        [handled(trace_id=root, subsegments=PRICE)] for root in roots
    ]
    assert len(set(outcome.bodies)) == 2
    assert len(set(ids_of(outcome.documents))) == 2 * len(roots)


@traced_handler
def traced(event: object, context: object) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("environ", "was_cold"),
    [
        ({}, True),
        ({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}, True),
        ({"AWS_LAMBDA_INITIALIZATION_TYPE": "something new"}, False),
        ({"AWS_LAMBDA_MAX_CONCURRENCY": "16"}, False),
    ],
)
def test_only_an_environment_made_on_demand_starts_cold(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], was_cold: bool
) -> None:
    for name, value in environ.items():
        monkeypatch.setitem(os.environ, name, value)
    with capture() as traces:
        traced({}, None)
        traced({}, None)
    assert [root.annotations for root in traces.roots] == [{"ColdStart": was_cold}, {"ColdStart": False}]
