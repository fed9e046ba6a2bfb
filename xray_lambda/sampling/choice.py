"""Which sampler the settings ask for."""

from __future__ import annotations

import logging

from xray_lambda._guard import say_once
from xray_lambda.sampling import local_rules
from xray_lambda.sampling.central import CentralSampler
from xray_lambda.sampling.daemon import DaemonClient
from xray_lambda.sampling.local import LocalSampler
from xray_lambda.sampling.request import Never

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from xray_lambda._config import Config
    from xray_lambda.sampling.daemon import XRayClient
    from xray_lambda.sampling.request import Sampler


def sampler_for(config: Config) -> Sampler | None:
    """Return the sampler, which starts nothing before it is asked; None where everything is recorded."""
    if config.sampling == "all":
        return None
    if config.sampling == "none":
        return Never()
    local = LocalSampler(rules_of(config))
    return local if config.sampling == "local" else CentralSampler(client_for(config), local)


def check(rules: str | dict[str, object]) -> None:
    """Raise ValueError for local rules that make no sense, or a file that cannot be read; says where."""
    try:
        local_rules.load(rules)
    except ValueError as error:
        raise ValueError(f"sampling_rules: {error}") from None


def rules_of(config: Config) -> dict[str, object]:
    """Return the local rules of the settings, or the default where they make no sense, which is told."""
    try:
        return local_rules.load(config.sampling_rules)
    except ValueError as error:
        source = config.sources["sampling_rules"]
        message = "xray_lambda: sampling_rules (%s) is ignored: %s"
        say_once(logging.WARNING, f"sampling_rules {error}", message, source, error)
        return local_rules.DEFAULT


def client_for(config: Config) -> XRayClient:
    """Return what asks X-Ray: the way that documents go, too."""
    address = config.daemon_address
    daemon = DaemonClient(address.tcp_host, address.tcp_port)
    if config.emitter == "udp":
        return daemon
    from xray_lambda.sampling.clients import DirectClient, EitherClient  # noqa: PLC0415 - few programs send directly

    return DirectClient() if config.emitter == "direct" else EitherClient(daemon, DirectClient())
