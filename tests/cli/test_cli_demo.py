"""`xray-lambda demo` shows nested, failing and annotated subsegments of the sample shop."""

from __future__ import annotations

from pathlib import Path

from tests.cli.commands import run, run_json


def test_the_first_line_says_what_is_to_be_seen(tmp_path: Path) -> None:
    done = run("demo", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("A shop's order in the real Lambda runtime: ")
    assert "order=A-1017  customer_tier=gold" in done.stdout
    assert "✗ app.CardDeclinedError: Ada's card allows 50.00, not 60.50" in done.stdout


def test_the_sample_nests_fails_and_works_side_by_side(tmp_path: Path) -> None:
    code, said = run_json("demo", cwd=tmp_path)
    assert (code, said["result"]["paid_by"]) == (0, "invoice")
    [handler] = said["documents"]
    assert [child["name"] for child in handler["subsegments"]] == ["price", "reserve", "reserve", "pay"]
    _, one, other, pay = handler["subsegments"]
    assert max(one["start_time"], other["start_time"]) < min(one["end_time"], other["end_time"])
    assert ("fault" in handler, "fault" in pay, pay["subsegments"][0]["fault"]) == (False, False, True)
    assert handler["metadata"]["default"]["basket"] == {"teapot": 1, "cup": 4}
