"""AWS X-Ray tracing for Python on Lambda, in containers and on servers."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from xray_lambda._api import (
        annotate,
        bind,
        current_segment,
        current_subsegment,
        flush,
        inject,
        metadata,
        segment,
        subsegment,
        trace_header,
        trace_id,
    )
    from xray_lambda._recorder import SegmentNotFoundError, configure
    from xray_lambda._records.batch import records
    from xray_lambda._records.traced import traced_record
    from xray_lambda._traced import traced
    from xray_lambda._version import VERSION as __version__  # noqa: N811 - a constant under Python's name for it
    from xray_lambda.lambda_runtime.handler import traced_handler
    from xray_lambda.libraries import patch, patch_all, unpatch
    from xray_lambda.libraries.modules import patch_modules, unpatch_modules

__all__ = [
    "SegmentNotFoundError",
    "__version__",
    "annotate",
    "bind",
    "configure",
    "current_segment",
    "current_subsegment",
    "flush",
    "inject",
    "metadata",
    "patch",
    "patch_all",
    "patch_modules",
    "records",
    "segment",
    "subsegment",
    "trace_header",
    "trace_id",
    "traced",
    "traced_handler",
    "traced_record",
    "unpatch",
    "unpatch_modules",
]

# Where each name of the face lives; imported when it is first asked for, so that a program pays for what it uses.
_HOMES = {
    "SegmentNotFoundError": "_recorder",
    "annotate": "_api",
    "bind": "_api",
    "configure": "_recorder",
    "current_segment": "_api",
    "current_subsegment": "_api",
    "flush": "_api",
    "inject": "_api",
    "metadata": "_api",
    "patch": "libraries",
    "patch_all": "libraries",
    "patch_modules": "libraries.modules",
    "records": "_records.batch",
    "segment": "_api",
    "subsegment": "_api",
    "trace_header": "_api",
    "trace_id": "_api",
    "traced": "_traced",
    "traced_handler": "lambda_runtime.handler",
    "traced_record": "_records.traced",
    "unpatch": "libraries",
    "unpatch_modules": "libraries.modules",
}


def __getattr__(name: str) -> object:
    asked = name
    if name == "__version__":
        home, name = "_version", "VERSION"
    elif name in _HOMES:
        home = _HOMES[name]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - part of the interpreter, loaded before us

    found: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[asked] = found  # the next look finds it without us
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
