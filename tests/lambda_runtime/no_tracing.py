"""The face of `xray_lambda` as it would be without any tracing: what handlers are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class _Nothing:
    """Takes every call."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Let the exception pass."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def subsegment(name: str, **options: object) -> _Nothing:
    return _Nothing()


def current_segment() -> _Nothing:
    return _Nothing()


def annotate(**values: object) -> None:
    """Do nothing."""


metadata = annotate


def inject(headers: dict[str, str]) -> None:
    """Do nothing."""


def bind(function: Any) -> Any:
    return function


traced = bind


def traced_handler(**options: object) -> Any:
    return bind
