"""Sections: what may stand in a document's `http`, `aws`, `sql`, `links`; nothing else does. And metadata's names."""

from __future__ import annotations

from xray_lambda import _header
from xray_lambda._entity import Entity
from xray_lambda._values import Budget, clean, snapshot

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Lengths in characters: X-Ray takes 250 of what has no rule of its own, and leaves SQL and AWS values open.
_MAX_TEXT = 250
_MAX_SQL = 10_000
_MAX_AWS_BYTES = 10_000
# X-Ray takes 20 links a segment, and 100 a trace, which nobody can count from here.
MAX_LINKS = 20
_MAX_LINK_BYTES = 500

_REQUEST = ("method", "url", "user_agent", "client_ip")
_AWS_TEXTS = ("operation", "account_id", "region", "request_id", "queue_url", "table_name")
_SQL = ("connection_string", "url", "sanitized_query", "database_type", "database_version", "driver_version", "user")
_PREPARATIONS = ("call", "statement")


def request_fields(fields: Mapping[str, object], marks: tuple[str, ...]) -> dict[str, object]:
    """Return the fields of an HTTP request; `marks` names the true-or-false ones, which differ by entity."""
    texts: dict[str, object] = {name: _text(fields[name], _MAX_TEXT) for name in _given(fields, _REQUEST)}
    if "url" in texts:
        texts["url"] = _text(without_secrets(str(fields["url"])), _MAX_TEXT)
    return texts | {name: bool(fields[name]) for name in _given(fields, marks)}


def response_fields(code: int, content_length: int | None) -> dict[str, object]:
    """Return the fields of an HTTP response; the length is in bytes."""
    fields: dict[str, object] = {"status": int(code)}
    return fields if content_length is None else fields | {"content_length": int(content_length)}


def aws_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an AWS call, bounded; those that X-Ray knows are texts, any other is plain data."""
    return {
        clean(name)[:_MAX_TEXT]: _text(value, _MAX_TEXT) if name in _AWS_TEXTS else _plain(value)
        for name, value in fields.items()
        if value is not None
    }


def sql_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a SQL call: texts, the user of at most 250 characters."""
    known: dict[str, object] = {
        name: _text(fields[name], _MAX_TEXT if name == "user" else _MAX_SQL) for name in _given(fields, _SQL)
    }
    if "url" in known:
        known["url"] = _text(without_secrets(str(fields["url"])), _MAX_SQL)
    preparation = fields.get("preparation")
    return known | {"preparation": preparation} if preparation in _PREPARATIONS else known


def link_fields(to: object, attributes: Mapping[str, object]) -> dict[str, object] | None:
    """Return the link to what a trace header or an entity stands for; None where that cannot be told."""
    header = to.header() if isinstance(to, Entity) else _read(to)
    if header is None or header.root is None or header.parent is None:
        return None
    link: dict[str, object] = {"trace_id": header.root, "id": header.parent}
    return {**link, "attributes": snapshot(attributes, Budget(_MAX_LINK_BYTES))} if attributes else link


def add_link(links: list[dict[str, object]], link: dict[str, object]) -> None:
    """Add a link, once, unless X-Ray would take no more."""
    if len(links) < MAX_LINKS and not any(
        one["id"] == link["id"] and one["trace_id"] == link["trace_id"] for one in links
    ):
        links.append(link)


def _read(header: object) -> _header.TraceHeader | None:
    if isinstance(header, _header.TraceHeader):
        return header
    if not isinstance(header, str):
        return None
    found = _header.parse(header)
    return found if found.root else _header.parse_traceparent(header)


def user_text(name: object) -> str:
    """Return who a request was made for, as X-Ray takes it."""
    return _text(name, _MAX_TEXT)


def metadata_namespace(name: object) -> str:
    """Return a metadata namespace; X-Ray keeps those that begin with `AWS.` for itself."""
    text = clean(name)[:_MAX_TEXT] if isinstance(name, str) else "default"
    return "AWS_" + text[4:] if text.startswith("AWS.") else text


def _given(fields: Mapping[str, object], names: Iterable[str]) -> list[str]:
    return [name for name in names if fields.get(name) is not None]


def without_secrets(url: str) -> str:
    """Return a URL without userinfo, query and fragment, which may hold passwords and tokens: RFC 3986, section 3.

    Of one whose password has a slash that is not escaped, and that leads nowhere therefore, the scheme is left.
    """
    if "@" not in url and "?" not in url and "#" not in url:  # most have nothing to hide, which this says in 0.1 us
        return url
    address = url.partition("#")[0].partition("?")[0]
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    host, slash, path = rest.partition("/")
    if "@" in path and ":" in host and not host.rpartition(":")[2].isdigit():
        return scheme + separator
    return scheme + separator + host.rpartition("@")[2] + slash + path


def _text(value: object, length: int) -> str:
    return clean(str(value)[:length])


def _plain(value: object) -> object:
    return snapshot(value, Budget(_MAX_AWS_BYTES))
