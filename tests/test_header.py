"""The trace headers: what is read of them, however they were written, and what goes on to the next service."""

from __future__ import annotations

import gc
import string
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_lambda._header import MAX_LENGTH, TraceHeader, is_trace_id, parse, parse_traceparent, traceparent, usual_form

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"
LINEAGE = "Lineage=a87bd80c:1|68fd508a:5|c512fbe3:2"
USUAL = f"Root={ROOT};Parent={PARENT};Sampled=1"
NOTHING = TraceHeader()


def parts(header: TraceHeader) -> tuple[str | None, str | None, str | None, str]:
    return header.root, header.parent, header.sampled, header.extra


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (USUAL, (ROOT, PARENT, "1", "")),
        (f"Root={ROOT};Parent={PARENT};Sampled=0;Lineage=1:a87bd80c:0", (ROOT, PARENT, "0", ";Lineage=1:a87bd80c:0")),
        (f"  Root = {ROOT} ;\tParent= {PARENT} ; Sampled =1 ", (ROOT, PARENT, "1", "")),
        (f"Sampled=1;Parent={PARENT};Root={ROOT}", (ROOT, PARENT, "1", "")),
        (f"ROOT={ROOT};parent={PARENT};sAmPlEd=1", (ROOT, PARENT, "1", "")),
        (f"Root={ROOT.upper()};Parent={PARENT.upper()};Sampled=1", (ROOT, PARENT, "1", "")),
        (f"Root={ROOT};Sampled=?", (ROOT, None, "?", "")),
        (f"Root={ROOT}", (ROOT, None, None, "")),
        (f"Parent={PARENT}", (None, PARENT, None, "")),
        (f";;{USUAL};;", (ROOT, PARENT, "1", "")),
        ("", (None, None, None, "")),
        (";", (None, None, None, "")),
        ("Root", (None, None, None, "")),
    ],
)
def test_spaces_order_and_the_case_of_keys_do_not_matter(
    text: str, expected: tuple[str | None, str | None, str | None, str]
) -> None:
    assert parts(parse(text)) == expected


@pytest.mark.parametrize("self_key", ["Self", "self", " SELF "])
def test_what_a_load_balancer_says_of_itself_is_dropped(self_key: str) -> None:
    assert parts(parse(f"{self_key}=1-67891234-12456789abcdef012345678;{USUAL}")) == (ROOT, PARENT, "1", "")


def test_keys_that_we_do_not_know_stay_as_they_are_and_in_order() -> None:
    header = parse(f"zebra=1;Root={ROOT};{LINEAGE};CalledFrom = a=b ;Sampled=1;zebra=2")
    assert parts(header) == (ROOT, None, "1", f";zebra=1;{LINEAGE};CalledFrom = a=b;zebra=2")
    assert str(header) == f"Root={ROOT};Sampled=1;zebra=1;{LINEAGE};CalledFrom = a=b;zebra=2"


MALFORMED = [
    "Root=1-5759e988",
    f"Root=2{ROOT[1:]}",
    f"Root={ROOT}0",
    f"Root={ROOT[:-1]}g",
    f"Root={ROOT.replace('-', '_')}",
    f"Root={ROOT[:10]}0{ROOT[11:]}",
    "Root=",
    "Root",
    "Parent=53995c3f42cd8ad",
    "Parent=53995c3f42cd8ad8a",
    "Parent=53995c3f42cd8adx",
    "Sampled=2",
    "Sampled=true",
    "Sampled=",
    "=1",
    "=",
    "no pair at all",
    "Key=",
    "Key=\tlate",
    "Key=a\x00b",
    "Key=a\r\nSet-Cookie: b",
    "Key=ключ",
    "Ключ=1",
    "Key=\ud800",
]


@pytest.mark.parametrize("part", MALFORMED)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_malformed_part_is_skipped_by_itself(part: str, place: int) -> None:
    wanted = [f"Root={ROOT}", f"Parent={PARENT}", "Sampled=1"]
    assert parts(parse(";".join([*wanted[:place], part, *wanted[place:]]))) == (ROOT, PARENT, "1", "")


def test_the_first_valid_one_of_a_key_counts() -> None:
    text = f"Root=broken;Root={ROOT};Root=1-00000000-000000000000000000000000;Sampled=x;Sampled=0;Sampled=1"
    assert parts(parse(text)) == (ROOT, None, "0", "")


@pytest.mark.parametrize("bad", [chr(code) for code in [*range(32), 127] if chr(code) != ";"])
def test_control_characters_never_go_on_to_another_service(bad: str) -> None:
    assert str(parse(f"Key=a{bad}b;{bad}Root={bad}{ROOT}{bad};x{bad}y=1")).isprintable()
    assert parts(parse(f"Key=a{bad}b;x{bad}y=1")) == (None, None, None, "")


def test_of_a_text_made_too_long_the_whole_parts_at_its_beginning_count() -> None:
    filler = ";".join(["Key=value"] * 1000)
    header = parse(f"{USUAL};{filler}")
    assert parts(header)[:3] == (ROOT, PARENT, "1")
    assert len(str(header)) <= MAX_LENGTH
    assert set(header.extra[1:].split(";")) == {"Key=value"}
    assert parts(parse(f"{filler};{USUAL}"))[:3] == (None, None, None)
    assert parse("x" * 10 * MAX_LENGTH) == NOTHING
    assert parse("x=" + "y" * MAX_LENGTH + ";" + USUAL) == NOTHING


_spaces = st.text(" \t", max_size=2)
_sampled = st.sampled_from(["0", "1"])
_hex = st.text("0123456789abcdef", min_size=16, max_size=16)
_roots = st.builds(lambda one, two: f"1-{one[:8]}-{one[8:]}{two}", _hex, _hex)
_lineages = st.none() | st.text("0123456789abcdef:", min_size=1, max_size=200)


@given(_roots, _hex, _sampled, _lineages, _spaces)
def test_the_fast_way_and_the_lenient_way_read_the_same(
    root: str, parent: str, sampled: str, lineage: str | None, spaces: str
) -> None:
    text = f"Root={root};Parent={parent};Sampled={sampled}" + (f";Lineage={lineage}" if lineage else "")
    assert usual_form(text) is not None
    lenient = f"{text}{spaces};"
    assert usual_form(lenient) is None
    assert parts(parse(text)) == parts(parse(lenient))


_likely = st.sampled_from(
    [*MALFORMED, USUAL, f"Root={ROOT}", f"Parent={PARENT}", "Sampled=?", "Self=1", LINEAGE, "a=b"]
)
_any_headers = st.text() | st.lists(_likely | st.text(string.printable, max_size=20)).map(";".join)


@given(_any_headers)
def test_no_text_at_all_makes_it_fail(text: str) -> None:
    header = parse(text)
    written = str(header)
    assert header.root is None or is_trace_id(header.root)
    assert header.parent is None or (len(header.parent) == 16 and set(header.parent) <= set("0123456789abcdef"))
    assert header.sampled in (None, "0", "1", "?")
    assert written.isascii()
    assert written == "" or written.isprintable()
    assert parts(parse_traceparent(text))[3] == ""


@given(_any_headers)
def test_what_is_written_reads_back_as_the_same(text: str) -> None:
    header = parse(text)
    again = parse(str(header))
    assert parts(again) == parts(header)
    assert again == header
    assert hash(again) == hash(header)


def test_headers_are_equal_when_they_say_the_same() -> None:
    assert parse(USUAL) == parse(f"Sampled=1; Parent={PARENT}; Root={ROOT}")
    assert parse(USUAL) != parse(f"{USUAL};a=b")
    assert parse(USUAL) != USUAL
    assert repr(parse("Sampled=0")) == "TraceHeader('Sampled=0')"


def calls(function: Callable[[], object]) -> int:
    """Count what Python calls while `function` runs: its work, whatever the machine does meanwhile."""
    count = 0

    def look(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    gc.disable()  # what it calls is no work of ours
    sys.setprofile(look)
    try:
        function()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


@pytest.mark.parametrize("part", [";", "=;", "a=b;", "Root=x;", f"Root={ROOT};", "Sampled=1;", " ;", "=", " "])
def test_reading_takes_work_in_proportion_to_the_length_and_no_more_than_for_the_longest(part: str) -> None:
    counts = [calls(lambda size=size: parse(part * size)) for size in (25, 50, 100)]  # type: ignore[misc]
    assert counts[2] - counts[1] <= 2 * (counts[1] - counts[0])
    longest = calls(lambda: parse(part * (MAX_LENGTH // len(part))))
    assert calls(lambda: parse(part * 100 * MAX_LENGTH)) <= longest + 3


@given(_roots, _hex, _sampled)
def test_a_trace_passes_through_traceparent_and_back_without_loss(root: str, parent: str, sampled: str) -> None:
    header = TraceHeader(root, parent, sampled)
    written = traceparent(header)
    if written is None:
        assert not root[2:].strip("0-") or not parent.strip("0")
    else:
        assert parse_traceparent(written) == header
        assert traceparent(parse_traceparent(written)) == written


def test_traceparent_is_written_as_the_standard_has_it() -> None:
    assert traceparent(parse(USUAL)) == "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
    assert traceparent(parse(USUAL.replace("Sampled=1", "Sampled=0"))) == f"00-{ROOT[2:].replace('-', '')}-{PARENT}-00"
    assert traceparent(parse(USUAL.replace("Sampled=1", "Sampled=?"))) == f"00-{ROOT[2:].replace('-', '')}-{PARENT}-00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"Root={ROOT}",
        f"Parent={PARENT}",
        f"Root=1-00000000-{'0' * 24};Parent={PARENT};Sampled=0",
        f"Root={ROOT};Parent={'0' * 16};Sampled=0",
    ],
)
def test_there_is_no_traceparent_without_a_trace_and_a_parent(text: str) -> None:
    assert traceparent(parse(text)) is None


W3C = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"{W3C}-01", "1"),
        (f"{W3C}-00", "0"),
        (f" {W3C}-01 ", "1"),
        (f"{W3C}-03", "1"),
        (f"{W3C}-fe", "0"),
        (f"cc{W3C[2:]}-01", "1"),
        (f"cc{W3C[2:]}-01-what-the-future-brings", "1"),
    ],
)
def test_traceparent_is_read_as_the_standard_has_it(text: str, sampled: str) -> None:
    assert parts(parse_traceparent(text)) == ("1-0af76519-16cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled, "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        W3C,
        f"{W3C}-0",
        f"{W3C}-011",
        f"{W3C}-0x",
        f"{W3C}-01-more",
        f"ff{W3C[2:]}-01",
        f"0{W3C}-01",
        W3C.upper() + "-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033310-01",
        "-" * 10 * MAX_LENGTH,
    ],
)
def test_a_malformed_traceparent_says_nothing(text: str) -> None:
    assert parse_traceparent(text) == NOTHING
