"""`xray-lambda invoke` runs handlers in the real runtime client and shows what X-Ray would see."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.commands import PATIENCE, run, run_json, run_on_terminal, start, write_app

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
HEADER = f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"

NESTED = """
    @traced_handler
    def handler(event, context):
        with subsegment("price") as price:
            price.annotate(order=event["id"])
            with subsegment("tax"):
                pass
        return {"order": event["id"]}
"""


def test_the_result_and_the_documents_are_one_json_object(tmp_path: Path) -> None:
    write_app(tmp_path, NESTED)
    (tmp_path / "event.json").write_text('{"id": 7}')
    code, said = run_json("invoke", "app.handler", "--event", "event.json", "--header", HEADER, cwd=tmp_path)
    assert code == 0
    assert list(said) == ["result", "error", "trace_id", "documents"]
    assert (said["result"], said["error"], said["trace_id"]) == ({"order": 7}, None, ROOT)
    [document] = said["documents"]
    assert (document["name"], document["parent_id"]) == ("handler", "53995c3f42cd8ad8")
    assert document["subsegments"][0]["annotations"] == {"order": 7}


def test_the_tree_follows_the_result(tmp_path: Path) -> None:
    write_app(tmp_path, NESTED)
    done = run("invoke", "app.handler", "--event", "-", "--function-name", "till", cwd=tmp_path, stdin='{"id": 7}')
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[0].startswith("app.handler returned in ")
    assert lines[1:4] == ["{", '  "order": 7', "}"]
    assert lines[5].endswith(", 1 document:")
    tree = [line.split("█")[0].rstrip() for line in lines[6:]]
    assert tree == [
        "till  (in place of Lambda's own segment)",
        "└─ handler",
        "   │  ColdStart=true",
        "   └─ price",
        "      │  order=7",
        "      └─ tax",
    ]
    assert all(line.endswith(" ms") for line in lines[6:] if "█" in line)


def test_logs_go_to_standard_error_and_the_answer_to_standard_output(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        """
        import logging, sys
        def handler(event, context):
            print("printed")
            print("complained", file=sys.stderr)
            logging.warning("warned")
        """,
    )
    done = run("invoke", "app.handler", cwd=tmp_path)
    assert [word for word in ("printed", "complained", "warned") if word in done.stderr] == [
        "printed",
        "complained",
        "warned",
    ]
    assert "printed" not in done.stdout
    assert done.stdout.splitlines()[1] == "null"


def test_a_failing_function_shows_its_innermost_frame_and_exits_1(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        """
        @traced_handler
        def handler(event, context):
            with subsegment("charge"):
                ask_bank()

        def ask_bank():
            raise PermissionError("card declined")
        """,
    )
    done = run("invoke", "app.handler", cwd=tmp_path)
    assert done.returncode == 1
    assert "PermissionError: card declined" in done.stdout.splitlines()[1]
    assert "✗ PermissionError: card declined" in done.stdout
    assert "app.py:9 in ask_bank" in done.stdout
    assert '✗ PermissionError, as shown at "charge"' in done.stdout
    assert "Traceback (most recent call last):\n  File " in done.stderr


def test_the_error_is_given_as_the_runtime_posted_it(tmp_path: Path) -> None:
    write_app(tmp_path, "def handler(event, context): raise LookupError('no such order')")
    code, said = run_json("invoke", "app.handler", cwd=tmp_path)
    assert code == 1
    assert said["result"] is None
    assert (said["error"]["errorType"], said["error"]["errorMessage"]) == ("LookupError", "no such order")


def test_the_function_finds_what_lambda_would_give_it(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        """
        import os, sys
        def handler(event, context):
            return {
                "environment": dict(os.environ),
                "function": context.function_name,
                "arn": context.invoked_function_arn,
                "request": context.aws_request_id,
                "tenant": context.tenant_id,
                "remaining": context.get_remaining_time_in_millis(),
                "runtime": sys.modules["__main__"].__package__,
            }
        """,
    )
    options = ("--function-name", "till", "--tenant-id", "blue", "--header", HEADER, "--env", "TABLE=a=b")
    _, said = run_json("invoke", "app.handler", *options, cwd=tmp_path, AWS_REGION="eu-central-1")
    found = said["result"]
    inside = found["environment"]
    assert found["runtime"] == "awslambdaric"
    assert (found["function"], found["tenant"]) == ("till", "blue")
    assert found["arn"] == "arn:aws:lambda:eu-central-1:123456789012:function:till"
    assert found["request"] in inside["AWS_LAMBDA_LOG_STREAM_NAME"]
    assert 25_000 < found["remaining"] <= 30_000
    assert inside["_X_AMZN_TRACE_ID"] == HEADER
    assert inside["AWS_EXECUTION_ENV"] == f"AWS_Lambda_python3.{sys.version_info.minor}"
    assert inside["LAMBDA_TASK_ROOT"] == str(tmp_path.resolve())
    assert inside["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert inside["AWS_XRAY_CONTEXT_MISSING"] == "LOG_ERROR"
    assert inside["_HANDLER"] == "app.handler"
    assert inside["TABLE"] == "a=b"


def test_settings_of_another_kind_of_lambda_are_not_inherited(tmp_path: Path) -> None:
    write_app(tmp_path, NESTED)
    settings = {"AWS_LAMBDA_MAX_CONCURRENCY": "4", "_X_AMZN_TRACE_ID": "Root=1-0-0", "PYTHONSAFEPATH": "1"}
    code, said = run_json("invoke", "app.handler", "--env", "X=1", cwd=tmp_path, **settings)
    assert (code, said["error"]["errorType"]) == (1, "KeyError")


def test_a_handler_in_another_directory_and_in_a_package_is_found(tmp_path: Path) -> None:
    (tmp_path / "services/shop").mkdir(parents=True)
    (tmp_path / "services/shop/orders.py").write_text("def handler(event, context): return 'from the package'")
    code, said = run_json("invoke", "shop/orders.handler", "--directory", "services", cwd=tmp_path)
    assert (code, said["result"]) == (0, "from the package")


def test_documents_sent_by_themselves_are_joined_to_the_tree(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        """
        @traced_handler
        def handler(event, context):
            with subsegment("many"):
                for number in range(600):
                    with subsegment(f"child {number}") as child:
                        child.metadata(padding="x" * 300)
        """,
    )
    _, said = run_json("invoke", "app.handler", cwd=tmp_path)
    assert len(said["documents"]) > 2
    done = run("invoke", "app.handler", cwd=tmp_path)
    names = [line.split("─ ")[1].split("█")[0].strip() for line in done.stdout.splitlines() if "─ " in line]
    assert names == ["handler", "many", *(f"child {number}" for number in range(600))]
    assert "never came" not in done.stdout


def test_a_datagram_that_is_no_document_is_told_of(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        """
        import os, socket
        def handler(event, context):
            host, port = os.environ["AWS_XRAY_DAEMON_ADDRESS"].split(":")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.sendto(b"garbage", (host, int(port)))
        """,
    )
    done = run("invoke", "app.handler", cwd=tmp_path)
    assert done.returncode == 0
    assert "dropped, as the daemon would drop it (1 x): it does not begin with the line" in done.stderr


def test_a_document_cannot_steer_the_terminal(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        r"""
        @traced_handler
        def handler(event, context):
            with subsegment("a") as sub:
                sub.annotate(evil="\x1b]0;owned\x07\x9b31m\u202e", both="two\nlines")
            raise ValueError("\x1b[2J")
        """,
    )
    done = run("invoke", "app.handler", cwd=tmp_path)
    assert "evil=]0;owned31m  both=two lines" in done.stdout
    assert done.stdout.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("import sys; sys.exit(3)", 1, "the function's process exited with code 3 before the handler returned"),
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", 1, "was killed by SIGKILL before the handler"),
        ("import time; time.sleep(600)", 124, "timed out after 1 s, before the handler returned"),
    ],
)
def test_a_function_that_ends_without_an_answer_still_shows_what_it_sent(
    tmp_path: Path, body: str, code: int, words: str
) -> None:
    write_app(
        tmp_path,
        f"""
        import os, socket
        def handler(event, context):
            host, port = os.environ["AWS_XRAY_DAEMON_ADDRESS"].split(":")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                header = b'{{"format": "json", "version": 1}}'
                out.sendto(header + b'\\n{{"id": "1", "name": "last words", "in_progress": true}}', (host, int(port)))
            {body}
        """,
    )
    done = run("invoke", "app.handler", "--timeout", "1", cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stdout
    assert "last words  in progress" in done.stdout


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        ("raise RuntimeError('no table')", 1, "RuntimeError: no table"),
        ("import sys; sys.exit(5)", 1, "exited with code 5 while it was importing the handler's module"),
        ("import time; time.sleep(600)", 124, "timed out after 1 s, while it was importing"),
        ("def handler(:", 1, "Runtime.UserCodeSyntaxError: Syntax error in module 'app'"),
        ("pass", 2, "app.handler could not be loaded: Handler 'handler' missing on module 'app'"),
        ("import nowhere", 2, "could not be loaded: Unable to import module 'app': No module named 'nowhere'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_of(tmp_path: Path, code: str, exit_code: int, words: str) -> None:
    (tmp_path / "app.py").write_text(code)
    done = run("invoke", "app.handler", "--timeout", "1", cwd=tmp_path)
    assert done.returncode == exit_code
    assert words in done.stdout
    assert "No document arrived: the handler was never called." in done.stdout
    assert "LAMBDA_WARNING" not in done.stderr


PLAIN = "def handler(event, context): return 1"
DECORATED = "@traced_handler\ndef handler(event, context): return 1"


@pytest.mark.parametrize(
    ("code", "options", "why"),
    [
        (PLAIN, (), "is the handler decorated with @traced_handler"),
        (DECORATED, ("--header", HEADER.replace("Sampled=1", "Sampled=0")), "the trace header says Sampled=0"),
        (DECORATED, ("--header", f"Root={ROOT}"), "the trace header lacks a valid Root or Parent"),
        (DECORATED, ("--header", ""), "the trace header lacks a valid Root or Parent"),
        (DECORATED, ("--env", "AWS_XRAY_SDK_ENABLED=false"), "AWS_XRAY_SDK_ENABLED switches tracing off"),
    ],
)
def test_where_no_document_arrived_the_likely_reason_is_given(
    tmp_path: Path, code: str, options: tuple[str, ...], why: str
) -> None:
    write_app(tmp_path, code)
    done = run("invoke", "app.handler", *options, cwd=tmp_path)
    assert done.returncode == 0
    assert f"No document arrived: {why}" in done.stdout


def test_a_result_that_is_no_json_is_shown_as_text(tmp_path: Path) -> None:
    write_app(tmp_path, r"def handler(event, context): return b'\xff<html>'")
    code, said = run_json("invoke", "app.handler", cwd=tmp_path)
    assert (code, said["result"]) == (0, "\ufffd<html>")


def test_a_long_result_is_cut_for_people_and_whole_for_programs(tmp_path: Path) -> None:
    write_app(tmp_path, "def handler(event, context): return list(range(1000))")
    done = run("invoke", "app.handler", cwd=tmp_path)
    assert "... and 962 more lines; --json prints them all" in done.stdout
    assert run_json("invoke", "app.handler", cwd=tmp_path)[1]["result"] == list(range(1000))


def test_colours_show_on_a_terminal_only(tmp_path: Path) -> None:
    write_app(tmp_path, NESTED)
    assert "\x1b[" in run_on_terminal("invoke", "app.handler", cwd=tmp_path)
    assert "\x1b[" not in run_on_terminal("invoke", "app.handler", cwd=tmp_path, NO_COLOR="1")
    assert "\x1b[" not in run("invoke", "app.handler", cwd=tmp_path).stdout
    assert "\x1b[" in run("invoke", "app.handler", cwd=tmp_path, FORCE_COLOR="1").stdout


WAITS = """
    import os, signal
    def handler(event, context):
        print("pid", os.getpid(), flush=True)
        signal.pause()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_being_interrupted_ends_the_function_too_without_a_traceback(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    write_app(tmp_path, WAITS)
    with start("invoke", "app.handler", cwd=tmp_path) as command:
        assert command.stderr
        pid = int(command.stderr.readline().split()[1])
        command.send_signal(number)
        out, err = command.communicate(timeout=PATIENCE)
    assert (command.returncode, out, err) == (code, "", "")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nothing_that_the_function_started_is_left_behind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "held")
    reading = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    write_app(
        tmp_path,
        """
        import subprocess
        def handler(event, context):
            subprocess.Popen(["sh", "-c", "echo held; sleep 600"], stdout=open("held", "wb"), stderr=subprocess.DEVNULL)
        """,
    )
    assert run("invoke", "app.handler", cwd=tmp_path).returncode == 0
    poll = select.poll()
    poll.register(reading, select.POLLHUP)
    assert [event & select.POLLHUP for _, event in poll.poll(PATIENCE * 1000)] == [select.POLLHUP]
    os.close(reading)


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    write_app(tmp_path, "def handler(event, context): return ['x' * 1000] * 1000")
    with start("invoke", "app.handler", "--json", cwd=tmp_path) as command:
        assert command.stdout
        assert command.stderr
        command.stdout.close()
        assert command.stderr.read() == ""
    assert command.returncode == 128 + signal.SIGPIPE


def test_an_event_may_hold_any_json(tmp_path: Path) -> None:
    write_app(tmp_path, "def handler(event, context): return event")
    for event in ('"é\\u0000"', "[1.5, null]", "\ufeff{}"):
        (tmp_path / "event.json").write_text(event, "utf-8")
        _, said = run_json("invoke", "app.handler", "--event", "event.json", cwd=tmp_path)
        assert said["result"] == json.loads(event.removeprefix("\ufeff"))


def test_a_function_that_recurses_for_ever_is_told_like_any_other_error(tmp_path: Path) -> None:
    """The runtime client posts the whole stack in one header, far longer than HTTP servers take."""
    write_app(
        tmp_path,
        """
        @traced_handler
        def handler(event, context):
            return handler.__wrapped__(event, context)
        """,
    )
    code, said = run_json("invoke", "app.handler", cwd=tmp_path)
    assert code == 1
    assert said["error"]["errorType"] == "RecursionError"
    (document,) = said["documents"]
    assert document["cause"]["exceptions"][0]["type"] == "RecursionError"
