"""EKS: what a pod finds of itself and its cluster; the API by TLS, trusted by the cluster's own authority alone."""

from __future__ import annotations

import base64
import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins import metadata
from tests.plugins.metadata import Metadata, serving
from tests.servers.process import HOST
from xray_lambda.plugins import eks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.full  # trustme is not installed for every Python

CONTAINER = "4d1ef8c5d4a8e3b65a2d76a4ad1d8d5b9e2f1a0c3b4d5e6f708192a3b4c5d6e7"
CLUSTER_INFO = "GET /api/v1/namespaces/amazon-cloudwatch/configmaps/cluster-info"
ISSUER = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
CLAIMS: dict[str, Any] = {
    "aud": ["https://kubernetes.default.svc"],
    "iss": ISSUER,
    "kubernetes.io": {
        "namespace": "shop",
        "pod": {"name": "shop-7d9c5b8f6-x2x7k", "uid": "7e9a1a2c-7c8f-4c57-8a34-6d1b6f0f5a11"},
        "serviceaccount": {"name": "default", "uid": "b5a4a4f2-5c52-4b6e-9a4f-bb54a1b8a5d2"},
    },
    "sub": "system:serviceaccount:shop:default",
}
# A pod's files under cgroups of version 1, of version 2 where they tell, and where the namespace hides them.
CGROUP_1 = f"11:memory:/kubepods/burstable/pod7e9a1a2c-7c8f-4c57-8a34-6d1b6f0f5a11/{CONTAINER}\n"
CGROUP_2 = (
    "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7e9a1a2c_7c8f_4c57_8a34_6d1b6f0f5a11.slice/"
    f"cri-containerd-{CONTAINER}.scope\n"
)
MOUNTS = (
    "1475 1466 259:1 /var/lib/kubelet/pods/7e9a1a2c/etc-hosts /etc/hosts rw,noatime - xfs /dev/nvme0n1p1 rw\n"
    "1477 1466 259:1 /var/lib/docker/containers/{}/hostname /etc/hostname rw,noatime - xfs /dev/nvme0n1p1 rw\n"
)
SANDBOX = (
    f"1477 1466 259:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{CONTAINER}/hostname /etc/hostname\n"
)


def token(claims: object) -> str:
    parts = ({"alg": "RS256", "kid": "k"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


class Pod:
    """The files that a pod has of its cluster, and the environment."""

    def __init__(self, folder: Path, api: Metadata, authority: bytes) -> None:
        self.account = folder / "serviceaccount"
        self.proc = folder / "proc"
        self.account.mkdir()
        self.proc.mkdir()
        self.say(CLAIMS)
        (self.account / "ca.crt").write_bytes(authority)
        (self.proc / "cgroup").write_text(CGROUP_1)
        self.api = api
        self.environ = {
            "KUBERNETES_SERVICE_HOST": HOST,
            "KUBERNETES_SERVICE_PORT": str(api.server_port),
            "HOSTNAME": "named-by-the-host",
        }

    def say(self, claims: object) -> None:
        (self.account / "token").write_text(token(claims))

    def detect(self) -> dict[str, Any]:
        return eks.detect(self.environ)


@pytest.fixture(scope="module")
def authority() -> Any:
    import trustme

    return trustme.CA()


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: Any) -> Iterator[Pod]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(tls)
    with serving(tls) as api:
        api.routes[CLUSTER_INFO] = metadata.json_of({"data": {"cluster.name": "prod", "logs.region": "eu-west-1"}})
        api.routes["GET /version"] = metadata.json_of({"major": "1", "gitVersion": "v1.31.4-eks-2d5f260"})
        made = Pod(tmp_path, api, authority.cert_pem.bytes())
        monkeypatch.setattr(eks, "ACCOUNT", str(made.account))
        monkeypatch.setattr(eks, "PROC", str(made.proc))
        yield made


def test_pod_cluster_and_container_are_known(pod: Pod) -> None:
    assert pod.detect() == {
        "origin": "AWS::EKS::Container",
        "aws": {
            "eks": {"pod": "shop-7d9c5b8f6-x2x7k", "cluster_name": "prod", "container_id": CONTAINER},
            "cloudwatch_logs": [{"log_group": "/aws/containerinsights/prod/application"}],
        },
    }
    [(path, headers)] = pod.api.asked
    assert path == CLUSTER_INFO
    assert headers["authorization"] == f"Bearer {token(CLAIMS)}"


@pytest.mark.parametrize("code", [401, 403, 404, 500])
def test_a_cluster_that_the_pod_may_not_read_of_has_no_name(pod: Pod, code: int) -> None:
    pod.api.routes[CLUSTER_INFO] = metadata.status(code)
    found = pod.detect()
    assert found["aws"] == {"eks": {"pod": "shop-7d9c5b8f6-x2x7k", "container_id": CONTAINER}}


def test_an_api_that_hangs_costs_a_second_and_the_clusters_name(pod: Pod) -> None:
    pod.api.routes[CLUSTER_INFO] = metadata.hangs
    assert "cluster_name" not in pod.detect()["aws"]["eks"]


@pytest.mark.parametrize("issuer", ["https://kubernetes.default.svc", None])
def test_an_older_clusters_version_tells_that_it_is_ekss(pod: Pod, issuer: str | None) -> None:
    pod.say({"iss": issuer})
    found = pod.detect()
    assert pod.api.paths == ["GET /version", CLUSTER_INFO]
    assert found["aws"]["eks"]["pod"] == "named-by-the-host"


def test_other_kubernetes_is_not_eks(pod: Pod) -> None:
    pod.say({**CLAIMS, "iss": "https://kubernetes.default.svc.cluster.local"})
    pod.api.routes["GET /version"] = metadata.json_of({"gitVersion": "v1.31.4+k3s1"})
    assert pod.detect() == {}
    assert pod.api.paths == ["GET /version"]


def test_the_token_is_shown_to_nobody_that_the_cluster_does_not_vouch_for(pod: Pod, authority: Any) -> None:
    import trustme

    (pod.account / "ca.crt").write_bytes(trustme.CA().cert_pem.bytes())
    assert "cluster_name" not in pod.detect()["aws"]["eks"]
    assert pod.api.asked == []


@pytest.mark.parametrize("ca", [None, b"", b"no certificate"])
def test_without_the_clusters_certificate_the_api_is_not_asked(pod: Pod, ca: bytes | None) -> None:
    (pod.account / "ca.crt").unlink()
    if ca is not None:
        (pod.account / "ca.crt").write_bytes(ca)
    assert pod.detect()["aws"]["eks"]["pod"] == "shop-7d9c5b8f6-x2x7k"
    assert pod.api.asked == []


@pytest.mark.parametrize("missing", ["KUBERNETES_SERVICE_HOST", "token"])
def test_outside_kubernetes_nothing_is_asked(pod: Pod, missing: str) -> None:
    if missing == "token":
        (pod.account / "token").unlink()
    else:
        del pod.environ[missing]
    assert pod.detect() == {}
    assert pod.api.asked == []


@pytest.mark.parametrize("text", ["x", "a.b.c", "a.!!!.c", "a.e30.c", f"a.{base64.b64encode(b'[1]').decode()}.c"])
def test_a_token_that_cannot_be_read_says_nothing(pod: Pod, text: str) -> None:
    (pod.account / "token").write_text(text)
    assert pod.detect()["aws"]["eks"]["pod"] == "named-by-the-host"


@pytest.mark.parametrize(
    ("cgroup", "mounts", "found"),
    [
        (CGROUP_1, "", CONTAINER),
        (f"12:cpu:/\n{CGROUP_1}0::/\n", "", CONTAINER),
        (CGROUP_2, "", CONTAINER),
        ("0::/\n", MOUNTS.format(CONTAINER), CONTAINER),
        ("0::/\n", f"1 2 0:1 /containers/storage/overlay-containers/{CONTAINER}/userdata/hostname /x\n", CONTAINER),
        ("0::/\n", SANDBOX, None),
        ("0::/user.slice\n", "", None),
        ("", "", None),
    ],
)
def test_the_container_is_known_by_its_cgroups_or_mounts(pod: Pod, cgroup: str, mounts: str, found: str | None) -> None:
    (pod.proc / "cgroup").write_text(cgroup)
    (pod.proc / "mountinfo").write_text(mounts)
    assert eks.container_id() == found
