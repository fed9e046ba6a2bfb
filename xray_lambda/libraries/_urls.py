"""URLs: the name of the host that one leads to, and what an HTTP library says of a failed call without its secrets."""

from __future__ import annotations

import re

from xray_lambda._scalars import exception_text
from xray_lambda._sections import without_secrets

NOWHERE = "unknown"
_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_MAX_READ = 2000

# In a message, a URL ends where a space or a quote comes; of some, only the path and the query stand there.
_URL = re.compile(r"://[^\s'\"<>]*")
_QUERY = re.compile(r"(?<=[^\s'\"<>])\?[^\s'\"<>]+")


def host_of(url: str) -> str:
    """Return the host of a URL without userinfo, and its port where that is not the scheme's own; or NOWHERE."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    name, colon, port = host.rpartition(":")
    if colon and (not port or port == _DEFAULT_PORTS.get(scheme.lower())):
        host = name
    return host.lower() or NOWHERE


def url_of(scheme: str, host: str, port: int | None, target: str) -> str:
    """Return the URL of a request to `host`; a proxy is sent one that is whole already."""
    if not target.startswith("/") and "://" in target.partition("?")[0]:
        return target
    place = f"[{host}]" if ":" in host and not host.startswith("[") else host
    slash = "" if target.startswith("/") else "/"
    return f"{scheme}://{place}{slash}{target}" if port is None else f"{scheme}://{place}:{port}{slash}{target}"


def message_of(error: BaseException) -> str:
    """Return the message of an HTTP library's exception without userinfo and query of the URLs in it."""
    text = exception_text(error)[:_MAX_READ]
    return _QUERY.sub("?…", _URL.sub(lambda url: without_secrets("x" + url[0])[1:], text))
