"""Sending without a daemon, whole processes: how they end, are told to end, and fork; what they recorded arrives."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.emitters.programs import ended, names, run, started, terminated, wait_until_ready
from tests.servers.aws import NOTHING, Answer, Service, refusal, service

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full


@pytest.fixture
def x_ray() -> Iterator[Service]:
    with service() as server:
        yield server


@pytest.mark.parametrize(("ending", "code"), [("", 0), ("sys.exit(3)", 3), ("raise KeyboardInterrupt", None)])
def test_what_was_recorded_arrives_however_the_program_ends(x_ray: Service, ending: str, code: int | None) -> None:
    done = run(f"send('a', 'b')\n{ending}", x_ray.url)
    assert names(x_ray) == ["a", "b"], done.said
    assert done.code == code if code is not None else done.code, "Pythons differ in how an interrupt ends them"


def test_flushing_saves_what_os_exit_would_lose(x_ray: Service) -> None:
    done = run("send('a')\nassert flush(20)\nos._exit(4)", x_ray.url)
    assert (done.code, names(x_ray)) == (4, ["a"]), done.said


def test_a_program_that_records_nothing_starts_nothing(x_ray: Service) -> None:
    done = run(
        "import threading; configure(service='x')\n"
        "assert threading.active_count() == 1\n"
        "assert 'botocore' not in sys.modules",
        x_ray.url,
    )
    assert (done.code, x_ray.received) == (0, []), done.said


def test_botocore_is_imported_by_the_thread_and_not_by_the_caller(x_ray: Service) -> None:
    done = run(
        """
import builtins, threading
really, importers = builtins.__import__, set()
def importing(name, *more, **named):
    if name.startswith("botocore"):
        importers.add(threading.current_thread().name)
    return really(name, *more, **named)
builtins.__import__ = importing
send("a")
assert flush(20)
assert importers == {"xray_lambda-direct"}, importers
""",
        x_ray.url,
    )
    assert (done.code, names(x_ray)) == (0, ["a"]), done.said


@pytest.mark.parametrize("answer", [NOTHING, refusal(503, "ServiceUnavailable"), refusal(403, "AccessDeniedException")])
def test_a_program_ends_soon_where_x_ray_does_not_take_what_waits_and_says_so(x_ray: Service, answer: Answer) -> None:
    x_ray.answers[:] = [answer]
    with started("send('a', 'b')\nflush(0.01)\nready()", x_ray.url, XRAY_LAMBDA_EXIT_SECONDS="2") as process:
        wait_until_ready(process)
        start = time.monotonic()
        done = ended(process)
    assert time.monotonic() - start < 10
    assert done.code == 0
    assert "2 documents are lost: the program ended before X-Ray took them" in done.said


def test_sigterm_sends_what_waits_and_ends_the_program_as_it_would_have(x_ray: Service) -> None:
    done = terminated("send('a')\nready()\ntime.sleep(30)", x_ray.url)
    assert (done.code, names(x_ray)) == (-15, ["a"]), done.said


def test_sigterm_is_caught_too_where_the_first_document_comes_from_another_thread(x_ray: Service) -> None:
    program = """
import threading
configure(service="shop")  # the main thread makes the emitter
thread = threading.Thread(target=send, args=("a",))
thread.start()
thread.join()
ready()
time.sleep(30)
"""
    done = terminated(program, x_ray.url)
    assert (done.code, names(x_ray)) == (-15, ["a"]), done.said


def test_a_second_sigterm_does_not_wait(x_ray: Service) -> None:
    x_ray.answers[:] = [NOTHING]
    with started("send('a')\nready()\ntime.sleep(30)", x_ray.url) as process:
        wait_until_ready(process)
        assert x_ray.arrived.wait(30)
        start = time.monotonic()
        process.terminate()
        time.sleep(0.2)  # for the first one to be handled: two that wait are one
        process.terminate()
        assert ended(process).code == -15
    assert time.monotonic() - start < 20, "they are 50 seconds"


OWN_HANDLER = """
def stop(number, frame):
    assert number == signal.SIGTERM and frame is not None
    send("last")
    sys.exit(7)
"""


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_programs_own_handler_of_sigterm_is_called(x_ray: Service, order: str) -> None:
    install = "signal.signal(signal.SIGTERM, stop)"
    lines = [install, "send('a')"] if order == "before" else ["send('a')", install]
    done = terminated("\n".join([OWN_HANDLER, *lines, "ready()", "time.sleep(30)"]), x_ray.url)
    assert (done.code, names(x_ray)) == (7, ["a", "last"]), done.said


def test_a_handler_that_puts_back_what_it_found_and_raises_the_signal_again_ends_the_program(x_ray: Service) -> None:
    program = """
send("a")
found = signal.getsignal(signal.SIGTERM)
def stop(number, frame):
    signal.signal(number, found)
    signal.raise_signal(number)
signal.signal(signal.SIGTERM, stop)
ready()
time.sleep(30)
"""
    done = terminated(program, x_ray.url)
    assert (done.code, names(x_ray)) == (-15, ["a"]), done.said


def test_an_ignored_sigterm_stays_ignored(x_ray: Service) -> None:
    program = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
send("a")
assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
os.kill(os.getpid(), signal.SIGTERM)
send("b")
"""
    done = run(program, x_ray.url)
    assert (done.code, names(x_ray)) == (0, ["a", "b"]), done.said


def test_what_a_handler_of_sigterm_raises_is_the_programs(x_ray: Service) -> None:
    program = """
class Stop(Exception):
    pass
def stop(number, frame):
    raise Stop
signal.signal(signal.SIGTERM, stop)
send("a")
try:
    with segment("b"):
        ready()
        time.sleep(30)
except Stop:
    sys.exit(5)
"""
    done = terminated(program, x_ray.url)
    assert (done.code, names(x_ray)) == (5, ["a", "b"]), done.said


def test_an_event_loop_that_waits_for_sigterm_ends_in_its_own_way(x_ray: Service) -> None:
    program = """
import asyncio
async def main():
    stop = asyncio.Event()
    send("a")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    send("b")
    ready()
    await stop.wait()
    send("c")
asyncio.run(main())
sys.exit(6)
"""
    done = terminated(program, x_ray.url)
    assert (done.code, names(x_ray)) == (6, ["a", "b", "c"]), done.said


def test_workers_forked_from_a_program_that_has_sent_send_their_own_and_nothing_twice(x_ray: Service) -> None:
    program = """
send("master")
for worker in range(3):
    if os.fork() == 0:
        send(*[f"{worker}.{number}" for number in range(20)])
        sys.exit(0)
for _ in range(3):
    assert os.wait()[1] == 0
"""
    done = run(program, x_ray.url)
    assert done.code == 0, done.said
    expected = ["master", *(f"{worker}.{number}" for worker in range(3) for number in range(20))]
    assert sorted(names(x_ray)) == sorted(expected)


def test_a_worker_that_is_told_to_end_sends_what_waits(x_ray: Service) -> None:
    program = """
send("master")
worker = os.fork()
if worker == 0:
    send("worker")
    ready()
    time.sleep(30)
time.sleep(0.01)
assert os.waitpid(worker, 0)[1] == signal.SIGTERM
"""
    with started(program, x_ray.url) as process:
        wait_until_ready(process)
        [worker] = children(process.pid)
        os.kill(worker, signal.SIGTERM)
        done = ended(process)
    assert (done.code, sorted(names(x_ray))) == (0, ["master", "worker"]), done.said


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as listed:  # noqa: PTH123 - no file
        return [int(child) for child in listed.read().split()]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_send_what_waits_at_their_end(x_ray: Service, method: str) -> None:
    program = f"""
import multiprocessing
context = multiprocessing.get_context("{method}")
if __name__ == "__main__":
    send("parent")
    worker = context.Process(target=exec, args=("from xray_lambda import segment\\nwith segment('child'): pass",))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
"""
    done = run(program, x_ray.url)
    assert (done.code, sorted(names(x_ray))) == (0, ["child", "parent"]), done.said


def test_a_child_forked_while_botocore_is_being_imported_can_import_it(x_ray: Service) -> None:
    program = """
send("parent")  # whose thread now imports botocore
time.sleep(0.05)
child = os.fork()
if child == 0:
    signal.alarm(20)
    import botocore.session
    botocore.session.Session().create_client("sqs", region_name="eu-west-1")
    send("child")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    done = run(program, x_ray.url)
    assert (done.code, sorted(names(x_ray))) == (0, ["child", "parent"]), done.said


def test_past_what_holds_forks_up_the_thread_loads_nothing(x_ray: Service) -> None:
    """What it loads later, a fork could come in the midst of; see _loading."""
    program = """
from xray_lambda._emitters import service
before = []
really = service.loading
class Loading(really().__class__):
    def __exit__(self, *error):
        super().__exit__(*error)
        before[:] = sys.modules
service.loading = lambda: Loading(really.__wrapped__, (), {})
xray = service.XRay()
assert xray.put(["{}"]).kind == "sent"
assert before and sorted({*sys.modules} - {*before}) == [], sorted({*sys.modules} - {*before})
"""
    done = run(program, x_ray.url)
    assert done.code == 0, done.said
