"""Documents -> one tree: embedded and independent subsegments, joined by parent id, the oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xray_lambda.cli.receiver import Document

ROOT = "in place of Lambda's own segment"
PARENT_MISSING = "its parent never came"
OTHER_TRACE = "of another trace"


class Branch(NamedTuple):
    """A document in its place; `lasts` says of each ancestor and of itself whether it is the last child."""

    document: Document
    lasts: tuple[bool, ...]
    has_children: bool
    remark: str


class _Found(NamedTuple):
    document: Document
    parent: str | None
    trace: str | None


def branches(documents: Iterable[Document], root: Document, remark: str = ROOT) -> Iterator[Branch]:
    """Walk the tree from `root` downward, each document once; `remark` is what to say of `root` itself.

    What names no parent that came hangs under `root` with a remark. Nothing here recurses: a document decides
    how deep a tree is.
    """
    found = _by_id(documents)
    children = _by_parent(found)
    waiting: list[tuple[str, tuple[bool, ...]]] = [("", ())]
    while waiting:
        key, lasts = waiting.pop()
        below = children.get(key, [])
        document = found[key].document if key else root
        yield Branch(document, lasts, bool(below), _remark(found[key], lasts, root, found) if key else remark)
        last = len(below) - 1
        waiting.extend((below[place], (*lasts, place == last)) for place in range(last, -1, -1))


def _by_id(documents: Iterable[Document]) -> dict[str, _Found]:
    """Find every document, embedded ones too; a complete document takes the place of the one in progress."""
    found: dict[str, _Found] = {}
    waiting = [_Found(document, text(document, "parent_id"), text(document, "trace_id")) for document in documents]
    waiting.reverse()
    while waiting:
        item = waiting.pop()
        key = text(item.document, "id") or f"no id {len(found)}"
        if key not in found or found[key].document.get("in_progress"):
            found[key] = item
        embedded = [_Found(child, key, item.trace) for child in dictionaries(item.document.get("subsegments"))]
        waiting.extend(reversed(embedded))
    return found


def _by_parent(found: dict[str, _Found]) -> dict[str, list[str]]:
    """List the children of each, oldest first; "" is the root, which adopts whatever has no parent here."""
    children: dict[str, list[str]] = {}
    for key in sorted(found, key=lambda key: started(found[key].document)):
        parent = found[key].parent
        children.setdefault(parent if parent in found and parent is not None else "", []).append(key)
    _free_from_circles(found, children)
    return children


def _free_from_circles(found: dict[str, _Found], children: dict[str, list[str]]) -> None:
    """Hang under the root what names itself as its own ancestor, else no walk from the root would meet it."""
    unmet = dict.fromkeys(sorted(found, key=lambda key: started(found[key].document)))
    _forget_all_below("", children, unmet)
    while unmet:
        key = next(iter(unmet))
        children[found[key].parent or ""].remove(key)
        children.setdefault("", []).append(key)
        del unmet[key]
        _forget_all_below(key, children, unmet)


def _forget_all_below(key: str, children: dict[str, list[str]], unmet: dict[str, None]) -> None:
    waiting = list(children.get(key, []))
    while waiting:
        met = waiting.pop()
        if met in unmet:
            del unmet[met]
            waiting.extend(children.get(met, []))


def _remark(item: _Found, lasts: tuple[bool, ...], root: Document, found: dict[str, _Found]) -> str:
    if len(lasts) != 1:
        return ""
    if item.trace is not None and item.trace != root.get("trace_id"):
        return f"{OTHER_TRACE}, {item.trace}"
    if item.parent in (root.get("id"), None) and item.parent not in found:
        return ""
    return PARENT_MISSING


def text(document: Document, key: str) -> str | None:
    """Return a field that is a text and not empty, else None."""
    value = document.get(key)
    return value if isinstance(value, str) and value else None


def number(document: Document, key: str) -> float | None:
    """Return a field that is a finite number, else None."""
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e18 else None  # further than any time; NaN is not below it either


def dictionary(document: Document, key: str) -> Document:
    """Return a field that is an object, else an empty one."""
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def dictionaries(value: object) -> list[Document]:
    """Return the objects in a list; none where `value` is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def started(document: Document) -> float:
    """Return the start time; what has none sorts first."""
    return number(document, "start_time") or 0.0


def ended(document: Document) -> float | None:
    """Return the end time; None while in progress."""
    return number(document, "end_time")
