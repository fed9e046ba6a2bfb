"""Objects: the public fields of an instance, found without running it; what must not be read is only named."""

from __future__ import annotations

from itertools import islice
from types import GetSetDescriptorType, MemberDescriptorType, ModuleType

from xray_lambda._scalars import definitions_of, exception_text, label, place_of, type_name
from xray_lambda._thirdparty import load

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_MAX_FIELDS = 1000
_MAX_PICKLED_BYTES = 100_000
# Looking inside could consume a stream or an iterator, wait, or take a connection apart.
_METHODS_AT_WORK = ("__next__", "__anext__", "__await__", "__call__", "read", "recv")
_NAMED_ONLY = ("builtins.", "_thread.", "threading.", "socket.", "ssl.", "weakref.")
_FIELD_TABLES = ("__dataclass_fields__", "__pydantic_fields__", "model_fields", "__fields__")


def shown(value: object) -> object:
    """Return what stands for an instance in a snapshot: a dict of its public fields, or a text that names it.

    Private attributes and fields that their class keeps out of its repr or its dumps are left out.
    """
    kind = type(value)
    if issubclass(kind, BaseException):
        return {"type": type_name(kind), "message": exception_text(value)}  # type: ignore[arg-type]
    if issubclass(kind, (type, ModuleType)) or _works(kind) or place_of(kind).startswith(_NAMED_ONLY):
        return label(value)
    hidden = _hidden_fields(kind)
    fields = {name: item for name, item in _fields(value, kind) if not name.startswith("_") and name not in hidden}
    if fields or _has_fields(kind):
        return fields or label(value)
    return _pickled(value)


def _works(kind: type) -> bool:
    """Say whether a class has one of those methods; a field called `read` is none."""
    return any(callable(own.get(name)) for own in definitions_of(kind) for name in _METHODS_AT_WORK)


def _fields(value: object, kind: type) -> Iterator[tuple[str, object]]:
    """Yield what an instance holds in slots and in its dict, each in its own order, and no more than bounded."""
    for own in reversed(definitions_of(kind)):
        for name in _slots(own):
            slot = own.get(name)
            if type(slot) is MemberDescriptorType:
                try:
                    yield name, slot.__get__(value)
                except AttributeError:  # declared and never set
                    continue
    state = _state(value, kind)
    yield from ((name, item) for name, item in list(islice(dict.items(state), _MAX_FIELDS)) if type(name) is str)
    if dict.__len__(state) > _MAX_FIELDS:
        yield "…", f"{dict.__len__(state) - _MAX_FIELDS} more"


def _slots(own: Mapping[str, Any]) -> list[str]:
    """Return the names in `__slots__` in their own order, where it is something that can be read twice."""
    slots: Any = own.get("__slots__")
    names = list(slots) if type(slots) in (tuple, list, dict) else [slots]
    return [name for name in names if type(name) is str]


def _state(value: object, kind: type) -> dict[object, object]:
    """Return the instance's own dict; `vars` could run a property of that name."""
    for own in definitions_of(kind):
        descriptor: Any = own.get("__dict__")
        if type(descriptor) in (GetSetDescriptorType, MemberDescriptorType):
            state = descriptor.__get__(value)
            return state if issubclass(type(state), dict) else {}
    return {}


def _has_fields(kind: type) -> bool:
    """Say whether instances keep fields where we look for them, as those of every class statement do."""
    return any("__slots__" in own or "__dict__" in own for own in definitions_of(kind))


def _hidden_fields(kind: type) -> frozenset[str]:
    """Return the fields that dataclasses, attrs, pydantic 1 and 2 keep out of a repr or a dump."""
    hidden: set[str] = set()
    for own in definitions_of(kind):
        for table in _FIELD_TABLES:
            fields = own.get(table)
            if type(fields) is dict:
                hidden.update(name for name, field in fields.items() if _is_hidden(field))
        attributes = own.get("__attrs_attrs__", ())
        hidden.update(field.name for field in attributes if _is_hidden(field))
    return frozenset(hidden)


def _is_hidden(field: object) -> bool:
    """Say so where `repr` is off or a function of its own, which stands there to redact."""
    info = getattr(field, "field_info", field)  # pydantic 1 keeps it one level deeper
    return getattr(info, "repr", True) is not True or getattr(info, "exclude", None) not in (None, False)


def _pickled(value: object) -> object:
    """Return what jsonpickle makes of an object of an extension type; what that holds is not flattened in turn."""
    if type(value).__sizeof__(value) > _MAX_PICKLED_BYTES:
        return label(value)
    jsonpickle: Any = load("jsonpickle")  # it costs tens of milliseconds, and few programs ever need it

    class OneLevel(jsonpickle.Pickler):  # type: ignore[misc] # it has no types
        """Leaves what the object holds to the bounds of our own walk."""

        def _flatten(self, item: object) -> object:
            return super()._flatten(item) if item is value else item

    return OneLevel(unpicklable=False, make_refs=False).flatten(value) or label(value)
