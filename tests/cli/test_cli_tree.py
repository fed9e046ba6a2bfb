"""Documents become one tree, whatever they say of themselves and in whatever order they came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xray_lambda.cli.console import Console, columns
from xray_lambda.cli.drawing import draw, milliseconds
from xray_lambda.cli.receiver import Document
from xray_lambda.cli.tree import branches

ROOT: Document = {"name": "till", "id": "r", "trace_id": "t", "start_time": 100.0, "end_time": 100.2}


def document(name: str, parent: str | None = None, **more: object) -> Document:
    made: Document = {"name": name, "id": name, "start_time": 100.0, "end_time": 100.1}
    if parent is not None:
        made |= {"type": "subsegment", "trace_id": "t", "parent_id": parent}
    return made | more


def shape(documents: list[Document]) -> list[str]:
    """Write the tree as indented names, each with what is remarked of it."""
    return [
        "  " * len(branch.lasts) + str(branch.document["name"]) + (f" - {branch.remark}" if branch.lasts else "")
        for branch in branches(documents, ROOT)
    ]


def drawing(documents: list[Document], console: Console | None = None) -> list[str]:
    return list(draw(documents, ROOT, console or Console()))


def test_embedded_and_independent_subsegments_are_joined_by_parent() -> None:
    handler = document("handler", "r", subsegments=[document("price", subsegments=[document("tax")])])
    late = document("alone", "tax")
    assert shape([late, handler]) == ["till", "  handler - ", "    price - ", "      tax - ", "        alone - "]


def test_siblings_stand_in_order_of_start() -> None:
    children = [document("second", "r", start_time=100.05), document("first", "r", start_time=100.01)]
    assert shape(children) == ["till", "  first - ", "  second - "]


def test_a_child_whose_parent_never_came_hangs_under_the_root_and_says_so() -> None:
    assert shape([document("orphan", "gone")]) == ["till", "  orphan - its parent never came"]


def test_a_document_of_another_trace_says_so() -> None:
    assert shape([document("stray", "r", trace_id="u")]) == ["till", "  stray - of another trace, u"]


def test_a_complete_document_takes_the_place_of_the_one_in_progress() -> None:
    begun: Document = {"name": "handler", "id": "h", "parent_id": "r", "start_time": 100.0, "in_progress": True}
    ended: Document = {"name": "handler", "id": "h", "parent_id": "r", "start_time": 100.0, "end_time": 100.1}
    for documents in ([begun, ended], [ended, begun]):
        lines = drawing(documents)
        assert len(lines) == 2
        assert "in progress" not in lines[1]
    assert "in progress" in drawing([begun])[1]
    assert drawing([begun])[1].endswith("not ended")


def test_documents_that_are_each_others_ancestors_are_shown_once() -> None:
    circle = [document("a", "b"), document("b", "a"), document("own parent", "own parent")]
    assert shape(circle) == [
        "till",
        "  a - its parent never came",
        "    b - ",
        "  own parent - its parent never came",
    ]


def test_a_trace_deeper_than_python_can_recurse_is_drawn() -> None:
    chain = [document(str(level), str(level - 1) if level else "r") for level in range(3000)]
    lines = drawing(chain)
    assert len(lines) == 3001
    assert "(level 3000) └─ 2999" in lines[-1]
    assert {columns(line) for line in lines} == {100}


def test_bars_lie_where_and_as_long_as_the_time_did() -> None:
    halves = [document("early", "r"), document("late", "r", start_time=100.1, end_time=100.2)]
    root, early, late = drawing(halves)
    assert early.index("█") == root.index("█")
    assert late.rindex("█") == root.rindex("█")
    assert abs(early.rindex("█") + 1 - late.index("█")) <= 1


def test_a_whole_trace_reads_like_this() -> None:
    exception: Document = {
        "id": "e",
        "type": "Declined",
        "message": "no\nfunds",
        "stack": [{"path": "app.py", "line": 7, "label": "ask"}, {"path": "app.py", "line": 3, "label": "pay"}],
    }
    cause: Document = {"id": "f", "type": "OSError", "message": ""}
    documents = [
        document("api.example.com", "r", http={"request": {"method": "GET", "url": "https://api.example.com/v1"},
                                              "response": {"status": 503}}, throttle=True, namespace="remote"),
        document("DynamoDB", "r", aws={"operation": "PutItem", "region": "eu-west-1", "table_name": "orders"}),
        document("db@host", "r", sql={"database_type": "PostgreSQL", "sanitized_query": "SELECT ?\n FROM t"}),
        document("pay", "r", fault=True, cause={"exceptions": [exception, cause]},
                 annotations={"order": 7, "paid": False}, metadata={"default": {"b": [1]}, "ns": {"k": "v"}}),
        document("outer", "r", error=True, cause="e"),
    ]  # fmt: skip
    assert drawing(documents, Console(width=80)) == [
        "till  (in place of Lambda's own segment)  █████████████████████████     200.0 ms",
        "├─ api.example.com  throttle              ████████████                  100.0 ms",
        "│     GET https://api.example.com/v1 → 503",
        "├─ DynamoDB                               ████████████                  100.0 ms",
        "│     aws PutItem eu-west-1 orders",
        "├─ db@host                                ████████████                  100.0 ms",
        "│     sql PostgreSQL SELECT ? FROM t",
        "├─ pay  fault                             ████████████                  100.0 ms",
        "│     order=7  paid=false",
        "│     ✗ Declined: no funds",
        "│         app.py:7 in ask",
        "│       from OSError",
        "│     metadata  b=[1]",
        "│     metadata  ns.k=v",
        "└─ outer  error                           ████████████                  100.0 ms",
        '      ✗ Declined, as shown at "pay"',
    ]


def test_a_terminal_without_unicode_gets_plain_ascii() -> None:
    lines = drawing([document("a", "r", subsegments=[document("b")]), document("c", "r")], Console(unicode=False))
    assert all(line.isascii() for line in lines)
    assert [line.split("#")[0].rstrip() for line in lines[1:]] == ["|- a", "|  `- b", "`- c"]


FIELDS = st.sampled_from(["id", "parent_id", "trace_id", "name", "start_time", "end_time", "cause", "http", "metadata"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from("abcr"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
DOCUMENTS = st.recursive(
    st.dictionaries(FIELDS, VALUES, max_size=6),
    lambda inner: st.builds(
        lambda made, below: {**made, "subsegments": below},
        st.dictionaries(FIELDS, VALUES, max_size=6),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)


@given(st.lists(DOCUMENTS, max_size=6))
def test_whatever_came_is_drawn_in_printable_lines(documents: list[Document]) -> None:
    for line in drawing(documents):
        assert line.isprintable()


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdefr")), max_size=8))
def test_every_document_is_shown_exactly_once_and_below_its_parent(pairs: list[tuple[str, str]]) -> None:
    documents = [document(name, parent) for name, parent in dict(pairs).items()]
    above: list[str] = []
    shown = []
    for branch in branches(documents, ROOT):
        name, depth = str(branch.document["name"]), len(branch.lasts)
        if branch.lasts and not branch.remark:
            assert branch.document["parent_id"] == ("r" if depth == 1 else above[depth - 1])
        above[depth:] = [name]
        shown.append(name)
    assert sorted(shown) == sorted(["till", *dict(pairs)])


def test_durations_keep_the_digits_that_mean_something() -> None:
    assert [milliseconds(seconds) for seconds in (0.0000421, 0.0123, 1.2044)] == ["0.042 ms", "12.3 ms", "1,204 ms"]
