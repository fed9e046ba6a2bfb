"""Documents: how an entity reads in JSON, what is sacrificed of one that is too large, and in which order."""

from __future__ import annotations

import enum
import io
import itertools
import json
import subprocess
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.hostile import Lazy, Proxy, Stream, hostile
from tests.schema import MAX_BYTES, checked
from xray_lambda import _document, current_segment
from xray_lambda._annotations import put
from xray_lambda._document import clean_name, encode, encode_bare, encode_in_progress, independent, quoted_name, splice
from xray_lambda.testing import HEADER, ROOT, capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xray_lambda._entity import Entity

PARENT = "53995c3f42cd8ad8"
START = 1_700_000_000_123_456_789
MARK = {"xray_lambda": {"truncated": True}}


@pytest.fixture(autouse=True)
def no_known_names() -> Iterator[None]:
    _document._names.clear()
    yield
    _document._names.clear()


def entity(
    name: Any = "price", annotations: dict[str, object] | None = None, details: dict[str, object] | None = None
) -> Any:
    """Return what `encode` needs of an entity."""
    texts: dict[str, str] = {}
    put(texts, annotations or {})
    return types.SimpleNamespace(
        name=name,
        id="00000000000000aa",
        start_ns=START,
        end_ns=START + 1_000_000,
        annotations=texts if annotations is not None else None,
        details=details,
    )


def sent(recorded: Any, room: int = 32_000) -> dict[str, Any]:
    """Return what is sent of an entity without children."""
    text, pushed_out = splice(encode(recorded, room), None)
    assert pushed_out == []
    return checked(independent(text, ROOT, PARENT))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("price", "price"),
        ("GET /orders/{id}?x=1", "GET /orders/_id__x=1"),
        ("a_b.c:d/e%f&g#h=i+j-k@l", "a_b.c:d/e%f&g#h=i+j-k@l"),
        ("größe 漢字 ½²", "größe 漢字 ½²"),
        ('back\\slash "quote" <tag>', "back_slash _quote_ _tag_"),
        ("line\nfeed\ttab\x00nul", "line feed tab_nul"),
        ("half \ud800", "half _"),
        ("e\u0301", "e_"),
        ("  padded  ", "padded"),
        ("", "unnamed"),
        ("\n \t", "unnamed"),
        ("x" * 201, "x" * 200),
        (" " * 300 + "late", "late"),
        ("x" * 199 + " y", "x" * 199),
        ("漢" * 5_000_000, "漢" * 200),
        (None, "NoneType"),
        (17, "int"),
        ([1], "list"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_name_is_made_of_what_x_ray_takes(name: Any, expected: str) -> None:
    assert clean_name(name) == expected
    assert [sent(entity(name))["name"] for _ in range(2)] == [expected] * 2


def test_a_name_that_is_an_enum_keeps_its_own_spelling() -> None:
    class Name(str, enum.Enum):
        PRICE = "price"

    assert sent(entity("price"))["name"] == sent(entity(Name.PRICE))["name"] == "price"


def test_names_are_remembered_within_bounds() -> None:
    for number in range(2500):
        quoted_name(f"name {number}")
        quoted_name("x" * 5000 + str(number))
    assert len(_document._names) == 500
    assert max(map(len, _document._names)) < 200  # type: ignore[arg-type]


def test_an_entity_reads_as_its_sections() -> None:
    details: dict[str, object] = {
        "namespace": "remote",
        "metadata": {"default": {"basket": ("tea", {1: None})}, "mine": {}},
        "fault": True,
        "http": {"response": {"status": 500}},
    }
    assert json.loads(encode(entity("price", {"order": 17, "paid": True}, details), 32_000) + "}") == {
        "name": "price",
        "id": "00000000000000aa",
        "start_time": 1700000000.123456,
        "end_time": 1700000000.124456,
        "annotations": {"order": 17, "paid": True},
        "namespace": "remote",
        "fault": True,
        "http": {"response": {"status": 500}},
        "metadata": {"default": {"basket": ["tea", {"1": None}]}, "mine": {}},
    }


def test_an_entity_without_sections_is_its_name_id_and_times() -> None:
    text = '{"name":"price","id":"00000000000000aa","start_time":1700000000.123456,"end_time":1700000000.124456'
    assert encode(entity(), 0) == encode(entity("price", {}, {}), 0) == text
    assert json.loads(encode_bare(entity()) + "}") == json.loads(text + "}")


def test_an_open_entity_says_so_instead_of_an_end() -> None:
    text = encode_in_progress(entity("price", {"order": 17}, {"namespace": "aws"}), 32_000)
    assert json.loads(text) == {
        "name": "price",
        "id": "00000000000000aa",
        "start_time": 1700000000.123456,
        "in_progress": True,
        "annotations": {"order": 17},
        "namespace": "aws",
    }
    large = encode_in_progress(entity("price", {}, large_details()), 1_000_000)
    assert checked(independent(large, ROOT, PARENT))["metadata"] == MARK


def test_all_text_is_ascii_so_that_its_length_is_its_size() -> None:
    details: dict[str, object] = {"metadata": {"größe": {"漢": "😀"}}, "sql": {"url": "ü"}}
    text = encode(entity("ü", {"key": "é"}, details), 32_000)
    assert text.isascii()
    assert sent(entity("ü", {"key": "é"}, details))["metadata"] == {"größe": {"漢": "😀"}}


@pytest.mark.parametrize(
    ("metadata", "room"),
    [
        ({"default": {"text": "x" * 5_000_000}}, 32_000),
        ({"default": {"text": "x" * 5_000_000}}, 1_000_000),
        ({"default": {"text": "x" * 100}}, 0),
        ({"default": {f"key{number}": "\x00" * 1000 for number in range(1000)}}, 32_000),
        ({f"space {number}": {"漢" * 200: "😀" * 200} for number in range(1000)}, 1_000_000),
        ({"first": {"text": "x" * 100_000}, "second": {"a": 1}}, 32_000),
        ({"first": {"text": "x" * 100_000}, "xray_lambda": {"cancelled": True}}, 32_000),
    ],
    ids=range(7),
)
def test_metadata_that_is_too_large_is_cut_and_marked(metadata: dict[str, object], room: int) -> None:
    document = sent(entity("price", {"order": 17}, {"metadata": metadata, "fault": True}), room)
    assert document["metadata"]["xray_lambda"]["truncated"] is True
    assert (document["annotations"], document["fault"]) == ({"order": 17}, True)
    size = len(json.dumps(document["metadata"], separators=(",", ":")))
    assert min(room, 55_000) / 2 <= size <= room + 1100


def test_metadata_gets_the_room_that_the_others_leave() -> None:
    details = {"cause": cause(1, frames=300), "metadata": {"default": {"text": "x" * 100_000}}}
    document = sent(entity("price", None, details), 60_000)
    assert len(document["cause"]["exceptions"][0]["stack"]) == 300
    assert 10_000 < len(document["metadata"]["default"]["text"]) < 35_000
    assert document["metadata"]["xray_lambda"] == {"truncated": True}


def test_metadata_that_fits_is_not_marked() -> None:
    details: dict[str, object] = {"metadata": {"default": {"text": "x" * 31_000}}}
    assert sent(entity("price", None, details))["metadata"] == details["metadata"]


def cause(exceptions: int, *, frames: int = 0, message: str = "no") -> dict[str, object]:
    stack = [
        {"path": "/var/task/shop/prices.py", "line": 1, "label": f"function_{number:030}"} for number in range(frames)
    ]
    return {
        "working_directory": "/var/task",
        "exceptions": [
            {"id": f"{number:016x}", "type": "shop.NoPrice", "message": message, "stack": stack}
            for number in range(exceptions)
        ],
    }


def large_details(**more: object) -> dict[str, object]:
    """Return details whose metadata and stacks cannot stay."""
    return {
        "namespace": "remote",
        "fault": True,
        "metadata": {"default": {"text": "x" * 30_000}},
        "cause": cause(10, frames=100),
        **more,
    }


def test_after_metadata_the_stacks_are_sacrificed_down_to_three_frames_and_counted() -> None:
    sql = {"sanitized_query": "select ?" + " " * 5000, "url": "pg://h/db"}
    document = sent(entity("price", {"order": "x" * 1000}, large_details(sql=sql)))
    assert document["metadata"] == MARK
    exceptions = document["cause"]["exceptions"]
    assert [(len(entry["stack"]), entry["truncated"]) for entry in exceptions] == [(3, 97)] * 10
    assert exceptions[0]["stack"][0]["label"].endswith("0000")
    assert (document["sql"], document["annotations"]) == (sql, {"order": "x" * 1000})


def test_frames_that_were_left_out_before_are_counted_too() -> None:
    details = large_details()
    for entry in details["cause"]["exceptions"]:  # type: ignore[index]
        entry["truncated"] = 5
    document = sent(entity("price", None, details))
    assert {entry["truncated"] for entry in document["cause"]["exceptions"]} == {102}


def test_after_the_stacks_the_texts_of_sql_and_aws_are_sacrificed() -> None:
    details = large_details(
        sql={"sanitized_query": "é" * 10_000, "user": "ada"},
        aws={"operation": "PutItem", "table_names": ["漢" * 10_000], "retries": 2},
        cause=cause(10, frames=100, message="m" * 1000),
    )
    document = sent(entity("price", {"order": "x" * 1000}, details))
    assert document["sql"] == {"sanitized_query": "é" * 160 + "… (9840 more characters)", "user": "ada"}
    assert (document["aws"]["operation"], document["aws"]["retries"]) == ("PutItem", 2)
    assert len(json.dumps(document["aws"])) < 1200
    assert document["metadata"] == MARK
    assert {entry["message"] for entry in document["cause"]["exceptions"]} == {"m" * 1000}


def test_after_the_texts_the_messages_are_sacrificed() -> None:
    details = large_details(sql={"url": "pg://h/db"}, cause=cause(10, frames=100, message="é" * 2000))
    document = sent(entity("price", {"order": "x" * 1000}, details))
    assert {entry["message"] for entry in document["cause"]["exceptions"]} == {"é" * 200}
    assert document["annotations"] == {"order": "x" * 1000}
    assert document["metadata"] == MARK


def test_after_the_messages_the_annotations_are_sacrificed() -> None:
    annotations: dict[str, object] = {f"key{number}": "é" * 1000 for number in range(48)}
    document = sent(entity("price", {**annotations, "number": 17, "flag": True}, {"fault": True}))
    assert document["annotations"] == dict.fromkeys(annotations, "é" * 100) | {"number": 17, "flag": True}
    assert (document["metadata"], document["fault"]) == (MARK, True)


def test_in_the_end_flags_and_the_ids_of_exceptions_stay() -> None:
    annotations: dict[str, object] = {f"{number:02}" + "k" * 498: "😀" * 1000 for number in range(50)}
    long_type = cause(10, frames=100, message="😀" * 2000)
    for number, entry in enumerate(long_type["exceptions"]):  # type: ignore[var-annotated, arg-type]
        entry["type"] = "漢" * 500
        entry["cause"] = f"{number + 1:016x}"
    document = sent(entity("😀" * 200, annotations, large_details(cause=long_type, error=True)))
    assert {key: value for key, value in document.items() if key not in ("cause", "name")} == {
        "type": "subsegment",
        "trace_id": ROOT,
        "parent_id": PARENT,
        "id": "00000000000000aa",
        "start_time": 1700000000.123456,
        "end_time": 1700000000.124456,
        "namespace": "remote",
        "fault": True,
        "error": True,
        "metadata": MARK,
    }
    assert document["cause"]["exceptions"] == [
        {"id": f"{number:016x}", "cause": f"{number + 1:016x}", "type": "漢" * 100} for number in range(10)
    ]


def test_a_cause_that_is_an_id_always_stays() -> None:
    annotations: dict[str, object] = {f"{number:02}" + "k" * 498: "😀" * 1000 for number in range(50)}
    document = sent(entity("price", annotations, {"cause": "00000000000000bb", "fault": True}))
    assert (document["cause"], "annotations" in document) == ("00000000000000bb", False)


def test_what_was_recorded_is_as_it_was_after_it_was_trimmed() -> None:
    details = large_details(sql={"sanitized_query": "é" * 10_000})
    before = json.dumps(details)
    sent(entity("price", {"order": 17}, details))
    assert json.dumps(details) == before


def child(size: int, number: int = 0) -> str:
    text = f'{{"name":"child","id":"{number:016x}","start_time":1.0,"end_time":2.0,"metadata":{{"d":{{"x":""}}}}}}'
    return text.replace('"x":""', f'"x":"{"y" * (size - len(text))}"')


def test_children_that_find_room_stand_in_their_parent_in_order() -> None:
    children = [child(200, number) for number in range(5)]
    text, pushed_out = splice(encode(entity(), 0), children)
    document = checked(independent(text, ROOT, PARENT))
    assert pushed_out == []
    assert document["subsegments"] == [json.loads(one) for one in children]
    assert splice("{", []) == splice("{", None) == ("{}", [])


def test_the_oldest_children_are_pushed_out_whole_where_there_is_no_room_for_all() -> None:
    children = [child(15_000, number) for number in range(6)]
    text, pushed_out = splice(encode(entity(), 0), children)
    document = checked(independent(text, ROOT, PARENT))
    assert pushed_out == children[:2]
    assert document["subsegments"] == [json.loads(one) for one in children[2:]]
    assert [checked(independent(one, ROOT, document["id"]))["id"] for one in pushed_out] == [f"{0:016x}", f"{1:016x}"]


def test_a_large_parent_pushes_all_its_children_out() -> None:
    details: dict[str, object] = {"metadata": {"default": {"text": "x" * 60_000}}}
    children = [child(5000, number) for number in range(3)]
    text, pushed_out = splice(encode(entity("price", None, details), 61_000), children)
    assert pushed_out == children
    assert "subsegments" not in checked(independent(text, ROOT, PARENT))


@given(st.integers(0, 62_000), st.lists(st.integers(150, 20_000), max_size=12))
def test_no_child_is_lost_and_every_document_fits_however_large_they_are(own: int, sizes: list[int]) -> None:
    children = [child(size, number) for number, size in enumerate(sizes)]
    details: dict[str, object] = {"metadata": {"default": {"text": "x" * own}}}
    text, pushed_out = splice(encode(entity("price", None, details), 62_000), children)
    kept = checked(independent(text, ROOT, PARENT)).get("subsegments", [])
    assert [json.loads(one) for one in pushed_out] + kept == [json.loads(one) for one in children]
    room = MAX_BYTES - 200 - len(text)
    assert not pushed_out or room < len(pushed_out[-1]) + 20


@pytest.mark.parametrize("lost", ["None", "lambda *arguments: 1 / len(arguments[:0]) if len(arguments) < 9 else 5"])
def test_a_python_that_encodes_json_otherwise_writes_the_same(lost: str) -> None:
    value = {"status": 200, "text": 'ä"\\\n', "nested": [1.5, None, True, {}]}
    program = f"import json.encoder; json.encoder.c_make_encoder = {lost}; from xray_lambda import _document; "
    program += f"print(_document._encode_json({value!r}))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == json.dumps(value, separators=(",", ":")) == _document._encode_json(value)


def test_an_independent_subsegment_says_where_it_belongs() -> None:
    assert json.loads(independent('{"name":"x","id":"y"}', ROOT, PARENT)) == {
        "type": "subsegment", "trace_id": ROOT, "parent_id": PARENT, "name": "x", "id": "y",
    }  # fmt: skip


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError


def chained(length: int) -> Exception:
    error: Exception = ValueError("é" * 5000)
    for _ in range(length):
        above = ValueError("é" * 5000)
        above.__cause__ = error
        error = above
    return error


def recurse(depth: int) -> None:
    if depth == 0:
        raise KeyError("漢" * 3000)
    recurse(depth - 1)


def deep(depth: int) -> Exception:
    try:
        recurse(depth)
    except KeyError as error:
        return error
    raise AssertionError


def cycle() -> object:
    value: dict[str, object] = {}
    value["self"] = [value]
    return value


# Made anew each time: what one entity did to a value must not help the next.
VALUES: list[Callable[[], Any]] = [
    lambda: "x" * 5_000_000,
    lambda: "\x00" * 5_000_000,
    lambda: "😀" * 100_000,
    lambda: "\ud800" * 2000,
    lambda: b"\xff" * 5_000_000,
    lambda: [0.1] * 500_000,
    lambda: {str(number): "é" for number in range(20_000)},
    lambda: {(number, "k" * 900): None for number in range(300)},
    lambda: 1 << 100_000,
    lambda: [10**3000] * 100,
    lambda: float("nan"),
    lambda: [float("inf"), -0.0, 1e308],
    itertools.count,
    lambda: io.BytesIO(b"x" * 1000),
    Proxy,
    Lazy,
    Stream,
    hostile(dict),
    hostile(str),
    hostile(list),
    cycle,
    lambda: types.SimpleNamespace(**{f"field{number}": [number] * 50 for number in range(100)}),
    lambda: [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]],
    lambda: None,
    lambda: True,
    lambda: 17,
    lambda: "text",
]
ERRORS: list[Callable[[], Exception]] = [
    lambda: ValueError("x" * 5_000_000),
    Silent,
    lambda: deep(300),
    lambda: chained(30),
    lambda: type("N" * 5000, (Exception,), {})("\ud800"),
]
NAMES = ["price", "", "x" * 5_000_000, "😀" * 300, "\ud800\x00", " ", "GET /a?b", 'q"\\', None, 17, [1]]
TEXTS = ["x", "x" * 20_000, "é" * 20_000, "😀" * 5000, "\x00" * 9000, "\ud800", ""]
KEYS = ["key", "key.dot", "k" * 900, "", "漢" * 600, "\x00"]

_texts = st.sampled_from(TEXTS)
_recordings = st.one_of(
    st.tuples(st.just("annotate"), st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.tuples(st.just("metadata"), st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.tuples(st.just("many"), st.sampled_from(KEYS), _texts),
    st.tuples(st.just("space"), st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.tuples(st.just("http"), st.sampled_from(["method", "url", "user_agent", "client_ip"]), _texts),
    st.tuples(st.just("status"), st.just("code"), st.sampled_from([200, 404, 429, 503, 0, -1])),
    st.tuples(st.just("aws"), st.sampled_from(["operation", "region", "own"]), _texts),
    st.tuples(st.just("sql"), st.sampled_from(["url", "sanitized_query", "user"]), _texts),
    st.tuples(st.just("flag"), st.sampled_from(["fault", "error", "throttle"]), st.none()),
    st.tuples(st.just("exception"), st.none(), st.sampled_from(ERRORS)),
)
_entities = st.tuples(st.sampled_from(NAMES), st.lists(_recordings, max_size=4), st.booleans())
ENTITIES, EXAMPLES = 20, 500


def record(one: Entity, what: str, key: Any, value: Any) -> None:
    """Put one thing on an entity by the method that a program would call."""
    if what in ("annotate", "metadata"):
        getattr(one, what)({key: value()})
    elif what == "many":
        one.annotate({f"{number}{key}": value for number in range(60)})
    elif what == "space":
        one.metadata({"value": value()}, namespace=key)
    elif what == "status":
        one.status(value, content_length=-1)
    elif what == "flag":
        one.flag(key)
    elif what == "exception":
        one.exception(value())
    else:
        getattr(one, what)(**{key: value})


def build(parent: Entity, entities: list[tuple[Any, list[tuple[str, Any, Any]], bool]]) -> None:
    """Open each entity below the one before, or where that says so beside it."""
    if not entities:
        return
    (name, recordings, nest), *others = entities
    with parent.child(name) as one:
        for recording in recordings:
            record(one, *recording)
        if nest:
            build(one, others)
    if not nest:
        build(parent, others)


@pytest.mark.full
def test_ten_thousand_hostile_entities_are_all_sent_in_documents_that_x_ray_takes() -> None:
    made: list[int] = []

    # A failure shows at once what was made: to make it smaller would take many minutes.
    @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.lists(_entities, min_size=ENTITIES, max_size=ENTITIES))
    def make(entities: list[tuple[Any, list[tuple[str, Any, Any]], bool]]) -> None:
        with capture(HEADER) as traces:
            build(current_segment(), entities)
        for document in traces._emitter.documents:
            checked(document)
        made.append(sum(1 for root in traces.roots for _ in root.walk()))
        assert made[-1] == ENTITIES

    make()
    assert sum(made) >= 10_000
