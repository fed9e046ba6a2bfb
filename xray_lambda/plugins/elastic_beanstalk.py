"""Elastic Beanstalk: the environment and its version, from the file that it writes for X-Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from xray_lambda.plugins._texts import texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ORIGIN = "AWS::ElasticBeanstalk::Environment"
FILE = "/var/elasticbeanstalk/xray/environment.conf"
_MAX_CHARACTERS = 100_000


def detect(environ: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001 - as all plugins are called
    """Return what the environment is; nothing where there is no such file, or nothing in it."""
    try:
        with Path(FILE).open(encoding="utf-8", errors="replace") as conf:
            said = json.loads(conf.read(_MAX_CHARACTERS))
    except (OSError, ValueError, RecursionError):
        return {}
    said = said if isinstance(said, dict) else {}
    found = texts(**{name: said.get(name) for name in ("environment_name", "version_label", "deployment_id")})
    return {"origin": ORIGIN, "aws": {"elastic_beanstalk": found}} if found else {}
