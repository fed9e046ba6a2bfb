"""How an invocation went: follows what the function's process does, and says how it ended."""

from __future__ import annotations

import queue
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

from xray_lambda.cli import interrupts, process, receiver, runtime_api
from xray_lambda.cli.runtime_api import Happening

if TYPE_CHECKING:
    from xray_lambda.cli.receiver import Document
    from xray_lambda.cli.request import Request

ANSWERED, FAILED, NOT_SET_UP, TIMED_OUT = 0, 1, 2, 124

# Lambda's own words for a process that did not get to answer.
TIMEOUT, EXIT = "Sandbox.Timedout", "Runtime.ExitError"
STOPPED = frozenset((TIMEOUT, EXIT))

# The runtime client found no handler to call: that is for the caller of this command to put right.
_NO_HANDLER = frozenset(
    (
        "Runtime.BuiltInModuleConflict",
        "Runtime.HandlerNotFound",
        "Runtime.ImportModuleError",
        "Runtime.MalformedHandlerName",
    )
)


class Outcome(NamedTuple):
    """The end of one invocation: its result or its error, when its process was launched, its handler called
    (`started`) and it was over, the documents that arrived, and why other datagrams were none.
    """

    exit_code: int
    result: object
    error: dict[str, object] | None
    launched: float
    started: float | None
    ended: float
    documents: list[Document]
    refusals: list[str]


def invoke(request: Request) -> Outcome:
    """Run one invocation in the real runtime client and return how it ended."""
    process.require_runtime_client()
    happenings: queue.SimpleQueue[Happening] = queue.SimpleQueue()
    invocation = runtime_api.Invocation(request.event, _headers(request), request.timeout)
    launched = time.time()
    with (
        interrupts.told(lambda number: happenings.put(Happening("interrupt", time.time(), exit_code=number))),
        receiver.open_mailbox() as mailbox,
        runtime_api.serve(invocation, happenings.put) as address,
        process.run_function(request, address, mailbox.port, happenings.put),
    ):
        story = _follow(happenings, request.timeout)
    if story[-1].kind == "interrupt":
        raise interrupts.Interrupted(story[-1].exit_code)
    return _outcome(request, story, launched, *receiver.read_documents(mailbox.datagrams))


def _headers(request: Request) -> dict[str, str]:
    region = process.region(process.lambda_environment(request, "", 0))
    arn = f"arn:aws:lambda:{region}:{process.ACCOUNT}:function:{request.function_name}"
    headers = {
        "Lambda-Runtime-Aws-Request-Id": request.request_id,
        "Lambda-Runtime-Invoked-Function-Arn": arn,
    }
    if request.trace_header:
        headers["Lambda-Runtime-Trace-Id"] = request.trace_header
    if request.tenant_id is not None:
        headers["Lambda-Runtime-Aws-Tenant-Id"] = request.tenant_id
    return headers


def _follow(happenings: queue.SimpleQueue[Happening], timeout: float) -> list[Happening]:
    """Wait until the invocation is over; importing and calling may each take `timeout` seconds."""
    story: list[Happening] = []
    deadline = time.monotonic() + timeout
    while not _over(story):
        try:
            story.append(happenings.get(timeout=max(deadline - time.monotonic(), 0)))
        except queue.Empty:
            story.append(Happening("timeout", time.time()))
        if story[-1].kind == "next":
            deadline = time.monotonic() + timeout
    return story


def _over(story: list[Happening]) -> bool:
    kinds = [happening.kind for happening in story]
    return kinds.count("next") > 1 or any(kind in ("exit", "timeout", "interrupt", "init error") for kind in kinds)


def _outcome(
    request: Request, story: list[Happening], launched: float, documents: list[Document], refusals: list[str]
) -> Outcome:
    by_kind = {happening.kind: happening for happening in reversed(story)}
    end = next(by_kind[kind] for kind in ("response", "error", "init error", "exit", "timeout") if kind in by_kind)
    started = by_kind["next"].at if "next" in by_kind else None
    error = _error(request, end, importing=started is None)
    result = _json(end.body) if end.kind == "response" else None
    return Outcome(_exit_code(end, error), result, error, launched, started, end.at, documents, refusals)


def _exit_code(end: Happening, error: dict[str, object] | None) -> int:
    if error is None:
        return ANSWERED
    if end.kind == "timeout":
        return TIMED_OUT
    return NOT_SET_UP if end.kind == "init error" and error.get("errorType") in _NO_HANDLER else FAILED


def _error(request: Request, end: Happening, *, importing: bool) -> dict[str, object] | None:
    if end.kind == "response":
        return None
    if end.kind in ("error", "init error"):
        posted = _json(end.body)
        return posted if isinstance(posted, dict) else {"errorType": "Unknown", "errorMessage": str(posted)}
    doing = "while it was importing the handler's module" if importing else "before the handler returned"
    if end.kind == "timeout":
        return _lambda_error(TIMEOUT, f"timed out after {request.timeout:g} s, {doing}", request)
    return _lambda_error(EXIT, f"the function's process {_exit_words(end.exit_code)} {doing}", request)


def _lambda_error(error_type: str, message: str, request: Request) -> dict[str, object]:
    return {
        "errorType": error_type,
        "errorMessage": message,
        "requestId": request.request_id,
        "stackTrace": [],
    }


def _exit_words(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _json(body: bytes) -> object:
    """Read what was posted; a handler may return bytes that are no JSON, shown as text then."""
    try:
        return receiver.load_json(body)
    except ValueError:
        return body.decode(errors="replace")
