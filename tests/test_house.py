"""The rules of the house that one file alone cannot show: first lines, lengths, names that must agree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import xray_lambda

pytestmark = pytest.mark.full
ROOT = Path(__file__).parent.parent
FOLDERS = ("xray_lambda", "tests", "tools", "examples")
MODULES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
LONGEST = 400


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def short(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_every_file_begins_by_saying_what_it_is_for() -> None:
    silent = [short(file) for file in MODULES if not begins_with_docstring(file.read_text("utf-8"))]
    assert not silent, f"first line of {silent} is no docstring"


def begins_with_docstring(text: str) -> bool:
    return bool(ast.get_docstring(ast.parse(text))) and text.startswith('"""')


@pytest.mark.parametrize("text", ["", "import os\n", '# a comment\n"""Late."""\n', '"""   """\n'])
def test_a_silent_file_is_noticed(text: str) -> None:
    assert not begins_with_docstring(text)


def test_no_file_of_the_package_is_too_long_to_read() -> None:
    lengths = {short(file): len(file.read_text("utf-8").splitlines()) for file in MODULES}
    ours = {name: lines for name, lines in lengths.items() if name.startswith("xray_lambda")}
    long = {name: lines for name, lines in ours.items() if lines > LONGEST}
    assert not long, f"over {LONGEST} lines: {long}"


def test_nothing_is_left_for_later() -> None:
    pages = [ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    later = re.compile(r"\b(TO|FIX)(DO|ME)\b")
    assert [short(file) for file in [*MODULES, *pages] if later.search(file.read_text("utf-8"))] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_each_make_command_a_page_shows_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    blocks = "".join(re.findall(r"^```.*?^```", read(page), re.MULTILINE | re.DOTALL))
    commands = {*re.findall(r"^(?:\$ )?make ([a-z-]+)", blocks, re.MULTILINE)}
    commands |= {*re.findall(r"`make ([a-z-]+)", read(page))}
    assert commands, f"{page} shows no make command"
    assert commands <= targets


def test_every_name_on_the_face_is_listed_in_order_and_resolves() -> None:
    names = list(xray_lambda.__all__)
    assert names
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(xray_lambda, name)] == []


def test_the_tools_look_for_the_pythons_that_the_package_promises() -> None:
    promised = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', read("pyproject.toml"))
    supported = re.search(r"^SUPPORTED = (.*)$", read("tools/interpreters.py"), re.MULTILINE)
    assert supported
    assert promised == list(ast.literal_eval(supported[1]))


def test_the_changelog_has_a_place_for_what_is_new() -> None:
    assert re.search(r"^## \[Unreleased\]$", read("CHANGELOG.md"), re.MULTILINE)
