"""A trace as lines: name, bar on the trace's time line, milliseconds; below it what the document says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xray_lambda.cli import tree
from xray_lambda.cli.console import columns, printable, shortened
from xray_lambda.cli.details import details, exceptions_by_id, flags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xray_lambda.cli.console import Console
    from xray_lambda.cli.receiver import Document
    from xray_lambda.cli.tree import Branch

FIGURE_WIDTH = 13
NARROWEST_BAR = 16
SHORTEST_NAME = 8
DEEPEST_INDENT = 12


class _Glyphs(NamedTuple):
    fork: str
    corner: str
    line: str
    gap: str
    bar: str


_UNICODE = _Glyphs("├─ ", "└─ ", "│  ", "   ", "█")
_ASCII = _Glyphs("|- ", "`- ", "|  ", "   ", "#")


class _Line(NamedTuple):
    """One document's line, in the pieces that its colours and its cuts need."""

    document: Document
    guides: str
    name: str
    words: tuple[str, ...]
    guides_below: str

    @property
    def colour(self) -> str:
        return next(iter(flags(self.document).values()), "")


class _TimeLine(NamedTuple):
    start: float
    length: float
    width: int


def draw(documents: Iterable[Document], root: Document, console: Console, remark: str = tree.ROOT) -> Iterator[str]:
    """Yield the lines of the tree that hangs from `root`, as wide as the console; `remark` is said of `root`."""
    glyphs = _UNICODE if console.unicode else _ASCII
    lines = [_line(branch, glyphs) for branch in tree.branches(documents, root, remark)]
    width = min(max(_width(line) for line in lines), console.width - FIGURE_WIDTH - NARROWEST_BAR - 2)
    time_line = _time_line(lines, console.width - FIGURE_WIDTH - width - 2)
    known = exceptions_by_id(line.document for line in lines)
    for line in lines:
        bar = _bar(line, time_line, glyphs.bar, console)
        yield f"{_label(line, width, console)}  {bar}{_figure(line.document):>{FIGURE_WIDTH}}"
        for detail in details(line.document, known, console, console.width - columns(line.guides_below)):
            yield console.paint(line.guides_below, "dim") + detail


def _line(branch: Branch, glyphs: _Glyphs) -> _Line:
    *above, last = branch.lasts or (None,)
    guides = "".join(glyphs.gap if ended else glyphs.line for ended in above[:DEEPEST_INDENT])
    if len(above) > DEEPEST_INDENT:
        guides += f"(level {len(above) + 1}) "
    elbow = "" if last is None else glyphs.corner if last else glyphs.fork
    below = "" if last is None else glyphs.gap if last else glyphs.line
    return _Line(
        branch.document,
        guides + elbow,
        printable(branch.document.get("name") or "(no name)", 200),
        tuple(_words(branch)),
        guides + below + (glyphs.line if branch.has_children else glyphs.gap),
    )


def _words(branch: Branch) -> Iterator[str]:
    yield from flags(branch.document)
    if branch.document.get("in_progress"):
        yield "in progress"
    if branch.remark:
        yield f"({printable(branch.remark)})"


def _width(line: _Line) -> int:
    return columns(line.guides) + columns(line.name) + sum(2 + columns(word) for word in line.words)


def _label(line: _Line, width: int, console: Console) -> str:
    """Return guides, name and words, padded to `width`; a name that is too long is cut."""
    name = shortened(line.name, max(width - _width(line) + columns(line.name), SHORTEST_NAME))
    padding = " " * (width - _width(line._replace(name=name)))
    raised = flags(line.document)
    words = "".join(f"  {console.paint(word, raised.get(word, 'dim'))}" for word in line.words)
    return console.paint(line.guides, "dim") + console.paint(name, "bold", *_styles(line)) + words + padding


def _styles(line: _Line) -> tuple[str, ...]:
    return (line.colour,) if line.colour else ()


def _time_line(lines: list[_Line], width: int) -> _TimeLine:
    """Spread the whole trace over `width` columns."""
    starts = [start for line in lines if (start := tree.number(line.document, "start_time")) is not None]
    ends = [end for line in lines if (end := tree.ended(line.document)) is not None]
    start = min(starts, default=0.0)
    return _TimeLine(start, max(max(starts + ends, default=start) - start, 1e-9), width)


def _bar(line: _Line, time_line: _TimeLine, glyph: str, console: Console) -> str:
    start = tree.number(line.document, "start_time")
    if start is None:
        return " " * time_line.width
    end = tree.ended(line.document)
    left = min(_cells(start - time_line.start, time_line), time_line.width - 1)
    right = time_line.width if end is None else _cells(end - time_line.start, time_line)
    length = min(max(right - left, 1), time_line.width - left)
    rest = " " * (time_line.width - left - length)
    return " " * left + console.paint(glyph * length, line.colour or "cyan") + rest


def _cells(seconds: float, time_line: _TimeLine) -> int:
    return round(max(seconds, 0.0) / time_line.length * time_line.width)


def _figure(document: Document) -> str:
    start, end = tree.number(document, "start_time"), tree.ended(document)
    return "not ended" if start is None or end is None else milliseconds(end - start)


def milliseconds(seconds: float) -> str:
    """Write a duration with the digits that mean something: `0.042 ms`, `12.3 ms`, `1,204 ms`."""
    value = seconds * 1000
    decimals = 3 if abs(value) < 1 else 1 if abs(value) < 1000 else 0
    return f"{value:,.{decimals}f} ms"
