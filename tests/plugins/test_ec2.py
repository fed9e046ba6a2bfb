"""EC2: what its metadata service, version 2, says of an instance."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.plugins import metadata
from tests.plugins.metadata import Metadata, serving
from xray_lambda.plugins import ec2
from xray_lambda.plugins._ask import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator

# As AWS documents it.
IDENTITY = {
    "devpayProductCodes": None,
    "marketplaceProductCodes": ["1abc2defghijklm3nopqrs4tu"],
    "availabilityZone": "us-west-2b",
    "privateIp": "10.158.112.84",
    "version": "2017-09-30",
    "instanceId": "i-1234567890abcdef0",
    "billingProducts": None,
    "instanceType": "t2.micro",
    "accountId": "123456789012",
    "imageId": "ami-5fb8c835",
    "pendingTime": "2016-11-19T16:32:11Z",
    "architecture": "x86_64",
    "kernelId": None,
    "ramdiskId": None,
    "region": "us-west-2",
}
FOUND = {
    "origin": "AWS::EC2::Instance",
    "aws": {
        "ec2": {
            "instance_id": "i-1234567890abcdef0",
            "instance_size": "t2.micro",
            "ami_id": "ami-5fb8c835",
            "availability_zone": "us-west-2b",
        }
    },
}


@pytest.fixture
def imds() -> Iterator[Metadata]:
    with serving() as server:
        server.routes["PUT /latest/api/token"] = metadata.text("AQAEA-token==")
        server.routes["GET /latest/dynamic/instance-identity/document"] = metadata.json_of(IDENTITY)
        yield server


def environ(imds: Metadata, **more: str) -> dict[str, str]:
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url + "/", **more}


def test_the_instance_is_asked_for_with_a_token(imds: Metadata) -> None:
    assert ec2.detect(environ(imds)) == FOUND
    [(token, asked), (document, shown)] = imds.asked
    assert (token, asked["x-aws-ec2-metadata-token-ttl-seconds"]) == ("PUT /latest/api/token", "60")
    assert document == "GET /latest/dynamic/instance-identity/document"
    assert shown["x-aws-ec2-metadata-token"] == "AQAEA-token=="


def test_it_is_not_asked_where_that_is_switched_off(imds: Metadata) -> None:
    assert ec2.detect(environ(imds, AWS_EC2_METADATA_DISABLED="True")) == {}
    assert imds.asked == []


def test_without_a_token_nothing_more_is_asked(imds: Metadata) -> None:
    imds.routes["PUT /latest/api/token"] = metadata.status(403)
    with pytest.raises(NoAnswerError):
        ec2.detect(environ(imds))
    assert imds.paths == ["PUT /latest/api/token"]


def test_a_token_cannot_add_headers(imds: Metadata) -> None:
    imds.routes["PUT /latest/api/token"] = metadata.text("abc\r\nX-Evil: 1")
    assert ec2.detect(environ(imds)) == FOUND
    assert "x-evil" not in imds.asked[1][1]


@pytest.mark.parametrize("path", ["PUT /latest/api/token", "GET /latest/dynamic/instance-identity/document"])
def test_a_service_that_hangs_costs_a_second_in_all(imds: Metadata, path: str) -> None:
    imds.routes[path] = metadata.hangs
    start = time.monotonic()
    with pytest.raises(NoAnswerError):
        ec2.detect(environ(imds))
    assert 0.9 < time.monotonic() - start < 3


@pytest.mark.parametrize("said", [{}, {"instanceId": None}, {"instanceId": {"a": 1}}, {"instanceType": "t2.micro"}])
def test_what_does_not_say_its_id_is_no_instance(imds: Metadata, said: dict[str, object]) -> None:
    imds.routes["GET /latest/dynamic/instance-identity/document"] = metadata.json_of(said)
    assert ec2.detect(environ(imds)) == {}


def test_what_it_says_is_taken_in_short_and_as_text_alone(imds: Metadata) -> None:
    said = {**IDENTITY, "instanceType": "x" * 1000, "imageId": ["ami"], "availabilityZone": "a\ud800b "}
    imds.routes["GET /latest/dynamic/instance-identity/document"] = metadata.json_of(said)
    found = ec2.detect(environ(imds))["aws"]["ec2"]
    assert found == {
        "instance_id": "i-1234567890abcdef0",
        "instance_size": "x" * 250,
        "availability_zone": "a?b",
    }


@pytest.mark.parametrize(
    ("said", "service"),
    [
        ({}, "http://169.254.169.254"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}, "http://[fd00:ec2::254]"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv4"}, "http://169.254.169.254"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://10.0.0.1/"}, "http://10.0.0.1"),
    ],
)
def test_the_service_is_where_aws_puts_it_unless_the_environment_says_otherwise(
    said: dict[str, str], service: str
) -> None:
    assert ec2._service(said) == service
