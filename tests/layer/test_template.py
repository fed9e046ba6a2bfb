"""template.yaml passes the linters and builds offline; what the linters let pass is looked at here."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.layer.conftest import ROOT
from xray_lambda import _config

pytestmark = pytest.mark.full

SAM = ROOT / ".venvs" / "sam" / "bin"
RUNTIMES = [f"python3.{minor}" for minor in range(10, 15)]


def program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([str(SAM), os.environ["PATH"]]))
    if found is None:
        missing = f"{name} is not installed: `make test` does it, into {SAM.parent.name}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return found


def path() -> str:
    """Return a PATH on which the functions' Python comes first, as sam build wants it; a pyenv shim will not do."""
    sys.path.insert(0, str(ROOT / "tools"))
    from interpreters import Search

    python = Search().found.get("3.13")
    return os.pathsep.join([*([] if python is None else [str(Path(python.path).parent)]), os.environ["PATH"]])


def run(*command: str, home: Path) -> str:
    """Run a program without a network, where that can be had; return what it says."""
    offline = ["unshare", "-n"] if os.getuid() == 0 and shutil.which("unshare") else []
    environ = {
        **os.environ,
        "PATH": path(),
        "HOME": str(home),
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    done = subprocess.run(
        [*offline, *command],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The template as JSON, its short forms written out, as cfn-lint reads it."""
    code = "import json, sys; from cfnlint.decode import decode; print(json.dumps(decode(sys.argv[1])[0]))"
    python = Path(program("cfn-lint")).with_name("python")
    done = subprocess.run([python, "-c", code, "template.yaml"], cwd=ROOT, capture_output=True, text=True, check=True)
    decoded: dict[str, Any] = json.loads(done.stdout)
    return decoded


def test_the_linters_pass(tmp_path: Path) -> None:
    assert run(program("cfn-lint"), "template.yaml", home=tmp_path) == ""
    assert "is a valid SAM Template" in run(program("sam"), "validate", "--lint", home=tmp_path)


def test_sam_builds_the_layer_and_the_functions_offline(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "built"
    run(program("sam"), "build", "--build-dir", str(folder), home=tmp_path)
    layer = folder / "XRayLambdaLayer"
    assert os.access(layer / "xray-lambda", os.X_OK)
    assert (layer / "python" / "xray_lambda" / "lambda_runtime" / "auto.py").is_file()
    assert {file.name for file in (folder / "StoreFunction").iterdir()} == {"api.py", "consumer.py"}


def test_runtimes_and_architectures_are_those_that_there_are(template: dict[str, Any]) -> None:
    layer = template["Resources"]["XRayLambdaLayer"]["Properties"]
    assert layer["CompatibleRuntimes"] == RUNTIMES
    assert sorted(layer["CompatibleArchitectures"]) == ["arm64", "x86_64"]
    shared = template["Globals"]["Function"]
    assert shared["Runtime"] in RUNTIMES
    assert (shared["Architectures"], shared["Tracing"]) == (["arm64"], "Active")
    assert shared["Layers"] == [{"Ref": "XRayLambdaLayer"}]
    assert template["Resources"]["XRayLambdaLayer"]["Metadata"]["BuildMethod"] == "makefile"
    assert "\nbuild-XRayLambdaLayer:\n" in (ROOT / "Makefile").read_text()


def test_every_handler_exists_and_both_code_styles_are_there(template: dict[str, Any]) -> None:
    styles = set()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            module, _, function = resource["Properties"]["Handler"].partition(".")
            source = ROOT / template["Globals"]["Function"]["CodeUri"] / f"{module}.py"
            tree = ast.parse(source.read_text())
            assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            variables = resource["Properties"]["Environment"]["Variables"]
            wrapped = variables.get("AWS_LAMBDA_EXEC_WRAPPER") == "/opt/xray-lambda"
            assert wrapped != ("xray_lambda" in source.read_text())
            styles.add(wrapped)
    assert styles == {True, False}


def test_every_reference_leads_somewhere(template: dict[str, Any]) -> None:
    known = {*template["Resources"], "AWS::Region", "AWS::URLSuffix"}

    def references(value: Any) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(references, value))
        if not isinstance(value, dict):
            return set()
        found = {value["Ref"]} if "Ref" in value else set()
        attribute = value.get("Fn::GetAtt")
        if attribute:
            found.add((attribute if isinstance(attribute, list) else attribute.split("."))[0])
        return found.union(*map(references, value.values()))

    assert references(template) <= known


def test_the_variables_of_ours_that_it_sets_are_settings(template: dict[str, Any]) -> None:
    settings = {name for row in _config.SETTINGS for name in row.env}
    for resource in template["Resources"].values():
        variables = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
        ours = {name for name in variables if name.startswith(("XRAY_", "AWS_XRAY_"))}
        assert ours <= settings
