"""What the doctor says of sampling: who decides here, and by which rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xray_lambda.cli.console import printable
from xray_lambda.sampling import central_rules, local_rules
from xray_lambda.sampling.choice import check
from xray_lambda.sampling.daemon import DaemonClient, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda._config import Config
    from xray_lambda.sampling.central_rules import Definition

_PATIENCE = 2.0  # seconds
_MOST = 30


def problems(config: Config) -> list[str]:
    """Say what is wrong with the local rules, if anything."""
    try:
        if config.sampling_rules is not None:
            check(config.sampling_rules)
    except ValueError as error:
        return [f"{error}; the default rules stand"]
    return []


def words(config: Config, *, inside: bool) -> list[str]:
    """Say who decides which traces are recorded, and list X-Ray's rules where they can be had from the daemon."""
    if inside:
        return ["Lambda decides, and says so in the trace header; XRAY_LAMBDA_SAMPLING is for programs elsewhere."]
    if config.sampling == "all":
        return ["all: every trace that begins here is recorded."]
    if config.sampling == "none":
        return ["none: no trace that begins here is recorded; those that upstream decided to record are."]
    if config.sampling == "local":
        return [f"local: {_local(config)}."]
    return list(_central(config))


def _local(config: Config) -> str:
    rules, source = local_rules.DEFAULT, "no file"
    if config.sampling_rules is not None and not problems(config):
        rules, source = local_rules.load(config.sampling_rules), printable(str(config.sampling_rules), 80)
    default: Any = rules["default"]
    of_file: Any = rules.get("rules") or ()
    count = f"{len(of_file)} rule{'' if len(of_file) == 1 else 's'} of {source}, then " if of_file else ""
    return f"{count}{_amounts(default['fixed_target'], default['rate'])}"


def _central(config: Config) -> Iterator[str]:
    """Ask the daemon, as the program would; straight to X-Ray the doctor sends nothing."""
    fallback = f"Until they are there, and where they cannot be had: {_local(config)}."
    if config.emitter == "direct":
        yield f"central: X-Ray's rules, asked for straight, which needs xray:GetSamplingRules and -Targets. {fallback}"
        return
    address = config.daemon_address
    client = DaemonClient(address.tcp_host, address.tcp_port, seconds=_PATIENCE, seconds_in_all=_PATIENCE)
    try:
        definitions = central_rules.fetch(client)
    except Unavailable as error:
        yield f"central: X-Ray's rules cannot be had from {client}: {printable(str(error), 120)}."
        yield fallback
        return
    yield f"central: X-Ray's rules, from {client}; the first that fits decides:"
    for definition in definitions[:_MOST]:
        yield _rule(definition)
    if len(definitions) > _MOST:
        yield f"  and {len(definitions) - _MOST} more"
    yield fallback


def _rule(definition: Definition) -> str:
    amounts = _amounts(definition.reservoir_size, definition.rate)
    return f"  {definition.priority:5}  {printable(definition.name, 32)}: {amounts}"


def _amounts(target: int, rate: float) -> str:
    return f"{target} a second and {rate * 100:g} % of the rest"
