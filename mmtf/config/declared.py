"""Options stand in the file of what they are options of; here they are read from it, without running the rest of the file.

A model's file imports TensorFlow, which takes seconds. But `--help` and a mistyped flag need nothing of it but the options. So
the statements of the class, and what they name, are taken from the source and executed alone. `declare`, the decorator that
marks such a class, returns the class that was read before, if there is one: a model that is imported later has the same.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
import importlib
import importlib.util
import sys
from pathlib import Path

# Packages that are imported as they are, and so are modules called `options`: none of them needs TensorFlow.
LIGHT = ("mmtf.config", "mmtf.errors", "mmtf.modality")
_DECLARED: dict[tuple[str, str], type] = {}


def declare(cls: type) -> type:
    """Make a class of options a frozen dataclass, once for its module and name."""
    key = (cls.__module__, cls.__qualname__)
    if key not in _DECLARED:
        _DECLARED[key] = dataclasses.dataclass(frozen=True)(cls)
    return _DECLARED[key]


def read(module: str, name: str) -> type:
    """Return the class of options of that name; a module that is not imported yet stays so.

    Raises:
      LookupError: the module has no such class.
    """
    if (module, name) not in _DECLARED:
        _resolved(module, name)
    try:
        return _DECLARED[module, name]
    except KeyError:
        raise LookupError(f"{module} has no class {name} that mmtf.config.declare marks.") from None


def docstring(module: str) -> str | None:
    """Return what a module says of itself, without importing it."""
    return ast.get_docstring(ast.parse(_source(module)))


def _resolved(module: str, name: str):
    """Return what a name means at the top of a module; None where only the module as a whole could tell."""
    if module in sys.modules:
        return getattr(sys.modules[module], name, None)
    if module.startswith(LIGHT) or module.endswith(".options") or module.split(".")[0] in sys.stdlib_module_names:
        return getattr(importlib.import_module(module), name)
    statement = _statements(module).get(name)
    if isinstance(statement, tuple):
        return _resolved(*statement)
    if isinstance(statement, str):
        return importlib.import_module(statement) if statement in sys.stdlib_module_names else None
    return None if statement is None else _executed(module, name, statement)


def _executed(module: str, name: str, statement: ast.stmt):
    # A dictionary for each statement: what it names, and nothing else.
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)} - set(dir(builtins)) - {name}
    values = {other: _resolved(module, other) for other in sorted(names)}
    space = {"__name__": module} | {other: value for other, value in values.items() if value is not None}
    code = compile(ast.Module([statement], []), module, "exec", dont_inherit=True)
    exec(code, space)
    return space[name]


@functools.cache
def _statements(module: str) -> dict[str, ast.stmt | tuple[str, str] | str]:
    """Return the statements at the top of a module by the name that they define; of imports where the name comes from."""
    by_name: dict = {}
    for node in ast.parse(_source(module)).body:
        if isinstance(node, ast.ImportFrom):
            by_name |= {a.asname or a.name: (node.module, a.name) for a in node.names}
        elif isinstance(node, ast.Import):
            by_name |= {a.asname or a.name: a.name for a in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            by_name[node.name] = node
        elif isinstance(node, ast.Assign):
            by_name |= {n.id: node for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return by_name


def _source(module: str) -> str:
    # The packages above are imported by this; they are empty of TensorFlow.
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.origin:
        raise LookupError(f"There is no module {module}.")
    return Path(spec.origin).read_text(encoding="utf-8")
