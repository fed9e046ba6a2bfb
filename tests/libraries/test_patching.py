"""Patching replaces once and puts back, now or when the program imports a module, and changes no import."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from xray_lambda.libraries._patching import forget, replace, restore, when_imported

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
