"""Patching replaces once and puts back, now or when the program imports a module, and changes no import."""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from xray_lambda import _guard
from xray_lambda.libraries._patching import (
    forget,
    forget_whenever,
    replace,
    restore,
    when_imported,
    whenever_imported,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that nobody has imported yet."""
    (tmp_path / "waited_for.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "waited_for", raising=False)
    return "waited_for"


def test_the_action_runs_once_when_the_module_is_imported_and_never_imports_it(module: str) -> None:
    seen: list[ModuleType] = []
    finders = list(sys.meta_path)
    when_imported(module, seen.append)
    assert (seen, module in sys.modules) == ([], False)
    loaded = importlib.import_module(module)
    assert seen == [loaded]
    assert "exec_module" not in vars(loaded.__loader__)
    importlib.reload(loaded)
    assert seen == [loaded]
    assert sys.meta_path == finders


def test_the_action_runs_at_once_where_the_module_is_loaded(module: str) -> None:
    seen: list[ModuleType] = []
    loaded = importlib.import_module(module)
    when_imported(module, seen.append)
    assert seen == [loaded]


def test_an_action_taken_back_does_not_run(module: str) -> None:
    seen: list[ModuleType] = []
    action = seen.append
    when_imported(module, action)
    forget(module, action)
    importlib.import_module(module)
    assert seen == []


def test_a_module_that_does_not_exist_is_missing_as_before() -> None:
    seen: list[ModuleType] = []
    when_imported("no_such_module", seen.append)
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_module'"):
        importlib.import_module("no_such_module")
    forget("no_such_module", seen.append)


def test_a_module_that_fails_to_import_fails_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing.py").write_text("raise ValueError('mine')\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[ModuleType] = []
    action = seen.append
    when_imported("failing", action)
    with pytest.raises(ValueError, match="mine"):
        importlib.import_module("failing")
    assert seen == []
    forget("failing", action)


def test_an_action_that_fails_breaks_neither_the_import_nor_the_other_actions(
    module: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    caplog.set_level(logging.DEBUG, "xray_lambda")
    seen: list[ModuleType] = []

    def failing(loaded: ModuleType) -> None:
        raise RuntimeError(loaded)

    for action in (seen.append, failing, seen.append):
        when_imported(module, action)
    loaded = importlib.import_module(module)
    assert seen == [loaded, loaded]
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


def test_a_copy_loaded_by_hand_is_not_what_was_waited_for(module: str) -> None:
    seen: list[ModuleType] = []
    when_imported(module, seen.append)
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert seen == []
    loaded = importlib.import_module(module)
    assert seen == [loaded]


def test_what_waits_in_the_middle_of_an_import_is_served_at_its_end_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    finders = [*sys.meta_path]
    seen: list[ModuleType] = []
    monkeypatch.setitem(sys.modules, "waits_for_itself", None)
    monkeypatch.setattr(sys, "_waits", lambda: when_imported("waits_for_itself", seen.append), raising=False)
    file = tmp_path / "waits_for_itself.py"
    file.write_text("import sys\nsys._waits()\nassert not sys._seen\nraise ValueError('half-way')\n")
    monkeypatch.setattr(sys, "_seen", seen, raising=False)
    del sys.modules["waits_for_itself"]
    with pytest.raises(ValueError, match="half-way"):
        importlib.import_module("waits_for_itself")
    assert seen == []
    file.write_text("import sys\nassert not sys._seen\n")
    importlib.invalidate_caches()
    loaded = importlib.import_module("waits_for_itself")
    assert seen == [loaded]
    assert sys.meta_path == finders


def test_every_import_is_followed_by_pattern_until_that_is_taken_back(module: str) -> None:
    seen: list[str] = []

    def wanted(name: str) -> bool:
        return name in (module, "json")

    def note(loaded: ModuleType) -> None:
        seen.append(loaded.__name__)

    finders = [*sys.meta_path]
    whenever_imported(wanted, note)
    importlib.reload(importlib.import_module(module))
    whenever_imported(wanted, note)
    assert seen == ["json", module, module, *sorted(["json", module], key=[*sys.modules].index)]
    forget_whenever(wanted, note)
    forget_whenever(wanted, note)
    importlib.reload(sys.modules[module])
    assert len(seen) == 5
    assert sys.meta_path == finders


def test_many_threads_wait_and_import_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    names = [f"waited_for_{number}" for number in range(40)]
    for name in names:
        (tmp_path / f"{name}.py").write_text("value = 1\n")
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    finders = [*sys.meta_path]
    seen: list[str] = []
    together = threading.Barrier(3)

    def wait(part: int) -> None:
        together.wait()
        for name in names[part::3]:
            when_imported(name, lambda loaded: seen.append(loaded.__name__))
            importlib.import_module(name)

    threads = [threading.Thread(target=wait, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == sorted(names)
    assert sys.meta_path == finders


class Base:
    def inherited(self) -> str:
        return "base"


class Derived(Base):
    def own(self) -> str:
        return "derived"


def louder(method: Callable[..., object]) -> Callable[..., object]:
    return lambda self: f"{method(self)}!"


def test_an_attribute_is_replaced_once_and_put_back_as_it_was() -> None:
    own = vars(Derived)["own"]
    replace(Derived, "own", louder)
    replace(Derived, "own", louder)
    assert Derived().own() == "derived!"
    restore(Derived, "own")
    restore(Derived, "own")
    assert vars(Derived)["own"] is own


def test_an_inherited_attribute_is_inherited_again_afterwards() -> None:
    replace(Derived, "inherited", louder)
    assert (Derived().inherited(), Base().inherited()) == ("base!", "base")
    restore(Derived, "inherited")
    assert "inherited" not in vars(Derived)


def test_what_somebody_has_wrapped_further_is_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    replace(Derived, "own", louder)
    ours = vars(Derived)["own"]
    theirs = louder(ours)
    monkeypatch.setattr(Derived, "own", theirs)
    restore(Derived, "own")
    assert vars(Derived)["own"] is theirs
    monkeypatch.undo()
    restore(Derived, "own")
    assert Derived().own() == "derived"
