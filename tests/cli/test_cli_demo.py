"""`xray-lambda demo` shows the sample shop: nested, failing and annotated subsegments, AWS, HTTP and SQL calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import run, run_json

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.full  # the sample needs moto, which only the environment of the whole suite has


def shape(document: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return the names of a document's tree."""
    return (document["name"].partition(":")[0], [shape(child) for child in document.get("subsegments", ())])


def test_the_first_lines_say_what_is_to_be_seen(tmp_path: Path) -> None:
    done = run("demo", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("A shop's order in the real Lambda runtime: ")
    assert "order=A-1017  customer_tier=gold" in done.stdout
    assert "✗ app.CardDeclinedError: Ada's card allows 50.00, not 60.50" in done.stdout
    assert "sql SQLite UPDATE stock SET left = left - ? WHERE item = ? AND left >= ?" in done.stdout


def test_the_sample_nests_fails_and_calls_aws_http_and_sql(tmp_path: Path) -> None:
    code, said = run_json("demo", cwd=tmp_path)
    assert (code, said["result"]["paid_by"]) == (0, "invoice")
    [handler] = said["documents"]
    reserve: tuple[str, list[Any]] = ("reserve", [("stock.db", [])])
    pay: tuple[str, list[Any]] = ("pay", [("charge", [("127.0.0.1", [])]), ("send invoice", [])])
    assert shape(handler)[1] == [("price", [("DynamoDB", [])]), reserve, reserve, pay, ("S3", []), ("SQS", [])]
    assert handler["metadata"]["default"]["basket"] == {"teapot": 1, "cup": 4}
    [charge, _] = handler["subsegments"][3]["subsegments"]
    [bank] = charge["subsegments"]
    assert ("fault" in handler, charge["fault"], bank["error"], "fault" in bank) == (False, True, True, False)
    assert bank["http"]["request"]["traced"] is True
    assert bank["http"]["response"]["status"] == 402


def test_a_missing_package_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['moto'] = None\n")
    done = run("demo", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode != 0
    assert "moto" in done.stderr
    assert "pip install 'xray-lambda[demo]'" in done.stderr
