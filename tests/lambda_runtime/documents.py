"""Makes documents comparable whole: random ids become numbers, times are checked and go, paths become short."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lambda_runtime.runtime_api import PARENT, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.emitters.daemon import Document

_DROPPED = ("start_time", "end_time", "working_directory")
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")


def plain(value: Any) -> Any:
    """Return documents, or anything that has documents or their ids in it, in a form to compare.

    Ids become `#1`, `#2`... in their order, here and wherever they are referred to; those that nothing refers to
    go. Times go once they make sense, `working_directory` goes, frames become `app.py:7 f`.
    """
    ended = list(_ids(value, in_progress=False))
    assert len(set(ended)) == len(ended), f"an id occurs twice: {ended}"
    ids = dict.fromkeys(_ids(value, in_progress=True))
    return _plain(value, {one: f"#{number}" for number, one in enumerate(_referred(value, ids), 1)})


def handled(name: str = "handler", /, **more: Any) -> Document:
    """Return what `plain` makes of a warm invocation's document; `more` is added, and replaces."""
    document = {"type": "subsegment", "trace_id": ROOT, "parent_id": PARENT, "name": name}
    return {**document, "annotations": {"ColdStart": False}, **more}


def cold(name: str = "handler", /, **more: Any) -> Document:
    """Return what `plain` makes of the document of an environment's first invocation."""
    return handled(name, **{**more, "annotations": {"ColdStart": True, **more.get("annotations", {})}})


def _ids(value: Any, *, in_progress: bool) -> Iterator[str]:
    """Yield the ids of all entities and exceptions, parents first, those of work in progress if wanted."""
    for key, inner in _items(value):
        if key == "id" and _ID.fullmatch(str(inner)) and (in_progress or "in_progress" not in value):
            yield inner
        yield from _ids(inner, in_progress=in_progress)


def _referred(value: Any, ids: Iterable[str]) -> list[str]:
    said = [one for text in _texts(value) for one in _ID.findall(text)]
    return [one for one in ids if said.count(one) > 1]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for _, inner in _items(value):
        yield from _texts(inner)


def _items(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list | tuple) else []


def _plain(value: Any, numbers: dict[str, str]) -> Any:
    if isinstance(value, str):
        return _ID.sub(lambda found: numbers.get(found[0], found[0]), value)
    if isinstance(value, list | tuple):
        return [_plain(one, numbers) for one in value]
    if not isinstance(value, dict):
        return value
    if "path" in value and "line" in value:
        return f"{Path(value['path']).name}:{value['line']} {value['label']}"
    assert "in_progress" in value or value.get("start_time", 0) <= value.get("end_time", 0), value
    kept = {key: one for key, one in value.items() if key not in _DROPPED and (key != "id" or one in numbers)}
    return {key: _plain(one, numbers) for key, one in kept.items()}
