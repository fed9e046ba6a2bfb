"""./build.sh: the same zip each time, nothing in it that does not belong, and never above its budget."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.layer.conftest import ROOT
from tests.test_cold_start import COLD_START, WANTED_LATER
from tests.test_floors import HOUSE, _imports, _name

pytestmark = pytest.mark.full
PLACE = "python/xray_lambda"


def module_of_the_build(name: str) -> Any:
    """Import one of the build's scripts, which are no package."""
    if str(ROOT / "layer") not in sys.path:
        sys.path[:0] = [str(ROOT / "layer"), str(ROOT / "tools")]
    return importlib.import_module(name)


def entries(archive: Path) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(archive) as zipped:
        return {entry.filename: entry for entry in zipped.infolist()}


def test_a_second_build_is_the_same_byte_for_byte_and_says_its_hash(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    done = subprocess.run(
        [str(ROOT / "build.sh"), "--output", str(again)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    digest = hashlib.sha256(built.read_bytes()).hexdigest()
    assert hashlib.sha256(again.read_bytes()).hexdigest() == digest
    assert done.stdout.splitlines()[-1] == f"SHA-256 {digest}"


def test_the_zip_is_within_its_budget_and_has_what_a_function_needs(built: Path) -> None:
    build = module_of_the_build("build")
    assert built.stat().st_size <= build.BUDGET_BYTES == 2_000_000
    names = entries(built)
    assert names["xray-lambda"].external_attr >> 16 == 0o755
    assert {"python/xray_lambda/lambda_runtime/auto.py", "python/xray_lambda/py.typed"} <= names.keys()
    assert {entry.date_time for entry in names.values()} == {(1980, 1, 1, 0, 0, 0)}
    assert not [name for name in names if name.endswith(".so")]  # the same on both architectures
    roots = {"/".join(name.split("/")[:2]) for name in names}
    assert roots == {"xray-lambda", "python/xray_lambda"}  # no package by others under its public name
    assert not [name for name in names if re.search(r"/((cli|viewer)/|testing|__main__|_pytest_plugin)", name)]


def test_every_module_has_byte_code_that_is_never_compared_with_its_source(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        described = json.loads(archive.read("python/xray_lambda/layer.json"))
        tags = {f"cpython-{version.replace('.', '')}" for version in described["byte_code"]}
        assert f"cpython-{sys.version_info.major}{sys.version_info.minor}" in tags
        bundles = [archive.read(f"python/xray_lambda/_bundle.{tag}") for tag in tags]
        for name in names:
            folder, _, module = name.rpartition("/")
            if name.endswith(".py") and ("_vendored" in folder or name == "python/xray_lambda/__init__.py"):
                # PEP 552: the flags after the magic number; 1 is a hash that is not checked.
                compiled = [f"{folder}/__pycache__/{module[:-3]}.{tag}.pyc" for tag in tags]
                assert all(archive.read(one)[4:8] == b"\x01\x00\x00\x00" for one in compiled)
            elif name.endswith(".py"):
                path = name.removeprefix("python/xray_lambda/").encode()
                assert all(path in bundle for bundle in bundles), name


def test_modules_come_out_of_the_bundle_with_their_sources_beside_them(layer: Path) -> None:
    program = """
import inspect, json, sys
import xray_lambda
from xray_lambda import _header, libraries, traced
loaders = {type(module.__loader__).__qualname__ for module in (_header, libraries, sys.modules["xray_lambda._traced"])}
source = inspect.getsource(_header.parse)
files = [module.__file__ for module in (xray_lambda, _header, libraries)]
print(json.dumps([sorted(loaders), source[:9], _header.parse.__code__.co_filename, files, libraries.__path__]))
"""
    environ = {"PYTHONPATH": str(layer / "python")}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, cwd=layer, env=environ, capture_output=True, text=True, check=True)
    package = f"{layer}/{PLACE}"
    assert json.loads(said.stdout) == [
        ["_take_modules_from_bundle.<locals>.Loader"],
        "def parse",
        f"{package}/_header.py",
        [f"{package}/__init__.py", f"{package}/_header.py", f"{package}/libraries/__init__.py"],
        [f"{package}/libraries"],
    ]


@pytest.mark.parametrize("harm", ["missing", "another Python's"])
def test_without_a_bundle_of_this_python_the_sources_are_loaded(harm: str, layer: Path, tmp_path: Path) -> None:
    folder = tmp_path / "opt"
    shutil.copytree(layer / "python", folder)
    for bundle in (folder / "xray_lambda").glob("_bundle.*"):
        bundle.chmod(0o644)
        bundle.write_bytes(b"\0\0\r\n") if harm != "missing" else bundle.unlink()
    program = "import xray_lambda._header as header; print(header.__cached__.rpartition('/')[2])"
    environ = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, cwd=layer, env=environ, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("_header.cpython-")


def test_the_manifest_names_what_is_in_it_with_versions_and_licences(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        described = json.loads(archive.read("python/xray_lambda/layer.json"))
        licences = [name for name in archive.namelist() if name.endswith("/LICENSE")]
    assert described["architectures"] == ["arm64", "x86_64"]
    assert [part["name"] for part in described["parts"]] == ["jsonpickle", "wrapt"]
    pins = (ROOT / "layer" / "vendored.txt").read_text()
    assert all(f"{part['name']}=={part['version']}" in pins and "BSD" in part["licence"] for part in described["parts"])
    assert len(licences) == len(described["parts"])


def test_what_is_in_the_layer_needs_nothing_that_is_not() -> None:
    of_use = module_of_the_build("contents").is_of_use
    modules = {_name(file, HOUSE): file for file in HOUSE.rglob("*.py")}
    kept = {name: file for name, file in modules.items() if of_use(file.relative_to(HOUSE).as_posix())}
    needed = {(name, target) for name in kept for _, target, late in _imports(name, modules) if not late}
    assert {(name, target) for name, target in needed if target not in kept} == set()
    late = {(name, target) for name in kept for _, target, late in _imports(name, modules) if late}
    # Each of these stands behind the question whether this is Lambda: what is not in the layer is not looked for there.
    assert {(name, target) for name, target in late if target not in kept} == {
        ("_recorder", "_emitters.choice"),
        ("_recorder", "plugins"),
        ("_recorder", "sampling.choice"),
    }


@pytest.mark.parametrize("stray", ["notes.txt", "_header.py.orig", ".env", "libraries/secret.json"])
def test_a_file_that_does_not_belong_ends_the_build(stray: str, tmp_path: Path) -> None:
    contents = module_of_the_build("contents")
    (tmp_path / "libraries").mkdir()
    (tmp_path / "_header.py").touch()
    assert [str(file.path) for file in contents.own_files(tmp_path)] == ["python/xray_lambda/_header.py"]
    (tmp_path / stray).touch()
    with pytest.raises(contents.BuildError, match=re.escape(f"{tmp_path / stray} does not belong into the layer")):
        list(contents.own_files(tmp_path))


def test_a_layer_above_its_budget_is_not_left_behind(tmp_path: Path) -> None:
    build, contents = module_of_the_build("build"), module_of_the_build("contents")
    noise = hashlib.shake_256(b"noise").digest(build.BUDGET_BYTES)
    output = tmp_path / "layer.zip"
    with pytest.raises(contents.BuildError, match=r"more than the 2,000,000 it may"):
        build.write_zip(output, [contents.File(Path("python/noise.py"), noise)])
    assert not output.exists()


def test_a_narrower_layer_is_smaller_and_says_what_it_is_for(built: Path, tmp_path: Path) -> None:
    output = tmp_path / "narrow.zip"
    version = f"3.{sys.version_info.minor}"
    command = [str(ROOT / "build.sh"), "--arch", "arm64", "--python", version, "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(output) as archive:
        described = json.loads(archive.read("python/xray_lambda/layer.json"))
        tags = {name.rpartition(".")[2] for name in archive.namelist() if "/_bundle." in name}
    assert (described["architectures"], list(described["byte_code"])) == (["arm64"], [version])
    assert tags == {f"cpython-3{sys.version_info.minor}"}
    assert output.stat().st_size < built.stat().st_size / 2


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    done = subprocess.run([str(ROOT / "build.sh"), "--arch", "sparc"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'arm64', 'x86_64'" in done.stderr


def test_what_every_cold_start_loads_is_read_at_once() -> None:
    contents = module_of_the_build("contents")
    patching = WANTED_LATER["xray_lambda.patch_all()"]
    wanted = {name for name in [*COLD_START, *patching] if name.startswith("xray_lambda.")}
    assert set(contents.FIRST) == {*wanted, "xray_lambda.lambda_runtime.auto"}
