"""What stands in Django's settings: `XRAY = {"service": "shop", ...}`, and aws-xray-sdk's `XRAY_RECORDER`.

`XRAY` takes every setting of `configure`, and those of `_OWN`. What makes no sense is told once, and left out.
"""

from __future__ import annotations

import logging
import os
from difflib import get_close_matches

from django.conf import settings
from django.utils.module_loading import import_string

from xray_lambda import _config
from xray_lambda._guard import say_once
from xray_lambda._recorder import configure
from xray_lambda.libraries import patch, patch_all
from xray_lambda.web._door import Door
from xray_lambda.web.django import caches, databases, templates

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from xray_lambda.web.wsgi import User


class Options:
    """What the settings say; `problems` is what they say wrongly, in words."""

    def __init__(self) -> None:
        self.hosts: str | None = None
        self.user_agent = False
        self.user: User = False
        self.databases = True
        self.templates = True
        self.caches = True
        self.sql = True
        self.patch: tuple[str, ...] = ()
        self.recorder: dict[str, object] = {}
        self.problems: list[str] = []


def _user(value: object) -> User:
    if isinstance(value, str):
        value = import_string(value)
    if not isinstance(value, bool) and not callable(value):
        raise ValueError("expected True, a function of the request, or where one is")
    return value


# What XRAY may say beside the settings of `configure`: of requests, of Django, and which libraries to trace.
_OWN: dict[str, Callable[[object], object]] = {
    "hosts": _config.parse_text,
    "user_agent": _config.parse_flag,
    "user": _user,
    "databases": _config.parse_flag,
    "templates": _config.parse_flag,
    "caches": _config.parse_flag,
    "sql": _config.parse_flag,
    "patch": _config.parse_libraries,
}
_KNOWN = (*_OWN, *(row.name for row in _config.SETTINGS if row.name != "patch"))

# aws-xray-sdk's keys that say what one of ours does, and why the others do nothing.
_PEERS = {
    "AWS_XRAY_DAEMON_ADDRESS": "daemon_address",
    "AWS_XRAY_CONTEXT_MISSING": "context_missing",
    "AWS_XRAY_TRACING_NAME": "service",
    "DYNAMIC_NAMING": "hosts",
    "SAMPLING_RULES": "sampling_rules",
    "MAX_TRACE_BACK": "stack_frames",
    "STREAM_SQL": "sql",
    "PATCH_MODULES": "patch",
}
_ENVIRONMENT_FIRST = ("AWS_XRAY_DAEMON_ADDRESS", "AWS_XRAY_CONTEXT_MISSING", "AWS_XRAY_TRACING_NAME")
_WITHOUT_EFFECT = {
    "PLUGINS": "the host is described without being asked for",
    "SAMPLER": "who decides is set by XRAY['sampling']",
    "STREAMING_THRESHOLD": "finished work is sent by its size: XRAY['stream_bytes']",
    "AUTO_PATCH_PARENT_SEGMENT_NAME": "work outside a request needs `with segment(...)`",
    "IGNORE_MODULE_PATTERNS": "modules are named by `patch_modules`",
    "URLS_AS_ANNOTATION": "the route is the annotation `route`, the URL stands in `http`",
}


def read(ours: object, peers: object, environ: Mapping[str, str]) -> Options:
    """Return what the two dicts say; ours wins, and the environment over the three AWS_XRAY_... of the other."""
    options = Options()
    for dictionary, origin, rows in (
        (peers, "XRAY_RECORDER", _translated(_items(peers), environ, options.problems)),
        (ours, "XRAY", ((f"XRAY[{key!r}]", str(key), value) for key, value in _items(ours))),
    ):
        if not isinstance(dictionary, dict):
            options.problems.append(f"{origin} is ignored: expected a dict, not {dictionary!r:.100}")
        for origin_of_key, name, value in rows:
            _set(options, origin_of_key, name, value)
    return options


def _items(dictionary: object) -> list[tuple[object, object]]:
    return list(dictionary.items()) if isinstance(dictionary, dict) else []


def _translated(
    items: list[tuple[object, object]], environ: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[str, str, object]]:
    for key, value in items:
        origin, known = f"XRAY_RECORDER[{key!r}]", str(key)
        if known == "AUTO_INSTRUMENT":
            yield from ((origin, name, bool(value)) for name in ("databases", "templates", "caches"))
        elif known == "SAMPLING":
            yield from [(origin, "sampling", "all")] if not value else []
        elif known in _PEERS:
            if value is not None and not (known in _ENVIRONMENT_FIRST and environ.get(known)):
                yield origin, _PEERS[known], value
        elif value:
            problems.append(f"{origin} has no effect: {_WITHOUT_EFFECT.get(known, 'this key is unknown')}")


def _set(options: Options, origin: str, name: str, value: object) -> None:
    """Take one setting, or note why it cannot be taken."""
    try:
        if name in _OWN:
            setattr(options, name, _OWN[name](value))
        elif name in _KNOWN:
            _config.load({}, **{name: value})
            options.recorder[name] = value
        else:
            close = get_close_matches(name.lower(), _KNOWN, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            options.problems.append(f"{origin} is unknown: {hint}The known keys are {', '.join(_KNOWN)}")
    except (ValueError, ImportError) as error:
        options.problems.append(f"{origin} is ignored: {error}")


_read: list[tuple[object, object, Options]] = []


def current() -> Options:
    """Return what the settings say now."""
    ours, peers = getattr(settings, "XRAY", {}), getattr(settings, "XRAY_RECORDER", {})
    if not _read or _read[0][:2] != (ours, peers):
        _read[:] = [(_copy(ours), _copy(peers), read(ours, peers, os.environ))]
    return _read[0][2]


def _copy(value: Any) -> object:
    return dict(value) if isinstance(value, dict) else value


_installed: list[Options] = []


def install() -> Options:
    """Do what the settings say, and tell once of each that makes no sense; a second call changes nothing."""
    options = current()
    if _installed != [options]:
        _installed[:] = [options]
        if options.recorder:
            configure(**options.recorder)
        _patch(options)
        for problem in options.problems:
            say_once(logging.WARNING, problem, "xray_lambda: %s", problem)
    if options.databases:
        databases.trace_them(statements=options.sql)
    if options.templates:
        templates.trace_them()
    if options.caches:
        caches.trace_them()
    return options


def door_of(options: Options, otherwise: str) -> Door:
    """Return the door that the settings describe."""
    config = _config.load({}, **options.recorder)
    return Door(
        service=config.service,
        hosts=options.hosts,
        ignore_paths=config.ignore_paths,
        user_agent=options.user_agent,
        otherwise=otherwise,
    )


def _patch(options: Options) -> None:
    for name in options.patch:
        try:
            patch_all() if name == "all" else patch(name)
        except ValueError as error:
            problem = f"XRAY['patch']: {error}"
            if problem not in options.problems:
                options.problems.append(problem)
