"""Django's settings: what `XRAY` and the peer's `XRAY_RECORDER` say, what is wrong with them, and what they switch."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import override_settings
from django.utils.functional import SimpleLazyObject

from tests.schema import checked
from tests.web import django_site
from xray_lambda import segment, subsegment
from xray_lambda._recorder import active
from xray_lambda.testing import capture
from xray_lambda.web.django import XRayMiddleware
from xray_lambda.web.django import caches as our_caches
from xray_lambda.web.django.apps import check
from xray_lambda.web.django.settings import current, install, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

PEERS = {
    "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:3000",
    "AUTO_INSTRUMENT": True,
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "PLUGINS": (),
    "SAMPLING": True,
    "SAMPLING_RULES": None,
    "SAMPLER": None,
    "AWS_XRAY_TRACING_NAME": "shop",
    "DYNAMIC_NAMING": None,
    "STREAMING_THRESHOLD": None,
    "MAX_TRACE_BACK": None,
    "STREAM_SQL": True,
    "PATCH_MODULES": [],
    "AUTO_PATCH_PARENT_SEGMENT_NAME": None,
    "IGNORE_MODULE_PATTERNS": [],
    "URLS_AS_ANNOTATION": None,
}


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as caught:
        yield caught
        for document in caught._emitter.documents:
            checked(document)


def test_our_own_settings_are_those_of_configure_and_some_of_djangos() -> None:
    options = read(
        {"service": "shop", "stack_frames": 5, "hosts": "*.example.com", "user_agent": True, "databases": False,
         "caches": False, "templates": False, "sql": False, "patch": ["requests", "boto3"], "user": True},
        {}, {},
    )  # fmt: skip
    assert options.recorder == {"service": "shop", "stack_frames": 5}
    assert (options.hosts, options.user_agent, options.user) == ("*.example.com", True, True)
    assert (options.databases, options.caches, options.templates, options.sql) == (False,) * 4
    assert options.patch == ("requests", "boto3")
    assert options.problems == []


def test_the_peers_keys_are_understood_with_its_defaults() -> None:
    options = read({}, PEERS, {})
    assert options.recorder == {"daemon_address": "127.0.0.1:3000", "context_missing": "LOG_ERROR", "service": "shop"}
    assert (options.databases, options.templates, options.caches, options.sql) == (True,) * 4
    assert options.problems == []


def test_the_peers_keys_say_what_they_said() -> None:
    rules = {"version": 2, "default": {"fixed_target": 1, "rate": 0.1}}
    given = {"SAMPLING": False, "SAMPLING_RULES": rules, "DYNAMIC_NAMING": "*.example.com", "MAX_TRACE_BACK": 7,
             "STREAM_SQL": False, "PATCH_MODULES": ["requests"], "AUTO_INSTRUMENT": False}  # fmt: skip
    options = read({}, given, {})
    assert options.recorder == {"sampling": "all", "sampling_rules": rules, "stack_frames": 7}
    assert (options.hosts, options.sql, options.patch) == ("*.example.com", False, ("requests",))
    assert (options.databases, options.templates, options.caches) == (False,) * 3
    assert options.problems == []


def test_the_environment_wins_over_the_peers_keys_and_our_own_over_both() -> None:
    environ = {"AWS_XRAY_TRACING_NAME": "from-environ"}
    assert read({}, {"AWS_XRAY_TRACING_NAME": "peers"}, environ).recorder == {}
    assert read({"service": "ours"}, {"AWS_XRAY_TRACING_NAME": "peers"}, environ).recorder == {"service": "ours"}


@pytest.mark.parametrize(
    ("ours", "peers", "words"),
    [
        ({"servise": "shop"}, {}, "XRAY['servise'] is unknown: did you mean 'service'?"),
        ({"service": 7}, {}, "XRAY['service'] is ignored: service=7: expected a text"),
        ({"user": 7}, {}, "XRAY['user'] is ignored: expected True, a function"),
        ({"user": "no.such.function"}, {}, "XRAY['user'] is ignored: No module named 'no'"),
        ({"databases": "perhaps"}, {}, "XRAY['databases'] is ignored: expected true or false"),
        ("shop", {}, "XRAY is ignored: expected a dict"),
        ({}, ["shop"], "XRAY_RECORDER is ignored: expected a dict"),
        ({}, {"PLUGINS": ("EC2Plugin",)}, "XRAY_RECORDER['PLUGINS'] has no effect: the host is described"),
        ({}, {"STREAMING_THRESHOLD": 10}, "XRAY_RECORDER['STREAMING_THRESHOLD'] has no effect"),
        ({}, {"URLS_AS_ANNOTATION": "ALL"}, "XRAY_RECORDER['URLS_AS_ANNOTATION'] has no effect"),
        ({}, {"NONSENSE": 1}, "XRAY_RECORDER['NONSENSE'] has no effect: this key is unknown"),
        ({}, {"AWS_XRAY_CONTEXT_MISSING": "SHOUT"}, "XRAY_RECORDER['AWS_XRAY_CONTEXT_MISSING'] is ignored"),
    ],
)
def test_what_makes_no_sense_is_a_problem_and_left_out(ours: object, peers: object, words: str) -> None:
    (problem,) = read(ours, peers, {}).problems
    assert problem.startswith(words)


def test_a_problem_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with override_settings(XRAY={"servise": "shop", "patch": "no-such-library"}), caplog.at_level(logging.WARNING):
        for _ in range(3):
            XRayMiddleware(lambda request: HttpResponse())
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith("xray_lambda: XRAY['servise'] is unknown")
    assert told[1].startswith("xray_lambda: XRAY['patch']: unknown library 'no-such-library'")


def test_the_check_says_what_is_wrong_with_the_settings_and_where_the_middleware_stands() -> None:
    with override_settings(XRAY={"servise": "shop"}, MIDDLEWARE=[]):
        assert [message.id for message in check(None)] == ["xray_lambda.W001", "xray_lambda.W002"]
    with override_settings(XRAY={}, MIDDLEWARE=["other.Middleware", django_site.DOOR]):
        assert [message.id for message in check(None)] == ["xray_lambda.I001"]
    with override_settings(XRAY={}, MIDDLEWARE=[django_site.DOOR]):
        assert check(None) == []
        call_command("check", verbosity=0)


def test_the_settings_reach_the_recorder() -> None:
    with override_settings(XRAY={"service": "from-django", "stack_frames": 3}):
        install()
    assert (active().config.service, active().config.stack_frames) == ("from-django", 3)


def test_libraries_are_traced_where_the_settings_name_them(traces: Traces) -> None:
    import sqlite3

    with override_settings(XRAY={"patch": "sqlite3"}):
        install()
        connection = sqlite3.connect(":memory:")
    with segment("command"):
        connection.execute("SELECT 1")
    connection.close()
    assert traces.one.names() == ("command", [(":memory:", [])])


class User:
    """A user as Django's authentication has it."""

    is_authenticated = True

    def get_username(self) -> str:
        return "ada"


def answered_with(traces: Traces, **known: object) -> str | None:
    """Return the user that is recorded of a request with these attributes."""

    def view(request: Any) -> HttpResponse:
        for name, value in known.items():
            setattr(request, name, value)
        return HttpResponse()

    with override_settings(XRAY={"user": True}):
        XRayMiddleware(view)(RequestFactory().get("/")).close()
    user: str | None = traces.one.document.get("user")
    return user


@pytest.mark.parametrize("name", ["user", "_cached_user", "_acached_user"])
def test_who_asked_is_recorded_where_the_program_has_found_out(traces: Traces, name: str) -> None:
    assert answered_with(traces, **{name: User()}) == "ada"


def test_a_user_is_never_looked_up_for_us(traces: Traces) -> None:
    def look() -> None:
        raise AssertionError

    assert answered_with(traces, user=SimpleLazyObject(look)) is None


def test_nobody_has_no_name(traces: Traces) -> None:
    from django.contrib.auth.models import AnonymousUser

    assert answered_with(traces, user=AnonymousUser()) is None


def who_asked(request: Any) -> str:
    return str(request.headers["X-User"])


def test_a_function_may_say_who_asked(traces: Traces) -> None:
    with override_settings(XRAY={"user": f"{__name__}.who_asked"}):
        XRayMiddleware(lambda request: HttpResponse())(RequestFactory().get("/", headers={"X-User": "grace"})).close()
    assert traces.one.document["user"] == "grace"


@pytest.mark.parametrize(
    ("alias", "name"), [("default", "LocMemCache"), ("files", "FileBasedCache"), ("dummy", "DummyCache")]
)
def test_each_operation_of_a_cache_is_one_subsegment_without_its_keys(traces: Traces, alias: str, name: str) -> None:
    our_caches.trace_them()
    cache = caches[alias]
    with segment("request"):
        cache.set("secret-key", "secret-value")
        cache.get("secret-key")
        cache.get_or_set("secret-key", "secret-value")
        cache.set_many({"secret-key": "secret-value"})
        cache.get_many(["secret-key"])
        cache.add("secret-key", 1)
        cache.touch("secret-key")
        cache.has_key("secret-key")
        cache.delete_many(["secret-key"])
        cache.delete("secret-key")
        cache.clear()
    operations = ["set", "get", "get_or_set", "set_many", "get_many", "add", "touch", "has_key"]
    operations += ["delete_many", "delete", "clear"]
    assert traces.one.names() == ("request", [(f"{name}.{operation}", []) for operation in operations])
    assert "secret" not in str(traces.documents)


def test_asynchronous_operations_are_seen_too(traces: Traces) -> None:
    our_caches.trace_them()

    async def main() -> None:
        await caches["default"].aset("key", 1)
        assert await caches["default"].aget("key") == 1

    with segment("request"):
        asyncio.run(main())
    assert traces.one.names() == ("request", [("LocMemCache.set", []), ("LocMemCache.get", [])])


def test_a_cache_that_fails_is_a_fault(traces: Traces) -> None:
    our_caches.trace_them()
    with segment("request"), pytest.raises(ValueError, match="Key ':1:secret-key' not found"):
        caches["default"].incr("secret-key")
    assert traces.one["LocMemCache.incr"].flags == {"fault"}
    assert traces.one["LocMemCache.incr"].exceptions[0]["message"] == "Key ? not found"


def test_a_backend_that_is_not_there_is_djangos_to_tell() -> None:
    with override_settings(CACHES={"default": {"BACKEND": "no.such.Backend"}}):
        our_caches.trace_them()


def test_what_a_cache_calls_to_make_a_value_is_part_of_the_operation(traces: Traces) -> None:
    our_caches.trace_them()

    def make() -> int:
        with subsegment("dear"):
            return int(caches["files"].get("other", 7))

    caches["default"].delete("dear")
    with segment("request"):
        assert caches["default"].get_or_set("dear", make) == 7
    (operation,) = traces.one.children
    assert operation.names() == ("LocMemCache.get_or_set", [("dear", [("FileBasedCache.get", [])])])


def test_the_settings_are_read_when_they_change() -> None:
    with override_settings(XRAY={"user_agent": True}):
        assert current().user_agent is True
    with override_settings(XRAY={}):
        assert current().user_agent is False


def test_the_app_alone_traces_what_a_command_asks_of_the_database() -> None:
    program = (
        "from tests.web import django_site\n"
        "from django.db import connection\n"
        "from xray_lambda import segment\n"
        "from xray_lambda.testing import capture\n"
        "with capture(header=None) as traces, segment('command'):\n"
        "    connection.cursor().execute('SELECT 1')\n"
        "print(traces.one.names())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "('command', [('shop.db', [])])\n", done.stderr
