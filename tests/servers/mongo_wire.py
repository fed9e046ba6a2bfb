"""A MongoDB of the tests' own: its wire protocol in front of mongomock. Run it with a port; it serves until killed.

It speaks OP_MSG, and OP_QUERY for the first hello, as pymongo 4 does. Beyond MongoDB's commands it knows `sleep`.
Source: MongoDB wire protocol, https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import asyncio
import itertools
import struct
import sys
from typing import TYPE_CHECKING, Any

import bson
import mongomock

if TYPE_CHECKING:
    from collections.abc import Callable

    Document = dict[str, Any]

_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_MORE_TO_COME = 2
_HELLO = {
    "ismaster": True, "isWritablePrimary": True, "helloOk": False, "maxBsonObjectSize": 16_777_216,
    "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 25,
    "logicalSessionTimeoutMinutes": 30, "readOnly": False,
}  # fmt: skip

_store: Any = mongomock.MongoClient()
_cursors: dict[int, list[Document]] = {}
_ids = itertools.count(1000)


class Refused(Exception):
    """A command that fails, with MongoDB's number and name for why."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(text)
        self.reply = {"ok": 0, "code": code, "codeName": name, "errmsg": text}


def answer(command: Document) -> Document:
    """Return the reply to a command."""
    name = next(iter(command))
    known: Callable[[Document, Any], Document] | None = _COMMANDS.get(name.lower())
    try:
        if known is None:
            raise Refused(59, "CommandNotFound", f"no such command: '{name}'")
        return {**known(command, _store[command.get("$db", "admin")]), "ok": 1}
    except Refused as refused:
        return refused.reply


def _hello(_: Document, __: Any) -> Document:
    return _HELLO


def _nothing(_: Document, __: Any) -> Document:
    return {}


def _denied(_: Document, __: Any) -> Document:
    raise Refused(18, "AuthenticationFailed", "Authentication failed.")


def _find(command: Document, database: Any) -> Document:
    if any(key.startswith("$") for key in command.get("filter", {})):
        raise Refused(2, "BadValue", f"unknown top level operator in {command['filter']!r}")
    found = database[command["find"]].find(command.get("filter", {}), command.get("projection"))
    return _batch(
        command, list(found.limit(abs(command.get("limit", 0)))), database.name, command["find"], "firstBatch"
    )


def _aggregate(command: Document, database: Any) -> Document:
    found = list(database[command["aggregate"]].aggregate(command["pipeline"]))
    return _batch(command.get("cursor", {}), found, database.name, command["aggregate"], "firstBatch")


def _get_more(command: Document, database: Any) -> Document:
    rest = _cursors.pop(command["getMore"])
    return _batch(command, rest, database.name, command["collection"], "nextBatch")


def _batch(command: Document, documents: list[Document], database: str, collection: str, key: str) -> Document:
    size = command.get("batchSize") or len(documents)
    rest = documents[size:]
    cursor = (command.get("getMore") or next(_ids)) if rest else 0
    if rest:
        _cursors[cursor] = rest
    return {"cursor": {"id": bson.Int64(cursor), "ns": f"{database}.{collection}", key: documents[:size]}}


def _insert(command: Document, database: Any) -> Document:
    errors: list[Document] = []
    for index, document in enumerate(command["documents"]):
        try:
            database[command["insert"]].insert_one(document)
        except mongomock.DuplicateKeyError:
            key = {"_id": document.get("_id")}
            text = f"E11000 duplicate key error collection: {command['insert']} index: _id_ dup key: {key}"
            errors.append({"index": index, "code": 11000, "errmsg": text, "keyValue": key})
    done: Document = {"n": len(command["documents"]) - len(errors)}
    return {**done, "writeErrors": errors} if errors else done


def _update(command: Document, database: Any) -> Document:
    collection, changed = database[command["update"]], 0
    for one in command["updates"]:
        change = collection.update_many if one.get("multi") else collection.update_one
        changed += change(one["q"], one["u"], upsert=one.get("upsert", False)).modified_count
    return {"n": changed, "nModified": changed}


def _delete(command: Document, database: Any) -> Document:
    collection, gone = database[command["delete"]], 0
    for one in command["deletes"]:
        gone += (collection.delete_one if one["limit"] else collection.delete_many)(one["q"]).deleted_count
    return {"n": gone}


def _drop(command: Document, database: Any) -> Document:
    database[command["drop"]].drop()
    return {}


def _bulk_write(command: Document, _: Any) -> Document:
    for one in command["ops"]:
        database, _dot, collection = command["nsInfo"][one["insert"]]["ns"].partition(".")
        _store[database][collection].insert_one(one["document"])
    counts = {
        "nErrors": 0,
        "nInserted": len(command["ops"]),
        "nMatched": 0,
        "nModified": 0,
        "nUpserted": 0,
        "nDeleted": 0,
    }
    return {**counts, "cursor": {"id": bson.Int64(0), "ns": "admin.$cmd.bulkWrite", "firstBatch": []}}


_COMMANDS: dict[str, Callable[[Document, Any], Document]] = {
    "hello": _hello, "ismaster": _hello, "ping": _nothing, "buildinfo": _nothing, "endsessions": _nothing,
    "killcursors": _nothing, "sleep": _nothing, "saslstart": _denied, "find": _find, "getmore": _get_more,
    "aggregate": _aggregate, "insert": _insert, "update": _update, "delete": _delete, "drop": _drop,
    "bulkwrite": _bulk_write,
}  # fmt: skip


def message(body: bytes) -> tuple[Document, bool]:
    """Return the command in an OP_MSG, its sequences of documents put into it, and whether it wants a reply."""
    (flags,) = struct.unpack_from("<I", body)
    command: Document = {}
    at = 4
    while at < len(body):
        kind, at = body[at], at + 1
        (size,) = struct.unpack_from("<i", body, at)
        part, at = body[at : at + size], at + size
        if kind == 0:
            command = {**bson.decode(part), **command}
        else:
            name, _, documents = part[4:].partition(b"\0")
            command[name.decode()] = bson.decode_all(documents)
    first = next(key for key in command if key not in ("documents", "updates", "deletes", "ops", "nsInfo"))
    return {first: command.pop(first), **command}, not flags & _MORE_TO_COME


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what comes over one connection."""
    try:
        while True:
            length, request, _, code = struct.unpack("<iiii", await reader.readexactly(16))
            body = await reader.readexactly(length - 16)
            if code == _OP_QUERY:
                command, wanted = bson.decode(body[body.index(b"\0", 4) + 9 :]), True
            else:
                command, wanted = message(body)
            await asyncio.sleep(command.get("sleep", 0))
            reply = bson.encode(answer(command))
            if wanted:
                writer.write(_framed(request, code, reply))
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _framed(request: int, code: int, reply: bytes) -> bytes:
    if code == _OP_QUERY:
        head, code = struct.pack("<iqii", 8, 0, 0, 1), _OP_REPLY
    else:
        head = struct.pack("<IB", 0, 0)
    return struct.pack("<iiii", 16 + len(head) + len(reply), next(_ids), request, code) + head + reply


async def main(port: int) -> None:
    """Serve for ever."""
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
