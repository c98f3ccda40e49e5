"""Imports point downwards only, from one package to those below it, and never in a circle."""

import ast
import graphlib
from pathlib import Path

import pytest
from checkout import ROOT

# From top to bottom, as CONTRIBUTING.md lists them.
ROOMS = (
    "__main__",
    "cli",
    "verbs",
    "training",
    "serving",
    "tensorboard",
    "evaluation",
    "registry",
    "data",
    "models",
    "networks",
    "report",
    "distributions",
    "distributed",
    "runs",
    "keras_names",
    "processor",
    "config",
    "metrics",
    "modality",
    "containers",
    "text",
    "progress",
    "errors",
)


def named(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {named(path): path for path in sorted((ROOT / "mmtf").rglob("*.py"))}


def imports(module: str) -> set[str]:
    """Return the modules of the package that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mmtf":
            found |= {f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in FILES else node.module for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.split(".")[0] == "mmtf"}
    return found - {module}


def room(module: str) -> str:
    return module.split(".")[1]


def test_every_package_has_its_place():
    assert {room(m) for m in FILES if m != "mmtf"} == set(ROOMS)


@pytest.mark.parametrize("module", [m for m in FILES if m != "mmtf"])
def test_a_module_imports_only_from_its_own_package_and_those_below(module):
    above = ROOMS[: ROOMS.index(room(module))]
    # The package itself has nothing but the version and what it finds when asked.
    assert [m for m in imports(module) if m != "mmtf" and room(m) in above] == []


def test_no_modules_import_each_other_in_a_circle():
    graphlib.TopologicalSorter({m: imports(m) - {"mmtf"} for m in FILES if m != "mmtf"}).prepare()
