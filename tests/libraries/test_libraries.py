"""patch, patch_all and unpatch: by name, once, and undone; a library is traced as a whole or left alone."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import types
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.libraries.programs import load, modules_forgotten, write
from xray_lambda import configure, libraries, patch, patch_all, unpatch
from xray_lambda.libraries import ALIASES, SUPPORTED, Library, patch_configured
from xray_lambda.libraries._card import Call, card
from xray_lambda.libraries._kinds import opened
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from xray_lambda.libraries._card import Steps

START = threading.Thread.start


def test_patching_twice_is_patching_once_and_unpatching_puts_the_original_back() -> None:
    patch("threads")
    once = threading.Thread.start
    patch("threads")
    patch_all()
    assert threading.Thread.start is once is not START
    unpatch("threads")
    unpatch()
    assert threading.Thread.start is START


def test_an_ignored_library_is_left_alone() -> None:
    patch_all(ignore=["threads"])
    patch_all(ignore="threads")
    assert threading.Thread.start is START


def test_a_disabled_tracer_patches_nothing() -> None:
    configure(enabled=False)
    patch_all()
    assert threading.Thread.start is START


@pytest.mark.parametrize("call", [patch, unpatch, lambda name: patch_all(ignore=[name])])
def test_an_unknown_name_is_told_with_the_nearest_known(call: Any) -> None:
    with pytest.raises(ValueError, match="unknown library 'thread': did you mean 'threads'\\? the known ones are"):
        call("thread")
    with pytest.raises(ValueError, match=f"unknown library 'x': the known ones are {', '.join(sorted(SUPPORTED))}"):
        call("x")


@pytest.mark.parametrize("wrong", [("threads", "httpy"), (["threads"],), (17,), (None,)])
def test_what_is_no_name_is_a_value_error_and_nothing_is_patched(wrong: Any) -> None:
    with pytest.raises(ValueError, match="unknown library"):
        patch(*wrong)
    assert threading.Thread.start is START


def test_a_library_goes_by_all_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not {*ALIASES} & {*SUPPORTED}
    for name in ALIASES:
        monkeypatch.setitem(ALIASES, name, "threads")
        patch(name)
        assert threading.Thread.start is not START
        unpatch(name)
        assert threading.Thread.start is START
        patch_all(ignore=[name])
        assert threading.Thread.start is START


def test_every_alias_stands_for_a_library_that_is_known() -> None:
    assert {*ALIASES.values()} <= {*SUPPORTED}


@pytest.mark.parametrize(
    ("value", "patched"),
    [(None, True), ("all", True), ("none", False), ("", True), ("threads", True), (" threads , sqlite3", True),
     ("sqlite3", False), ("nothing,threads", True)],
)  # fmt: skip
def test_the_environment_names_what_the_layer_patches(
    value: str | None, patched: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if value is not None:
        monkeypatch.setenv("XRAY_LAMBDA_PATCH", value)
    patch_configured()
    patch_configured()
    assert (threading.Thread.start is not START) == patched
    said = [record.getMessage() for record in caplog.records]
    if "nothing" in (value or ""):
        assert len(said) == 1
        assert said[0].startswith("xray_lambda: XRAY_LAMBDA_PATCH: unknown library 'nothing': the known ones are ")
    else:
        assert said == []


# The table, and what the cards say.


def fresh(program: str) -> Any:
    """Run a program in a fresh interpreter, and return what it prints as JSON."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


INSTALLED = [name for name, library in SUPPORTED.items() if find_spec(library.modules[0].partition(".")[0])]


@pytest.mark.full
@pytest.mark.parametrize("name", INSTALLED)
def test_the_table_has_the_modules_that_the_card_patches(name: str) -> None:
    library = SUPPORTED[name]
    program = f"""
import importlib, json
for module in {library.modules}:
    try: importlib.import_module(module)
    except ImportError: pass
from xray_lambda.libraries import _targets
found = _targets.patches_of(importlib.import_module("xray_lambda.libraries.{library.card}"))
print(json.dumps([sorted(set().union(*(patch.modules for patch in found)))]))
"""
    [modules] = fresh(program)
    assert modules == sorted(library.modules)


@pytest.mark.full
@pytest.mark.parametrize("name", INSTALLED)
def test_every_library_is_of_a_shape_that_is_known(name: str) -> None:
    """Patched after the import and before, in a process of its own, where our faults are raised."""
    program = f"""
import importlib, json, logging, sys
said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger("xray_lambda").addHandler(handler)
from xray_lambda import configure, patch, unpatch, libraries
configure(strict=True)
modules = {SUPPORTED[name].modules}
if "{{when}}" == "before":
    patch({name!r})
loaded = []
for module in modules:
    try: loaded.append(importlib.import_module(module).__name__)
    except ImportError: pass
patch({name!r})
print(json.dumps([said, sorted(module for _, module in libraries._actions) == sorted(modules), bool(loaded)]))
"""
    for when in ("before", "after"):
        assert fresh(program.replace("{when}", when)) == [[], True, True]


def test_patching_all_imports_no_library() -> None:
    program = """
import importlib, json, sys
import xray_lambda._recorder
before = set(sys.modules)
xray_lambda.patch_all()
print(json.dumps(sorted(name for name in set(sys.modules) - before)))
"""
    added = fresh(program)
    assert [name for name in added if name.partition(".")[0] != "xray_lambda"] == []
    cards = {library.card for library in SUPPORTED.values()}
    loaded = {name.removeprefix("xray_lambda.libraries.") for name in added}
    assert cards & loaded <= {"threads"}


# Libraries made for these tests, with a card of their own.


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A library `fake` of two modules, and the card for it."""

    @card("fake.client:send(request)", "fake.pool:Pool.get(self)")
    def call(call: Call) -> Steps:
        yield opened(call, "fake", "remote", "fake", 1)

    fake_card = types.ModuleType("xray_lambda.libraries.fake_card")
    vars(fake_card)["call"] = call
    monkeypatch.setitem(sys.modules, fake_card.__name__, fake_card)
    monkeypatch.setattr(libraries, "fake_card", fake_card, raising=False)
    monkeypatch.setitem(SUPPORTED, "fake", Library("fake_card", "fake", "fake.client", "fake.pool"))
    with modules_forgotten():
        sys.path.insert(0, str(tmp_path))
        yield write(tmp_path, fake="", fake__client="def send(request): return request", fake__pool=POOL)
        unpatch("fake")


POOL = "class Pool:\n    def get(self): return 1\n"


def calls(fake: Path) -> list[str]:
    """The names of what is recorded of a call of each function of the library."""
    with capture() as traces:
        load("fake.client").send(1)
        load("fake.pool").Pool().get()
        return [root.name for root in traces.roots]


@pytest.mark.parametrize("when", ["before", "after", "between"])
def test_a_library_is_traced_when_it_is_imported_or_at_once(fake: Path, when: str) -> None:
    if when == "between":
        load("fake.pool")
    elif when == "after":
        load("fake.client"), load("fake.pool")
    patch("fake")
    assert calls(fake) == ["fake", "fake"]
    unpatch("fake")
    assert calls(fake) == []
    patch("fake")
    assert calls(fake) == ["fake", "fake"]


def test_what_a_program_has_imported_by_name_is_traced_as_far_as_it_is_a_class(fake: Path) -> None:
    pool = load("fake.pool").Pool
    patch("fake")
    with capture() as traces:
        pool().get()
        assert traces.one.name == "fake"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("unknown", ["fake__client", "fake__pool"])
def test_a_library_of_an_unknown_shape_is_left_alone_as_a_whole_and_told_of_once(
    fake: Path, unknown: str, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(fake, fake="", **{"fake__client": "def send(request): return request", "fake__pool": POOL, unknown: OTHER})
    if when == "before":
        patch("fake")
    load("fake.client")
    load("fake.pool")
    originals = vars(load("fake.client"))["send"], vars(load("fake.pool").Pool)["get"]
    for _ in range(2):
        patch("fake")
        assert calls(fake) == []
    assert (vars(load("fake.client"))["send"], vars(load("fake.pool").Pool)["get"]) == originals
    [record] = caplog.records
    place = (
        "fake.client.send does not take (request)"
        if unknown == "fake__client"
        else "fake.pool.Pool.get does not take (self)"
    )
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"xray_lambda: fake is not traced, this version of it is unknown: {place}"


OTHER = "def send(other): pass\nclass Pool:\n    def get(this): pass\n"


def test_a_card_that_this_version_of_a_library_lacks_something_for_is_told_of_once(
    fake: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(SUPPORTED, "fake", Library("no_such_card", "fake", "fake.client", "fake.pool"))
    load("fake.client")
    for _ in range(2):
        patch("fake")
        assert calls(fake) == []
    [message] = caplog.messages
    assert message.startswith("xray_lambda: fake is not traced, this version of it is unknown: No module named")


def test_a_fault_of_a_card_leaves_the_library_alone(
    fake: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("XRAY_LAMBDA_STRICT")
    caplog.set_level(logging.DEBUG, "xray_lambda")
    write(fake, fake__pool="class Sealed(type):\n    def __setattr__(cls, name, value): raise TypeError\n"
          "class Pool(metaclass=Sealed):\n    def get(self): return 1\n")  # fmt: skip
    load("fake.pool")
    patch("fake")
    assert calls(fake) == []
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


def test_a_library_whose_import_fails_half_way_fails_as_before_and_is_traced_once_it_works(fake: Path) -> None:
    write(fake, fake="", fake__client="def send(request): return request\nimport fake.pool", fake__pool="1 / 0")
    patch("fake")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            load("fake.client")
    write(fake, fake__pool=POOL)
    assert calls(fake) == ["fake", "fake"]


def test_threads_patch_unpatch_and_import_side_by_side(fake: Path) -> None:
    """Whoever wins: imports work, and the last word counts."""
    together = threading.Barrier(4)

    def patching() -> None:
        together.wait()
        for _ in range(30):
            patch("fake")
            unpatch("fake")

    def importing() -> None:
        together.wait()
        assert load("fake.client").send(1) == 1
        assert load("fake.pool").Pool().get() == 1

    threads = [threading.Thread(target=target) for target in (patching, patching, importing, importing)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    unpatch("fake")
    assert calls(fake) == []
    patch("fake")
    assert calls(fake) == ["fake", "fake"]
    unpatch("fake")
    assert calls(fake) == []
