"""EKS: the pod, its container and cluster, from what Kubernetes gives each pod and, where it may be read, the API."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from xray_lambda._loading import loading
from xray_lambda.plugins._ask import Deadline, NoAnswerError, ask_json
from xray_lambda.plugins._texts import part, texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext
    from typing import Any

ORIGIN = "AWS::EKS::Container"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
PROC = "/proc/self"
# Where Container Insights keeps the cluster's name, and what it calls the logs of the pods.
CLUSTER_INFO = "/api/v1/namespaces/amazon-cloudwatch/configmaps/cluster-info"
LOG_GROUP = "/aws/containerinsights/{}/application"
_MAX_CHARACTERS = 100_000

_IN_CGROUP = re.compile(r"([0-9a-f]{64})(?:\.scope)?$", re.MULTILINE)
# `sandboxes/<id>` in the same file is the pod's pause container, not ours.
_IN_MOUNTS = re.compile(r"/(?:overlay-)?containers/([0-9a-f]{64})/")


def detect(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the pod is; nothing outside EKS, other Kubernetes included."""
    host, token = environ.get("KUBERNETES_SERVICE_HOST", "").strip(), _read(f"{ACCOUNT}/token").strip()
    if not host or not token:
        return {}
    api = _Api(host, environ.get("KUBERNETES_SERVICE_PORT_HTTPS") or environ.get("KUBERNETES_SERVICE_PORT") or "443")
    claims = _claims(token)
    if not _is_eks(claims, api, token):
        return {}
    cluster = api.cluster(token)
    pod = part(part(claims, "kubernetes.io"), "pod").get("name") or environ.get("HOSTNAME")
    found = texts(pod=pod, cluster_name=cluster, container_id=container_id())
    logs = {"cloudwatch_logs": [{"log_group": LOG_GROUP.format(found["cluster_name"])}]} if cluster else {}
    return {"origin": ORIGIN, "aws": {"eks": found, **logs}}


def _is_eks(claims: Mapping[str, object], api: _Api, token: str) -> bool:
    """Say whether the cluster is EKS's: by who issued the pod's token, which need be no proof; else by its version."""
    issuer = str(claims.get("iss"))
    if "://oidc.eks." in issuer or "://oidc-eks." in issuer:
        return True
    return "-eks-" in str(api.get("/version", token).get("gitVersion"))


class _Api:
    """The cluster's API, as each pod may ask it with its own token; one second for all questions."""

    def __init__(self, host: str, port: str) -> None:
        self._url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._deadline = Deadline()
        self._tls: SSLContext | None = None

    def get(self, path: str, token: str) -> dict[str, Any]:
        """Return an object, an empty one where it cannot be had."""
        try:
            headers = {"Authorization": f"Bearer {token}"}
            return ask_json(self._url + path, self._deadline, headers, self._tls or self._trusting())
        except (NoAnswerError, OSError):
            return {}

    def _trusting(self) -> SSLContext:
        """Return what trusts the cluster's own authority, and no other."""
        with loading():
            import ssl  # noqa: PLC0415 - for EKS alone

        self._tls = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
        return self._tls

    def cluster(self, token: str) -> str | None:
        """Return the cluster's name, where Container Insights is there and the pod may read of it."""
        name = texts(name=part(self.get(CLUSTER_INFO, token), "data").get("cluster.name")).get("name")
        return name if isinstance(name, str) else None


def container_id() -> str | None:
    """Return the id of this container: from cgroups version 1, or version 2 where they tell, or the mounts."""
    found = _IN_CGROUP.search(_read(f"{PROC}/cgroup")) or _IN_MOUNTS.search(_read(f"{PROC}/mountinfo"))
    return found[1] if found else None


def _claims(token: str) -> dict[str, Any]:
    """Return what a token says, unverified: it is our own, and only tells where we are."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _read(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return file.read(_MAX_CHARACTERS)
    except OSError:
        return ""
