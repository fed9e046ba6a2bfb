"""pymongo: each command is one subsegment that tells its name and its collection, and nothing of documents."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
from pymongo import errors, monitoring

from tests.libraries.databases import UNSAMPLED, exact, run_apart
from tests.servers.process import HOST, free_port
from xray_lambda import patch, subsegment, unpatch
from xray_lambda._context import current
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Node, Traces

LISTENERS: Any = monitoring._EventListeners
PATCHED = ["enabled_for_commands", "publish_command_start", "publish_command_success", "publish_command_failure"]
ORIGINALS = {name: vars(LISTENERS)[name] for name in PATCHED}
SECRET = "hunter2-in-a-value"


def told(node: Node) -> Any:
    return node.metadata["mongodb"]


def commands(traces: Traces) -> list[str]:
    return [told(root)["command"] for root in traces.roots]


@pytest.fixture
def client(mongo_port: int) -> Iterator[Any]:
    """A connected client; the collection of orders is empty."""
    made: Any = pymongo.MongoClient(HOST, mongo_port)
    made.shop.orders.drop()
    patch("pymongo")
    yield made
    made.close()


def test_a_command_is_a_remote_subsegment_that_tells_its_name_and_collection(client: Any, mongo_port: int) -> None:
    with exact() as traces, subsegment("handler"):
        client.shop.orders.insert_one({"_id": SECRET, "name": SECRET})
        assert client.shop.orders.find_one({"name": SECRET}) == {"_id": SECRET, "name": SECRET}
    [document] = traces.documents
    assert document["subsegments"] == [
        {
            "name": f"shop@{HOST}:{mongo_port}",
            "id": f"000000000000000{number}",
            "start_time": 1700000000 + start / 1000,  # two looks more, to choose a server and a connection
            "end_time": 1700000000 + (start + 1) / 1000,
            "namespace": "remote",
            "metadata": {"mongodb": {"command": command, "collection": "orders"}},
        }
        for number, start, command in ((2, 3, "insert"), (3, 7, "find"))
    ]


def test_every_operation_is_recorded_and_reading_on_too(client: Any, xray: Traces) -> None:
    orders = client.shop.orders
    orders.insert_many([{"_id": number} for number in range(5)])
    assert [one["_id"] for one in orders.find({}, batch_size=2)] == [0, 1, 2, 3, 4]
    orders.update_one({"_id": 0}, {"$set": {"name": SECRET}})
    assert orders.count_documents({"name": SECRET}) == 1
    orders.bulk_write([pymongo.InsertOne({"_id": 9}), pymongo.DeleteOne({"_id": 0})])
    found = [(told(root)["command"], told(root)["collection"], root.name.partition("@")[0]) for root in xray.roots]
    names = ["insert", "find", "getMore", "getMore", "update", "aggregate", "insert", "delete"]
    assert found == [(name, "orders", "shop") for name in names]
    assert SECRET not in str(xray.documents)


def test_siblings_do_not_nest_and_nothing_is_left_current(client: Any, xray: Traces) -> None:
    with subsegment("handler") as handler:
        rows = client.shop.orders.find()
        with subsegment("between"):
            list(rows)
        client.shop.orders.find_one()
        assert current.get() is handler
    assert xray.one.names() == (
        "handler",
        [("between", [(xray.one.children[1].name, [])]), (xray.one.children[1].name, [])],
    )


def test_a_write_that_waits_for_no_answer_is_recorded(client: Any, xray: Traces) -> None:
    silent = client.shop.orders.with_options(write_concern=pymongo.WriteConcern(w=0))
    silent.insert_one({"_id": 1})
    assert (commands(xray), xray.one.flags) == (["insert"], set())


@pytest.mark.skipif(pymongo.version_tuple < (4, 9), reason="4.9 brought bulk writes of clients")
def test_a_client_s_bulk_write_is_one_subsegment(client: Any, xray: Traces) -> None:
    client.bulk_write([pymongo.InsertOne({"_id": n, "name": SECRET}, namespace="shop.orders") for n in range(3)])
    assert commands(xray) == ["bulkWrite"]
    assert SECRET not in str(xray.documents)


def test_a_value_that_stands_for_a_collection_is_not_told(client: Any, xray: Traces) -> None:
    with pytest.raises(errors.OperationFailure):
        client.admin.command("usersInfo", SECRET)
    assert told(xray.one) == {"command": "usersInfo"}
    assert SECRET not in str(xray.documents)


def test_a_violated_constraint_is_a_fault_with_its_number(client: Any, xray: Traces) -> None:
    client.shop.orders.insert_one({"_id": SECRET})
    with pytest.raises(errors.DuplicateKeyError, match=SECRET):
        client.shop.orders.insert_one({"_id": SECRET})
    assert [root.flags for root in xray.roots] == [set(), {"fault"}]
    assert told(xray.roots[1])["write_errors"] == [11000]
    assert SECRET not in str(xray.documents)


def test_a_failing_command_is_a_fault_with_its_exception_and_without_the_reply(client: Any, xray: Traces) -> None:
    with pytest.raises(errors.OperationFailure, match=SECRET) as caught, subsegment("handler"):
        client.shop.orders.find_one({"$nonsense": SECRET})
    [call] = xray.one.children
    assert call.flags == {"fault"}
    assert call.exceptions[0]["type"] == "pymongo.errors.OperationFailure"
    assert call.exceptions[0]["message"] == "unknown top level operator in ?"
    assert xray.one.document["cause"] == call.exceptions[0]["id"]
    assert caught.value.code == 2
    assert SECRET not in str(xray.documents)


def test_where_no_server_answers_the_attempt_is_a_fault(xray: Traces) -> None:
    patch("pymongo")
    port = free_port()
    client: Any = pymongo.MongoClient(
        f"mongodb://someone:{SECRET}@{HOST}:{port}/?serverSelectionTimeoutMS=100&appName={SECRET}"
    )
    with pytest.raises(errors.ServerSelectionTimeoutError, match="Connection refused"):
        client.shop.orders.find_one()
    client.close()
    assert (xray.one.name, xray.one.flags) == (f"mongodb@{HOST}:{port}", {"fault"})
    assert xray.one.exceptions[0]["type"] == "pymongo.errors.ServerSelectionTimeoutError"
    assert xray.one.duration >= 0.09
    assert SECRET not in str(xray.documents)


def test_connecting_is_a_subsegment_with_what_belongs_to_it_and_heartbeats_are_none(
    mongo_port: int, xray: Traces
) -> None:
    patch("pymongo", "threads")
    with subsegment("handler"):
        client: Any = pymongo.MongoClient(HOST, mongo_port, heartbeatFrequencyMS=500)
        client.shop.orders.find_one()
        client.shop.orders.find_one()
        client.close()
    assert [told(child)["command"] for child in xray.one.children] == ["connect", "find", "find", "endSessions"]
    assert xray.one.children[0].name == f"mongodb@{HOST}:{mongo_port}"


def test_a_wrong_password_is_a_fault_of_connecting_and_stays_secret(mongo_port: int, xray: Traces) -> None:
    patch("pymongo")
    client: Any = pymongo.MongoClient(HOST, mongo_port, username="someone", password=SECRET)
    with pytest.raises(errors.OperationFailure, match="Authentication failed"):
        client.shop.orders.find_one()
    client.close()
    assert (commands(xray), xray.one.flags) == (["connect"], {"fault"})
    assert xray.one.exceptions[0]["message"] == "Authentication failed."
    assert SECRET not in str(xray.documents)


def test_a_server_that_does_not_answer_in_time_is_a_fault(client: Any, mongo_port: int, xray: Traces) -> None:
    impatient: Any = pymongo.MongoClient(HOST, mongo_port, socketTimeoutMS=200)
    with pytest.raises(errors.NetworkTimeout):
        impatient.shop.command({"sleep": 2})
    impatient.close()
    [sleep] = [root for root in xray.roots if told(root)["command"] == "sleep"]
    assert sleep.flags == {"fault"}
    assert sleep.exceptions[0]["type"] in ("pymongo.errors.NetworkTimeout", "TimeoutError", "socket.timeout")


def test_a_pool_that_has_no_connection_to_give_is_a_fault(client: Any, mongo_port: int, xray: Traces) -> None:
    patch("threads")
    busy = threading.Event()
    narrow: dict[str, Any] = {"maxPoolSize": 1, "waitQueueTimeoutMS": 50, "retryReads": False}

    class Listener(monitoring.CommandListener):
        def started(self, event: Any) -> None:
            busy.set()

        def succeeded(self, event: Any) -> None:
            pass

        def failed(self, event: Any) -> None:
            pass

    crowded: Any = pymongo.MongoClient(HOST, mongo_port, event_listeners=[Listener()], **narrow)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(crowded.shop.command, {"sleep": 0.5})
        assert busy.wait(20)
        with pytest.raises(errors.WaitQueueTimeoutError):
            crowded.shop.orders.find_one()
        slow.result()
    crowded.close()
    [waited] = [root for root in xray.roots if root.flags]
    assert (waited.name, told(waited)) == (f"mongodb@{HOST}:{mongo_port}", {"command": "connect"})
    assert waited.exceptions[0]["type"] == "pymongo.errors.WaitQueueTimeoutError"


def test_an_interrupt_ends_the_command(client: Any, xray: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with subsegment("handler"):
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "sendall", interrupt)
            with pytest.raises(KeyboardInterrupt):
                client.shop.orders.find_one()
        client.shop.orders.find_one()
    assert [child.flags for child in xray.one.children] == [{"fault"}, set(), set()]
    assert [told(child)["command"] for child in xray.one.children] == ["find", "connect", "find"]


def test_a_client_made_before_the_patch_is_traced_and_the_program_s_listeners_hear_what_they_heard(
    mongo_port: int, xray: Traces
) -> None:
    class Listener(monitoring.CommandListener):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def started(self, event: Any) -> None:
            self.heard.append(f"started {event.command_name}")
            raise KeyError("theirs, which pymongo prints")

        def succeeded(self, event: Any) -> None:
            self.heard.append(f"succeeded {event.command_name}")

        def failed(self, event: Any) -> None:
            self.heard.append(f"failed {event.command_name}")

    listener = Listener()
    client: Any = pymongo.MongoClient(HOST, mongo_port, event_listeners=[listener])
    client.shop.command("ping")
    patch("pymongo")
    client.shop.command("ping")
    unpatch("pymongo")
    client.shop.command("ping")
    client.close()
    assert listener.heard == ["started ping", "succeeded ping"] * 3 + ["started endSessions", "succeeded endSessions"]
    assert commands(xray) == ["ping"]


def test_threads_record_side_by_side(client: Any, mongo_port: int) -> None:
    patch("threads")
    meet = threading.Barrier(4, timeout=20)

    def work(number: int) -> Any:
        meet.wait()
        return client.shop.orders.insert_one({"_id": number}).inserted_id

    with capture() as traces, subsegment("handler"), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [0, 1, 2, 3]
    inserts = [child for child in traces.one.children if told(child)["command"] == "insert"]
    assert [(child.name, child.children) for child in inserts] == [(f"shop@{HOST}:{mongo_port}", [])] * 4


@pytest.mark.parametrize("header", [None, UNSAMPLED])
def test_outside_of_a_trace_and_unsampled_nothing_is_recorded_nor_published(client: Any, header: str | None) -> None:
    with capture(header) as traces:
        assert client._event_listeners.enabled_for_commands is False
        client.shop.orders.insert_one({"_id": 1})
        assert client.shop.orders.count_documents({}) == 1
        with pytest.raises(errors.OperationFailure):
            client.shop.command("nonsense")
    assert traces.documents == []


def test_the_end_of_one_command_closes_no_other_and_no_block_of_the_program(client: Any, xray: Traces) -> None:
    listeners = client._event_listeners
    with subsegment("handler") as handler:
        listeners.publish_command_success(timedelta(), {"ok": 1}, "find", 4711, (HOST, 1), None)
        listeners.publish_command_start({"find": "orders"}, "shop", 7, (HOST, 1), None)
        listeners.publish_command_failure(timedelta(), {"ok": 0}, "find", 4711, (HOST, 1), None)
        assert (current.get(), handler.end_ns) == (handler, None)
        handler.annotate(before_the_end=True)
        listeners.publish_command_success(
            timedelta(), {"ok": 1, "writeErrors": [{"code": 1}]}, "find", 7, (HOST, 1), None
        )
    assert [told(child)["write_errors"] for child in xray.one.children] == [[1]]
    assert (xray.one.flags, xray.one.annotations) == (set(), {"before_the_end": True})


def test_what_pymongo_does_for_itself_when_the_operation_is_over_is_not_recorded(mongo_port: int, xray: Traces) -> None:
    killed = threading.Event()

    class Listener(monitoring.CommandListener):
        def started(self, event: Any) -> None:
            if event.command_name == "killCursors":
                killed.set()

        def succeeded(self, event: Any) -> None:
            pass

        def failed(self, event: Any) -> None:
            pass

    patch("pymongo", "threads")
    with subsegment("handler"):
        client: Any = pymongo.MongoClient(HOST, mongo_port, event_listeners=[Listener()])
        client.shop.many.insert_many([{}, {}, {}])
        rows = client.shop.many.find(batch_size=2)
        next(rows)
    del rows
    assert killed.wait(20)
    client.close()
    recorded = [told(node)["command"] for root in xray.roots for node in root.walk() if node.name != "handler"]
    assert recorded[:3] == ["connect", "insert", "find"]
    assert "killCursors" not in recorded


def test_the_program_may_ignore_commands_by_their_names(client: Any) -> None:
    with capture(ignore_calls="MongoDB.find") as traces:
        client.shop.orders.insert_one({})
        client.shop.orders.find_one()
    assert commands(traces) == ["insert"]


def test_an_ignored_server_that_does_not_answer_leaves_no_mark(xray: Traces) -> None:
    patch("pymongo")
    client: Any = pymongo.MongoClient(HOST, free_port(), serverSelectionTimeoutMS=50)
    with capture(ignore_calls="MongoDB.connect") as traces, pytest.raises(errors.ServerSelectionTimeoutError):
        client.shop.orders.find_one()
    client.close()
    assert traces.documents == xray.documents == []


def test_patching_twice_records_once_and_unpatching_restores_every_function(client: Any, xray: Traces) -> None:
    patch("pymongo")
    client.shop.command("ping")
    assert commands(xray) == ["ping"]
    unpatch("pymongo")
    assert {name: vars(LISTENERS)[name] for name in PATCHED} == ORIGINALS


def test_the_patch_may_come_before_the_import(mongo_port: int) -> None:
    program = """
import json, sys
from xray_lambda import patch
from xray_lambda.testing import capture
patch("pymongo")
assert "pymongo" not in sys.modules
import pymongo
client = pymongo.MongoClient("127.0.0.1", int(sys.argv[1]))
with capture() as traces:
    client.shop.command("ping")
print(json.dumps([root.metadata["mongodb"]["command"] for root in traces.roots]))
client.close()
"""
    assert run_apart(program, mongo_port) == ["connect", "ping"]
