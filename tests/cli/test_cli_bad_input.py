"""Bad input to the command line is told in one line that names it and says what to do; exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run as run_process

import pytest

import xray_lambda
from tests.cli.commands import environment, run, write_app

pytestmark = pytest.mark.full


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bad.json").write_text('{\n  "id": 7,\n  oops\n}')
    (tmp_path / "latin.json").write_bytes(b'{"name": "\xe9"}')
    (tmp_path / "deep.json").write_text("[" * 100_000)
    return write_app(tmp_path, "def handler(event, context): return 1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("app", "the handler 'app' is not of the form module.function: write app.handler"),
        ("app:handler", "the handler 'app:handler' is not of the form module.function"),
        ("app.py", "the handler 'app.py' is not of the form module.function"),
        (".handler", "the handler '.handler' is not of the form module.function"),
        ("app.handler --event bad.json", "the event 'bad.json' is not JSON: "),
        ("app.handler --event bad.json", ", line 3, column 3"),
        ("app.handler --event deep.json", "the event 'deep.json' is nested too deeply"),
        ("app.handler --event latin.json", "the event 'latin.json' is not UTF-8 text: byte 11 is 0xe9"),
        ("app.handler --event none.json", "there is no event file 'none.json': name a JSON file"),
        ("app.handler --event .", "the event file '.' cannot be read: Is a directory"),
        ("app.handler --event -", "the event on standard input is not JSON: Expecting value, line 1, column 1"),
        ("app.handler --directory nowhere", "--directory 'nowhere' is not a directory"),
        ("app.handler --timeout soon", "--timeout 'soon' is not a number of seconds above 0"),
        ("app.handler --timeout 0", "--timeout '0' is not a number of seconds above 0"),
        ("app.handler --timeout=-1", "--timeout '-1' is not a number of seconds above 0"),
        ("app.handler --timeout nan", "--timeout 'nan' is not a number of seconds above 0"),
        ("app.handler --env TABLE", "--env 'TABLE' is not of the form NAME=VALUE"),
        ("app.handler --env =x", "--env '=x' is not of the form NAME=VALUE"),
        ("app.handler --header é", "--header 'é' cannot be an HTTP header"),
        ("app.handler --function-name a/b", "the function name 'a/b' is not one that Lambda takes"),
        ("app.handler --tenant-id=", "--tenant-id '' is not one that Lambda takes"),
    ],
)
def test_bad_input_is_named_in_one_line(folder: Path, arguments: str, words: str) -> None:
    done = run("invoke", *arguments.split(" "), cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("xray-lambda: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_a_header_with_a_line_break_is_refused(folder: Path) -> None:
    done = run("invoke", "app.handler", "--header", "Root=1\r\nEvil: 1", cwd=folder)
    assert done.returncode == 2
    assert "cannot be an HTTP header" in done.stderr


def test_a_missing_runtime_client_is_told_with_the_command_that_brings_it(folder: Path) -> None:
    here = str(Path(xray_lambda.__file__).parent.parent)
    command = [sys.executable, "-S", "-m", "xray_lambda", "invoke", "app.handler"]  # -S: without site-packages
    done = run_process(
        command, cwd=folder, env=environment(PYTHONPATH=here), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'xray-lambda[local]'" in done.stderr


@pytest.mark.parametrize("arguments", [["--nope"], ["invoke"], ["nope"], ["invoke", "app.handler", "--nope"]])
def test_words_that_are_no_command_show_the_usage(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: xray-lambda")


def test_no_words_at_all_show_the_help(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert done.returncode == 2
    assert "examples:" in done.stderr


@pytest.mark.parametrize("command", [[], ["invoke"], ["demo"], ["doctor"]])
def test_each_command_explains_itself(tmp_path: Path, command: list[str]) -> None:
    done = run(*command, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(" ".join(["usage: xray-lambda", *command]))


def test_the_version_is_told(tmp_path: Path) -> None:
    done = run("--version", cwd=tmp_path)
    assert done.stdout == f"xray-lambda {xray_lambda.__version__}\n"
