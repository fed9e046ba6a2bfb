"""`xray-lambda doctor`: what tracing would find here, and where each setting comes from."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from typing import TYPE_CHECKING, NamedTuple

from xray_lambda import _config, _header
from xray_lambda._version import VERSION
from xray_lambda.cli import direct, probe, sampling
from xray_lambda.cli.console import columns, console_for, printable
from xray_lambda.libraries import SUPPORTED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from xray_lambda.cli.console import Console

RUNTIME_CLIENT = "awslambdaric"
PART_OF_PYTHON = "part of Python"
WIDEST_VALUE = 40


class Findings(NamedTuple):
    """All that the doctor looked at."""

    function: str | None
    trace_header: str | None
    config: _config.Config
    daemon: probe.Finding
    direct: direct.Finding | None
    sampling: list[str]
    libraries: dict[str, str | None]
    runtime_client: str | None


def run(arguments: argparse.Namespace) -> int:
    """Look, and print what was seen, as one JSON object or for people."""
    findings = _look(os.environ)
    if arguments.json:
        print(json.dumps(_as_json(findings)))
    else:
        for line in _lines(findings, console_for(sys.stdout, os.environ)):
            print(line)
    return 0


def _look(environ: Mapping[str, str]) -> Findings:
    inside = "AWS_LAMBDA_FUNCTION_NAME" in environ and "LAMBDA_TASK_ROOT" in environ
    config = _config.load(environ)
    config.problems += sampling.problems(config)
    return Findings(
        function=environ["AWS_LAMBDA_FUNCTION_NAME"] if inside else None,
        trace_header=environ.get("_X_AMZN_TRACE_ID"),
        config=config,
        daemon=probe.probe(config.daemon_address),
        sampling=sampling.words(config, inside=inside),
        direct=direct.look(config, inside=inside),
        libraries={name: _version(library.distribution) for name, library in SUPPORTED.items()},
        runtime_client=_version(RUNTIME_CLIENT),
    )


def _version(distribution: str | None) -> str | None:
    """Return what is installed; a library that needs no installing has no distribution."""
    if distribution is None:
        return PART_OF_PYTHON
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _as_json(findings: Findings) -> dict[str, object]:
    config = findings.config
    return {
        "version": VERSION,
        "python": platform.python_version(),
        "lambda": {"function": findings.function, "trace_header": findings.trace_header},
        "daemon": {
            "address": str(config.daemon_address),
            "udp": findings.daemon.udp,
            "tcp": findings.daemon.tcp,
            "finding": probe.words(findings.daemon, config.daemon_address),
        },
        "direct": None if findings.direct is None else findings.direct._asdict(),
        "settings": {
            row.name: {"value": _plain(getattr(config, row.name)), "source": config.sources[row.name]}
            for row in _config.SETTINGS
        },
        "sampling": findings.sampling,
        "problems": config.problems,
        "libraries": findings.libraries,
        "runtime_client": findings.runtime_client,
    }


def _plain(value: object) -> object:
    """Return a setting's value as JSON takes it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return [str(item) for item in value] if isinstance(value, tuple) else str(value)


def _lines(findings: Findings, console: Console) -> Iterator[str]:
    config = findings.config
    yield f"xray-lambda {VERSION} on Python {platform.python_version()}, {sys.executable}"
    sections = {
        "Lambda": [_where(findings)],
        "Daemon": _daemon(findings),
        "Straight to X-Ray": direct.words(config, findings.direct, inside=findings.function is not None),
        "Sampling": findings.sampling,
        "Settings": list(_settings(config)),
        "Problems": config.problems,
        "Libraries": list(_libraries(findings)),
    }
    for title, lines in sections.items():
        if lines:
            yield ""
            yield console.paint(title, "bold")
        for line in lines:
            yield console.paint(f"  {line}", *(("yellow",) if title == "Problems" else ()))


def _daemon(findings: Findings) -> list[str]:
    if findings.config.emitter == "direct" and findings.function is None:
        return ["Not used: emitter=direct."]
    return probe.words(findings.daemon, findings.config.daemon_address)


def _where(findings: Findings) -> str:
    if findings.function is None:
        return "Not inside Lambda: AWS_LAMBDA_FUNCTION_NAME and LAMBDA_TASK_ROOT are not both set."
    inside = f"Inside Lambda, function {printable(findings.function)}"
    if findings.trace_header is None:
        return f"{inside}; no trace header, as outside an invocation."
    return f"{inside}; the trace header's Sampled is {_header.parse(findings.trace_header).sampled or 'none'}."


def _settings(config: _config.Config) -> Iterator[str]:
    values = {row.name: _words(_plain(getattr(config, row.name))) for row in _config.SETTINGS}
    name_width, value_width = max(map(columns, values)), min(max(map(columns, values.values())), WIDEST_VALUE)
    for row in _config.SETTINGS:
        source = config.sources[row.name]
        origin = f"set by {source}" if source in row.env else f"{source}; {_how_to_set(row)}"
        yield f"{row.name:{name_width}}  {values[row.name]:{value_width}}  {origin}"


def _how_to_set(row: _config.Setting) -> str:
    return f"{' or '.join(row.env)} sets it" if row.env else "configure() sets it"


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ", ".join(map(str, value)) if isinstance(value, list) else value
    return printable("(none)" if text in ("", None) else text, WIDEST_VALUE)


def _libraries(findings: Findings) -> Iterator[str]:
    found = {name: version for name, version in findings.libraries.items() if version}
    width = max(map(columns, found), default=0)
    for name, version in found.items():
        yield f"{name:{width}}  {version}"
    missing = [name for name in findings.libraries if name not in found]
    if missing:
        yield f"not installed: {', '.join(missing)}"
    if findings.runtime_client is None:
        yield "awslambdaric, for invoke and demo, is not installed: pip install 'xray-lambda[local]'"
    else:
        yield f"awslambdaric {findings.runtime_client}, for invoke and demo"
