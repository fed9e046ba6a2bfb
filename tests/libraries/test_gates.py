"""Gates: a card is loaded when the program comes to use the library, and then its first call is traced already."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from xray_lambda.libraries._gates import stand_before, take_away
from xray_lambda.libraries._patching import raw_attribute, replace, restore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATHS = ("Connection.call", "connect")


@pytest.fixture
def library() -> Iterator[ModuleType]:
    """A library that has been loaded."""

    class Connection:
        def call(self, number: int) -> int:
            """Call."""
            return number

        @classmethod
        def made(cls) -> Connection:
            return cls()

    def connect() -> Connection:
        return Connection()

    module = ModuleType("some_library")
    vars(module).update(Connection=Connection, connect=connect)
    yield module
    take_away(module, PATHS)


def louder(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: f"{original(*args)}!"


def test_the_first_call_puts_the_card_on_and_goes_through_it(library: Any) -> None:
    opened = []

    def go_on() -> None:
        opened.append(True)
        replace(library.Connection, "call", louder)

    before = vars(library.Connection)["call"]
    connection = library.Connection()
    assert stand_before(library, PATHS, "", go_on)
    assert opened == []
    assert (connection.call.__name__, connection.call.__doc__) == ("call", "Call.")
    assert [connection.call(1), connection.call(2), opened] == ["1!", "2!", [True]]
    restore(library.Connection, "call")
    assert vars(library.Connection)["call"] is before


def test_either_gate_opens_all_of_them(library: Any) -> None:
    opened = []
    connect = library.connect
    assert stand_before(library, PATHS, "", lambda: opened.append(True))
    library.connect()
    assert library.connect is connect
    assert library.Connection().call(3) == 3
    assert opened == [True]


def test_gates_that_are_taken_away_leave_nothing_behind(library: Any) -> None:
    before = {path: raw_attribute(library.Connection, "call") if "." in path else library.connect for path in PATHS}
    stand_before(library, PATHS, "", lambda: pytest.fail("it was not called"))
    take_away(library, PATHS)
    take_away(library, PATHS)
    assert (vars(library.Connection)["call"], library.connect) == (before["Connection.call"], before["connect"])


@pytest.mark.parametrize("paths", [("Connection.gone",), ("Gone.call",), ("connect", "Connection.made")])
def test_what_cannot_be_gated_is_told_and_none_of_it_is(paths: tuple[str, ...], library: Any) -> None:
    before = library.connect
    assert stand_before(library, paths, "", lambda: None) is False
    assert library.connect is before


def test_a_gate_that_somebody_wrapped_opens_once_and_calls_what_it_stood_before(library: Any) -> None:
    opened = []

    def go_on() -> None:
        opened.append(True)
        replace(library, "connect", louder)

    stand_before(library, PATHS, "", go_on)
    gate = library.connect
    library.connect = lambda: ["theirs", gate()]
    first, second = library.connect(), library.connect()
    assert opened == [True]
    assert first[0] == "theirs"
    assert str(second).startswith("['theirs', <")


def test_replacing_what_a_gate_stands_before_opens_it(library: Any) -> None:
    opened = []
    stand_before(library, PATHS, "", lambda: opened.append(True))
    replace(library.Connection, "call", louder)
    assert (opened, library.Connection().call(1)) == ([True], "1!")
    restore(library.Connection, "call")
    assert library.Connection().call(1) == 1


def test_a_fault_of_the_card_leaves_the_call_as_it_was(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from xray_lambda import _guard

    monkeypatch.setattr(_guard, "strict", False)

    def fail() -> None:
        raise RuntimeError

    stand_before(library, PATHS, "", fail)
    assert [library.Connection().call(1), library.Connection().call(2)] == [1, 2]


def test_other_threads_wait_until_the_card_is_on(library: Any) -> None:
    """None of their calls goes by untraced."""
    inside = threading.Event()
    others: list[threading.Thread] = []

    def go_on() -> None:
        inside.set()
        while not others[0].is_alive():
            pass
        replace(library, "connect", louder)

    def call_too() -> None:
        inside.wait(10)
        answers.append(library.connect())

    stand_before(library, PATHS, "", go_on)
    answers: list[object] = []
    others.append(threading.Thread(target=call_too))
    others[0].start()
    answers.append(library.connect())
    others[0].join()
    assert all(str(answer).endswith("!") for answer in answers)
    assert len(answers) == 2


def loaded_by(program: str) -> list[str]:
    """Run a program in a fresh interpreter; return the cards that it has loaded."""
    start = "import json, sys\nimport http.client, sqlite3, threading, botocore.session, urllib3\n"
    start += "from xray_lambda import patch_all, subsegment\nfrom xray_lambda.testing import capture\npatch_all()\n"
    end = "\nprint(json.dumps(sorted(m[22:] for m in sys.modules if m.startswith('xray_lambda.libraries.'))))"
    done = subprocess.run([sys.executable, "-c", start + program + end], capture_output=True, text=True, check=True)
    return [name for name in json.loads(done.stdout.splitlines()[-1]) if not name.startswith("_")]


def test_libraries_that_are_loaded_but_not_used_cost_no_card() -> None:
    assert loaded_by("") == []


def test_a_library_in_use_has_its_card_and_what_it_calls_itself_has_none() -> None:
    program = """
session = botocore.session.get_session()
account = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "eu-west-1"}
client = session.create_client("sqs", endpoint_url="http://127.0.0.1:9", **account)
with capture() as traces, subsegment("handler"):
    try:
        client.list_queues()
    except botocore.exceptions.EndpointConnectionError:
        pass
assert traces.find("SQS")
"""
    assert loaded_by(program) == ["botocore"]


def test_threads_and_databases_are_traced_from_their_first_use() -> None:
    program = """
def work():
    sqlite3.connect(":memory:").execute("SELECT 1")
with capture() as traces, subsegment("handler"):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
assert traces.one.names() == ("handler", [(":memory:", [])]), traces
"""
    assert loaded_by(program) == ["sqlite3", "threads"]
