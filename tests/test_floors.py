"""The house has floors: a module imports only what stands below it, and imports never run in a circle."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import xray_lambda

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full
HOUSE = Path(xray_lambda.__file__).parent

# Top to bottom. A folder is one entry for all its modules, which may import each other. A new module goes on
# the lowest floor that is above everything it imports.
FLOORS = (
    ("__init__", "__main__"),
    ("cli",),
    ("_pytest_plugin",),
    ("testing",),
    ("lambda_runtime", "web"),
    ("libraries",),
    ("_records", "_traced"),
    ("_api", "logs"),
    ("_recorder",),
    ("sampling",),
    ("_emitters", "plugins"),
    ("_entities",),
    ("_recording",),
    ("_annotations", "_cause", "_document", "_sections"),
    ("_coercions",),
    ("_context", "_entity", "_values"),
    ("_objects",),
    ("_config", "_scalars"),
    ("viewer",),  # a house apart: below the commands that start it, and nothing of the tracer below it
    ("_version", "_callables", "_guard", "_header", "_ids", "_loading", "_thirdparty"),
)
# Modules that a function may import, since few programs come to need them and a cold start pays for each.
LATE = {
    ("_recorder", "sampling.choice"),  # nothing of sampling in Lambda, whose service decides
    ("_recorder", "sampling.request"),  # the same
    ("_recorder", "_emitters.choice"),  # few programs send straight to X-Ray
    ("_recorder", "plugins"),  # Lambda describes its segment itself
    ("sampling.choice", "sampling.clients"),  # few programs send straight to X-Ray
    ("_annotations", "_coercions"),  # nothing but usual annotations, no need
    ("_document", "_values"),  # no metadata, no need
    ("lambda_runtime.handler", "_values"),  # no event or response is captured, no need
    ("_recording", "_cause"),  # no exception, no need
    ("_entities", "_sections"),  # no link, no need
    ("_recording", "_sections"),  # no metadata, no call to a service, no need
    ("_values", "_objects"),  # no instance in metadata, no need
    ("_emitters.udp", "_emitters.resolver"),  # the daemon's host is a number, except in containers
    ("lambda_runtime.handler", "lambda_runtime.loop"),  # for async handlers
    # The layer's door: the function goes on untraced, whatever of ours cannot be imported.
    ("lambda_runtime.auto", "_callables"),
    ("lambda_runtime.auto", "lambda_runtime.handler"),
    ("lambda_runtime.auto", "libraries"),
    ("libraries", "libraries._targets"),  # nothing loaded that is to be patched, no need
    # The extra [view] may be missing: that is to be said, and the other commands work all the same.
    ("cli.view", "cli.viewing"),
    ("cli.view", "cli.tailing"),
    ("cli.view", "cli.moving"),
    ("libraries._patching", "libraries._standin"),  # for functions of C alone; it loads wrapt
}
HEIGHTS = {name: -depth for depth, floor in enumerate(FLOORS) for name in floor}


def faults(house: Path, heights: dict[str, int]) -> Iterator[str]:
    """Say what is wrong with the imports of the package in this folder, each with its file and line."""
    modules = {_name(file, house): file for file in sorted(house.rglob("*.py"))}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for module, file in modules.items():
        if _entry(module) not in heights:
            yield f"{file.name}: no floor for {_entry(module)!r}; add it to FLOORS in {Path(__file__).name}"
            continue
        for node, target, late in _imports(module, modules):
            where = f"{file.relative_to(house)}:{node.lineno}: {module} imports"
            above = heights.get(_entry(target), -len(heights)) >= heights[_entry(module)]
            if target == "__init__":
                yield f"{where} the face; import the module that has it"
            elif late and (module, target) not in LATE:
                yield f"{where} {target} inside a function"
            elif above and not _one_folder(module, target):
                yield f"{where} {target}, which is no lower"
            graph[module].add(target)
    yield from (f"{circle} import each other in a circle" for circle in _circles(graph))


def _name(file: Path, house: Path) -> str:
    parts = file.relative_to(house).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def _entry(module: str) -> str:
    return module.partition(".")[0]


def _one_folder(module: str, target: str) -> bool:
    return _entry(module) == _entry(target) and "." in module + target


def _imports(module: str, modules: dict[str, Path]) -> Iterator[tuple[ast.stmt, str, bool]]:
    """Each import of a module of ours: the statement, the module, and whether it stands inside a function."""
    package = ["xray_lambda", *([] if module == "__init__" else module.split("."))]
    here = package if modules[module].name == "__init__.py" else package[:-1]
    for node, late in _statements(ast.parse(modules[module].read_bytes(), modules[module].name), late=False):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            base = ".".join([*here[: len(here) + 1 - node.level], *([node.module] if node.module else [])])
            start = base if node.level else node.module or ""
            targets = [f"{start}.{alias.name}" for alias in node.names]
        for target in targets:
            if _entry(target) == "xray_lambda":
                yield node, _nearest(target, set(modules)), late


def _nearest(target: str, known: set[str]) -> str:
    """The module that an import of this dotted name reads: the name itself, or what holds it."""
    name = target.removeprefix("xray_lambda").removeprefix(".")
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or "__init__"


def _statements(node: ast.AST, *, late: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            child.body.clear()
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, late
        yield from _statements(child, late=late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def _circles(graph: dict[str, set[str]]) -> Iterator[str]:
    reach = {module: _reachable(module, graph) for module in graph}
    circles = {frozenset(other for other in reach[one] if one in reach[other]) for one in graph}
    yield from sorted(", ".join(sorted(circle)) for circle in circles if len(circle) > 1)


def _reachable(module: str, graph: dict[str, set[str]]) -> set[str]:
    found, ahead = set[str](), [module]
    while ahead:
        new = graph[ahead.pop()] - found
        found |= new
        ahead += new
    return found


def test_imports_go_down() -> None:
    found = list(faults(HOUSE, HEIGHTS))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("low.py", "import xray_lambda.high", "low.py:1: low imports high, which is no lower"),
        ("low.py", "from .high import x", "low.py:1: low imports high, which is no lower"),
        ("low.py", "from . import level", "low.py:1: low imports level, which is no lower"),
        ("rooms/b.py", "from ..high import x", "rooms/b.py:1: rooms.b imports high, which is no lower"),
        ("high.py", "def f():\n import xray_lambda.low", "high.py:2: high imports low inside a function"),
        ("high.py", "from . import x", "high.py:1: high imports the face; import the module that has it"),
        ("high.py", "import xray_lambda", "high.py:1: high imports the face; import the module that has it"),
        ("odd.py", "", "odd.py: no floor for 'odd'; add it to FLOORS in test_floors.py"),
        ("rooms/a.py", "from xray_lambda.rooms import b", "rooms.a, rooms.b import each other in a circle"),
        ("rooms/__init__.py", "from .a import x", None),
        ("high.py", "from .low import x\nfrom .rooms import a", None),
        ("low.py", "if TYPE_CHECKING:\n from .high import x", None),
        (
            "low.py",
            "if TYPE_CHECKING: pass\nelse: from .high import x",
            "low.py:2: low imports high, which is no lower",
        ),
        ("high.py", "def f():\n import json", None),
    ],
)
def test_a_wrong_import_is_named(tmp_path: Path, file: str, text: str, fault: str | None) -> None:
    (tmp_path / "rooms").mkdir()
    for empty in ("__init__", "high", "low", "level", "rooms/__init__", "rooms/a"):
        (tmp_path / f"{empty}.py").touch()
    (tmp_path / "rooms/b.py").write_text("from . import a" if file == "rooms/a.py" else "")
    (tmp_path / file).write_text(text)
    heights = {"__init__": 3, "high": 2, "rooms": 1, "low": 0, "level": 0}
    assert list(faults(tmp_path, heights)) == ([fault] if fault else [])
