"""EC2: the instance, from its metadata service, version 2 (a token first, which no proxy passes on)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xray_lambda.plugins._ask import Deadline, ask, ask_json
from xray_lambda.plugins._texts import texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ORIGIN = "AWS::EC2::Instance"
IPV4 = "http://169.254.169.254"
IPV6 = "http://[fd00:ec2::254]"
TOKEN = "/latest/api/token"  # noqa: S105 - a path
DOCUMENT = "/latest/dynamic/instance-identity/document"


def detect(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the instance is; raises NoAnswerError where there is none.

    From a container the token's answer travels one hop more than instances allow by default: HttpPutResponseHopLimit.
    """
    if environ.get("AWS_EC2_METADATA_DISABLED", "").strip().lower() == "true":
        return {}
    service, deadline = _service(environ), Deadline()
    token = ask(service + TOKEN, deadline, "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    instance = ask_json(service + DOCUMENT, deadline, {"X-aws-ec2-metadata-token": _one_line(token)})
    found = texts(
        instance_id=instance.get("instanceId"),
        instance_size=instance.get("instanceType"),
        ami_id=instance.get("imageId"),
        availability_zone=instance.get("availabilityZone"),
    )
    return {"origin": ORIGIN, "aws": {"ec2": found}} if "instance_id" in found else {}


def _service(environ: Mapping[str, str]) -> str:
    mode = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").strip().lower()
    return (environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or (IPV6 if mode == "ipv6" else IPV4)).strip().rstrip("/")


def _one_line(token: str) -> str:
    """Return a token that cannot end the header it goes into."""
    return "".join(token.split())
