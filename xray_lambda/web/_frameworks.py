"""What the doors of frameworks share: a word where the framework is missing, and what is replaced in it."""

from __future__ import annotations

from xray_lambda._guard import say_once, swallow
from xray_lambda._recorder import active
from xray_lambda.libraries._targets import UnknownShape

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType
    from typing import Any

    from xray_lambda.libraries._outcome import Done
    from xray_lambda.libraries._targets import Patch


def not_installed(framework: str, error: ImportError) -> ImportError:
    """Return what to raise where a framework that a door is for cannot be imported: it says what helps."""
    words = f"this door is for {framework}, which cannot be imported ({error}): pip install {framework}"
    return ImportError(words, name=error.name, path=error.path)


def trace(framework: str, module: ModuleType, *patches: Patch) -> None:
    """Put cards on a framework's module, once; one that is not as they know it is left alone, and told of once."""
    if not active().config.enabled:
        return
    try:
        for patch in patches:
            patch.check(module)
        for patch in patches:
            patch.apply(module)
    except UnknownShape as shape:
        message = "xray_lambda: %s is not traced in full, this version of it is unknown: %s"
        say_once(30, f"shape {module.__name__}", message, framework, shape)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)


def until_over(chunks: Iterable[Any], done: Done) -> Iterator[Any]:
    """Yield what a template is streamed as, and say when it is over."""
    try:
        yield from chunks
    except BaseException as error:
        done(error)
        raise
    done()
