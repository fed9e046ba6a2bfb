"""The schema that every document of ours satisfies, and the size that it stays under."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_SCHEMA = json.loads(Path(__file__).with_name("xray-document.schema.json").read_text(encoding="utf-8"))
_VALIDATOR = Draft202012Validator(_SCHEMA)

MAX_BYTES = 64_000


def checked(document: str) -> dict[str, Any]:
    """Return a document as data, after making sure that X-Ray would take it."""
    assert len(document.encode()) <= MAX_BYTES, f"{len(document.encode())} bytes: {document[:200]}"
    data: dict[str, Any] = json.loads(document)
    errors = [f"{error.json_path}: {error.message[:200]}" for error in _VALIDATOR.iter_errors(data)]
    assert not errors, errors
    return data
