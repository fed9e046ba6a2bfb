"""Publishes the layer: the same zip in every region, once; `--dry-run` only says what it would do."""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ZIP = ROOT / "dist" / "xray-lambda-layer.zip"
REGIONS = (
    "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
    "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
    "us-east-1", "us-east-2", "us-west-1", "us-west-2",
)  # fmt: skip


def main() -> None:
    """Publish to the regions that the command line names, or to all."""
    parser = argparse.ArgumentParser(description=__doc__, prog="layer/publish.py")
    parser.add_argument("--zip", type=Path, default=ZIP, help="what ./build.sh made; default: %(default)s")
    parser.add_argument("--name", default="xray-lambda", help="the layer's name; default: %(default)s")
    parser.add_argument("--region", action="append", choices=REGIONS, help="this one alone; may be repeated")
    parser.add_argument("--public", action="store_true", help="let every account use it")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--endpoint-url", help="another Lambda than AWS's, for tests")
    arguments = parser.parse_args()
    if not arguments.zip.is_file():
        sys.exit(f"layer/publish.py: {arguments.zip} is not there: run ./build.sh first")
    about = described(arguments.zip)
    regions = arguments.region or REGIONS
    print(f"{arguments.zip.name}, version {about['version']}, SHA-256 {digest(arguments.zip).hex()}")
    for number, region in enumerate(regions, 1):
        said = "would publish" if arguments.dry_run else publish(arguments, about, region)
        print(f"[{number}/{len(regions)}] {region}: {said}")


def described(archive: Path) -> dict[str, Any]:
    """Return the layer's own manifest."""
    with zipfile.ZipFile(archive) as zipped:
        manifest: dict[str, Any] = json.loads(zipped.read("python/xray_lambda/layer.json"))
    return manifest


def digest(archive: Path) -> bytes:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(archive.read_bytes()).digest()


def publish(arguments: argparse.Namespace, about: dict[str, Any], region: str) -> str:
    """Publish to one region unless its newest version is this very zip; returns what was done."""
    import boto3  # noqa: PLC0415 - a dry run does without it

    client = boto3.client("lambda", region_name=region, endpoint_url=arguments.endpoint_url)
    newest = newest_version(client, arguments.name)
    if newest is not None and newest["Content"]["CodeSha256"] == base64.b64encode(digest(arguments.zip)).decode():
        return f"is there already: {newest['LayerVersionArn']}"
    made = client.publish_layer_version(
        LayerName=arguments.name,
        Description=f"xray-lambda {about['version']}: AWS X-Ray tracing",
        Content={"ZipFile": arguments.zip.read_bytes()},
        CompatibleRuntimes=about["runtimes"],
        CompatibleArchitectures=about["architectures"],
        LicenseInfo=about["licence"],
    )
    if arguments.public:
        client.add_layer_version_permission(
            LayerName=arguments.name, VersionNumber=made["Version"], StatementId="public",
            Action="lambda:GetLayerVersion", Principal="*",
        )  # fmt: skip
    return f"published {made['LayerVersionArn']}"


def newest_version(client: Any, name: str) -> dict[str, Any] | None:
    """Return the newest version of a layer in a region; None where there is none."""
    versions = client.list_layer_versions(LayerName=name, MaxItems=1)["LayerVersions"]
    if not versions:
        return None
    found: dict[str, Any] = client.get_layer_version(LayerName=name, VersionNumber=versions[0]["Version"])
    return found


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a plain text file it is
    main()
