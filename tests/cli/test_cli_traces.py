"""`xray-lambda traces`: traces go between the store, files and X-Ray."""

from __future__ import annotations

import json
import stat
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import run
from tests.cli.test_cli_view import received, send
from tests.cli.viewers import viewing
from tests.servers.moto import moto_server
from tests.servers.process import free_port
from tests.viewer.made import NOON, a_trace_id, documents, segment
from tests.viewer.running import until
from xray_lambda.viewer.store import Store

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

pytestmark = pytest.mark.full


def filled(path: Path, number: int = 3) -> None:
    with closing(Store(path)) as store:
        store.add(
            documents(*(segment(start=place, trace_id=a_trace_id(place), fault=place == 1) for place in range(number)))
        )


def ids(text: str) -> list[str]:
    return [trace["Id"] for trace in json.loads(text)["Traces"]]


def test_what_is_exported_is_imported_elsewhere(tmp_path: Path) -> None:
    filled(tmp_path / "one.db")
    done = run("traces", "export", "--store", "one.db", "--output", "all.json", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "3 traces exported.\n")
    assert stat.S_IMODE((tmp_path / "all.json").stat().st_mode) == 0o600
    done = run("traces", "import", "--store", "two.db", "all.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "all.json: 3 documents of 3 traces, into two.db\n")
    again = run("traces", "export", "--store", "two.db", cwd=tmp_path)
    assert json.loads(again.stdout) == json.loads((tmp_path / "all.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--filter", "fault"], [1]),
        (["--filter", "ok"], [2, 0]),
        (["--since", str(NOON + 2)], [2]),
        (["--since", "2023-11-14T22:13:21Z", "--until", "2023-11-14T22:13:21+00:00"], [1]),
        (["--since", "1h"], []),
        ([a_trace_id(2), a_trace_id(0)], [2, 0]),
    ],
)
def test_what_is_exported_can_be_chosen(tmp_path: Path, words: list[str], found: list[int]) -> None:
    filled(tmp_path / "one.db")
    done = run("traces", "export", "--store", "one.db", *words, cwd=tmp_path)
    assert ids(done.stdout) == [a_trace_id(number) for number in found]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    filled(tmp_path / "one.db")
    done = run("traces", "export", "--store", "one.db", a_trace_id(9), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "0 traces exported.\n")
    done = run("traces", "export", "--store", "none.db", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "xray-lambda: there is no store none.db\n")


def test_what_x_ray_would_refuse_is_refused_and_the_rest_is_taken(tmp_path: Path) -> None:
    bad = [{**segment(), "name": None}] * 7
    (tmp_path / "some.json").write_text(json.dumps([*bad, segment()]), "utf-8")
    done = run("traces", "import", "--store", "one.db", "some.json", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == "some.json: 1 documents of 1 traces, into one.db\n"
    assert done.stderr.splitlines() == [
        *["some.json: refused: there is no name"] * 5,
        "some.json: and 2 more were refused",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "some.json cannot be read: No such file or directory"),
        ("not json", "some.json holds no traces: it is not JSON"),
        ("[17]", "some.json holds no traces: it has something that is no trace"),
    ],
)
def test_a_file_without_traces_is_named(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "some.json").write_text(content)
    done = run("traces", "import", "--store", "one.db", "some.json", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_viewer_that_runs_shows_what_is_imported(tmp_path: Path) -> None:
    (tmp_path / "some.json").write_text(json.dumps(segment()), "utf-8")
    for options in (["--memory"], ["--store", "shared.db"]):
        with viewing(*options, cwd=tmp_path) as it:
            port = ["--port", str(it.port)]
            done = run("traces", "import", *port, "some.json", cwd=tmp_path)
            where = f"the viewer at 127.0.0.1:{it.port}" if "--memory" in options else str(tmp_path / "shared.db")
            assert done.stdout == f"some.json: 1 documents of 1 traces, into {where}\n", done.stderr
            exported = run("traces", "export", *port, cwd=tmp_path)
            if "--memory" in options:
                assert "keeps its traces in memory" in exported.stderr
            else:
                assert len(ids(exported.stdout)) == 1
            it.end()


ACCOUNT = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-central-1"}


def pulled(folder: Path, endpoint: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    account = {**ACCOUNT, **settings}
    return run("traces", "pull", "--store", "one.db", "--endpoint-url", endpoint, *words, cwd=folder, **account)


def recent(number: int, **more: Any) -> dict[str, Any]:
    now = time.time()
    return {**segment(trace_id=a_trace_id(number, now), **more), "start_time": now - 1, "end_time": now}


def test_traces_are_pulled_from_x_ray_as_moto_plays_it(tmp_path: Path) -> None:
    boto3 = pytest.importorskip("boto3")
    whole = recent(1)
    (tmp_path / "moto").mkdir()
    with moto_server(tmp_path / "moto") as url:
        client = boto3.client(
            "xray", "eu-central-1", endpoint_url=url, aws_access_key_id="x", aws_secret_access_key="x"
        )
        client.put_trace_segments(TraceSegmentDocuments=[json.dumps(whole)])
        for words in (["--filter", ""], [whole["trace_id"]]):
            done = pulled(tmp_path, url, *words)
            assert (done.returncode, done.stdout) == (0, "X-Ray: 1 documents of 1 traces, into one.db\n"), done.stderr
        done = pulled(tmp_path, url, a_trace_id(7))
        assert done.returncode == 2
        assert "X-Ray has no such traces" in done.stderr
    with closing(Store(tmp_path / "one.db")) as store:
        assert store.trace(whole["trace_id"]) == [whole]


def test_traces_are_pulled_by_a_filter_from_another_viewer_as_from_x_ray(tmp_path: Path) -> None:
    bodies = [recent(number, fault=number == 3) for number in range(5)]
    with viewing("--memory", cwd=tmp_path) as it:
        send(it.port, *bodies)
        until(lambda: received(it.port)["received"] == 5)
        url = f"http://127.0.0.1:{it.port}"
        until(lambda: pulled(tmp_path, url, "--filter", "fault", "--since", "15m").returncode == 0)
        done = pulled(tmp_path, url, "--filter", "fault AND (")
        assert done.returncode == 2
        assert "X-Ray did not answer as hoped: " in done.stderr
        it.end()
    with closing(Store(tmp_path / "one.db")) as store:
        assert [row["trace_id"] for row in store.query()] == [bodies[3]["trace_id"]]
        assert store.trace(bodies[3]["trace_id"])[0]["fault"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name traces by their ids, or a filter with --filter"),
        (["--filter", "", "--since", "yesterday"], "'yesterday' is no time: write 15m, 3h or 2d"),
        (["--filter", "", "--since", "1" * 400], "is no time"),
        (["--filter", "", "--since", "1700000000000"], "is no time"),
        (["--filter", "", "--limit", "0"], "'0' is no number of traces"),
    ],
)
def test_wrong_words_are_named(tmp_path: Path, words: list[str], said: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    done = run("traces", "pull", "--endpoint-url", nowhere, *words, cwd=tmp_path, **ACCOUNT)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_endpoint_that_does_not_answer_is_said_in_a_line(tmp_path: Path) -> None:
    done = pulled(tmp_path, f"http://127.0.0.1:{free_port()}", "--filter", "", AWS_MAX_ATTEMPTS="1")
    assert done.returncode == 2
    assert done.stderr.startswith("xray-lambda: X-Ray did not answer as hoped: Could not connect to the endpoint URL")


def test_without_an_action_the_actions_are_shown(tmp_path: Path) -> None:
    done = run("traces", cwd=tmp_path)
    assert done.returncode == 2
    assert "import" in done.stderr
