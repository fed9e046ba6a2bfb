"""Targets: the functions of a library that are replaced, looked at before anything is, and put back again."""

from __future__ import annotations

import sys

from xray_lambda._callables import code_of
from xray_lambda.libraries._patching import raw_attribute, replace, restore

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    Function = Callable[..., Any]
    MakeReplacement = Callable[[Function, "Target"], Function]


class UnknownShape(Exception):
    """A library lacks a function that its card replaces, or has it with other arguments; the text says which."""


class Target:
    """One function: `module:Class.function(self, argument)`; a `?` at the end allows for it to be missing."""

    __slots__ = ("module", "names", "optional", "path")

    def __init__(self, text: str) -> None:
        self.optional = text.endswith("?")
        self.module, _, path = text.rstrip("?").partition(":")
        self.path, _, arguments = path.rstrip(")").partition("(")
        self.names = tuple(name.strip() for name in arguments.split(",") if name.strip())

    def find(self, module: ModuleType) -> tuple[object, str] | None:
        """Return what holds the function, and under which name; None for an optional one that is missing.

        Raises UnknownShape where the function is not as the card knows it.
        """
        *holders, name = self.path.split(".")
        owner: object = module
        for holder in holders:
            owner = getattr(owner, holder, None)
        function = None if owner is None else getattr(owner, name, None)
        if function is None and self.optional:
            return None
        if not callable(function):
            raise UnknownShape(f"{self.module}.{self.path} is missing")
        raw: Any = raw_attribute(owner, name)
        code = code_of(getattr(raw, "__func__", raw))
        if code is not None and code.co_varnames[: min(len(self.names), code.co_argcount)] != self.names:
            if code.co_flags & 0x0C:  # *args or **kwargs: a decorator stands before the function
                return owner, name
            raise UnknownShape(f"{self.module}.{self.path} does not take ({', '.join(self.names)})")
        return owner, name


class Patch:
    """Functions of a library and what each is replaced by, module by module."""

    def __init__(self, targets: list[Target], make: MakeReplacement) -> None:
        self.targets = targets
        self._make = make
        # The libraries that need this: the one whose card has it, by the name "", and those that borrow it.
        self.users: set[str] = set()

    @property
    def modules(self) -> set[str]:
        """The modules that have to be loaded before their targets can be replaced."""
        return {target.module for target in self.targets}

    def check(self, module: ModuleType) -> None:
        """Raise UnknownShape where the module is not as the card knows it."""
        for target in self._targets_in(module):
            target.find(module)

    def apply(self, module: ModuleType, user: str = "") -> None:
        """Replace what lies in this module, gates before the library's functions included."""
        self.users.add(user)
        for target in self._targets_in(module):
            found = target.find(module)
            if found is not None:
                replace(*found, lambda original, target=target: self._make(original, target))  # type: ignore[misc]

    def undo(self, module: ModuleType, user: str = "") -> None:
        """Put back what lies in this module, unless another library needs it."""
        self.users.discard(user)
        if self.users:
            return
        for target in self._targets_in(module):
            try:
                found = target.find(module)
            except UnknownShape:
                continue
            if found is not None:
                restore(*found)

    def _targets_in(self, module: ModuleType) -> list[Target]:
        return [target for target in self.targets if sys.modules.get(target.module) is module]


class Hook:
    """What a library offers for listeners, used instead of replacing anything; see `on_import`."""

    def __init__(self, module: str, start: Callable[[ModuleType], Callable[[], object]]) -> None:
        self.modules = {module}
        self._start = start
        self._stop: Callable[[], object] | None = None

    def check(self, module: ModuleType) -> None:
        """Nothing to look at: `start` raises UnknownShape itself."""

    def apply(self, module: ModuleType) -> None:
        """Start to listen, once, where this is the module to do so."""
        if self._stop is None and self._is_in(module):
            self._stop = self._start(module)

    def undo(self, module: ModuleType) -> None:
        """Stop to listen."""
        if self._stop is not None and self._is_in(module):
            stop, self._stop = self._stop, None
            stop()

    def _is_in(self, module: ModuleType) -> bool:
        return any(sys.modules.get(name) is module for name in self.modules)


def on_import(module: str) -> Callable[[Callable[[ModuleType], Callable[[], object]]], Hook]:
    """Make a function the hook of a library: it starts to listen, and returns what stops that again."""

    def make(start: Callable[[ModuleType], Callable[[], object]]) -> Hook:
        return Hook(module, start)

    return make


def borrowed(patch: Patch, user: str, module: str) -> Hook:
    """Return the hook of a library that needs another card's patch as well: in place while either is traced.

    `module` is one of the library `user`, that imports what the patch replaces functions of.
    """

    def start(_: ModuleType) -> Callable[[], object]:
        (name,) = patch.modules
        owner = sys.modules[name]
        patch.check(owner)
        patch.apply(owner, user)
        return lambda: patch.undo(owner, user)

    return Hook(module, start)


def replacing(*targets: str) -> Callable[[Callable[[Function], Function]], Patch]:
    """Make a function that wraps the original by hand the patch of these targets, where no card fits."""

    def make(wrap: Callable[[Function], Function]) -> Patch:
        return Patch([Target(text) for text in targets], lambda original, _: wrap(original))

    return make


def patches_of(card_module: ModuleType) -> list[Patch | Hook]:
    """Return what a card's module defines, in its order."""
    return [value for value in vars(card_module).values() if isinstance(value, (Patch, Hook))]
