"""What a program without a daemon would send with: region, credentials and endpoint, as botocore finds them here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from xray_lambda._emitters import service

if TYPE_CHECKING:
    from xray_lambda._config import Config


class Finding(NamedTuple):
    """Where documents would go, and by what right; `problem` says what stands in the way, and what to do."""

    endpoint: str | None
    region: str | None
    credentials: str | None
    problem: str | None


def look(config: Config, *, inside: bool) -> Finding | None:
    """Look, where the settings may need it; X-Ray itself is not asked. Credentials may be asked for, on an instance."""
    if config.emitter == "udp" or inside:
        return None
    try:
        client = service.client()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the program would meet
        outcome = service.outcome_of(error)
        return Finding(None, None, None, f"{outcome.why} What to do: {outcome.advice or 'see there'}.")
    credentials = _method()
    problem = None if credentials else f"There are no credentials. What to do: {service.CREDENTIALS}."
    return Finding(client.meta.endpoint_url, client.meta.region_name, credentials, problem)


def _method() -> str | None:
    """Return how credentials were found: env, container-role, iam-role, shared-credentials-file..."""
    from botocore.session import Session  # noqa: PLC0415 - dear, and few look-ups need it

    try:
        found: Any = Session().get_credentials()
    except Exception:  # noqa: BLE001 - a source that is set up and does not answer is none
        return None
    return None if found is None else str(found.method)


def words(config: Config, finding: Finding | None, *, inside: bool) -> list[str]:
    """Say what was found, and whether it will do."""
    if inside and config.emitter == "direct":
        return ["emitter=direct is not for Lambda, where AWS runs the X-Ray daemon: udp is used."]
    if finding is None:
        return []
    if finding.endpoint is None:
        return [str(finding.problem)]
    said = [f"To {finding.endpoint}, region {finding.region}, by PutTraceSegments; X-Ray has not been asked."]
    said.append(f"Credentials: {finding.credentials}." if finding.credentials else str(finding.problem))
    return said
