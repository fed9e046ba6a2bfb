"""Elastic Beanstalk: what the file says that it writes for X-Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from xray_lambda.plugins import elastic_beanstalk

if TYPE_CHECKING:
    from pathlib import Path

SAID = '{"deployment_id":32,"version_label":"app-5a56-170119_190650","environment_name":"scorekeep"}'


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "environment.conf"
    monkeypatch.setattr(elastic_beanstalk, "FILE", str(file))
    return file


def test_the_environment_is_known(conf: Path) -> None:
    conf.write_text(SAID)
    assert elastic_beanstalk.detect({}) == {
        "origin": "AWS::ElasticBeanstalk::Environment",
        "aws": {
            "elastic_beanstalk": {
                "environment_name": "scorekeep",
                "version_label": "app-5a56-170119_190650",
                "deployment_id": 32,
            }
        },
    }


def test_elsewhere_there_is_no_such_file(conf: Path) -> None:
    assert elastic_beanstalk.detect({}) == {}


@pytest.mark.parametrize("said", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 90_000, b'{"deployment_id":true}', b'{"a":1}'])
def test_a_file_that_says_nothing_of_use_is_none(conf: Path, said: bytes) -> None:
    conf.write_bytes(said)
    assert elastic_beanstalk.detect({}) == {}


def test_a_folder_in_its_place_is_none(conf: Path) -> None:
    conf.mkdir()
    assert elastic_beanstalk.detect({}) == {}
