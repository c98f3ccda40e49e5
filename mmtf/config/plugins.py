"""Plugins: a Python file or module of the user's own with models and metrics, named by `--plugin`.

A plugin has one or both of these tables:

    MODELS = {"mine": Mine}                # classes of models; --model=mine trains one
    METRICS = [mmtf.MetricSpec("spread", ..., measure=spread)]    # evaluated with all others; --parts=spread alone
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

from mmtf.config.names import MODELS
from mmtf.errors import UserError
from mmtf.metrics.specs import METRICS, MetricSpec

TABLES = ("MODELS", "METRICS")
_LOADED: dict[str, ModuleType] = {}


def load(name: str, copy: Path | None = None) -> None:
    """Add the models and metrics of a plugin to those of the package; one that was loaded before stays as it is.

    Args:
      name: a file such as `examples/new_model.py`, or a module such as `own_package.models`; "" for none.
      copy: of the file, from when a run was trained; it is taken where it is there.

    Raises:
      UserError: there is no such file or module, it fails, it has neither table, or it redefines a name.
    """
    module = module_name(name)
    if not name or module in _LOADED:
        return
    loaded = _of_file(name, module, copy) if _is_file(name) else _of_module(name)
    try:
        _add(loaded, name)
    except UserError:
        sys.modules.pop(module, None) if _is_file(name) else None
        raise
    _LOADED[module] = loaded


def module_name(name: str) -> str:
    """Return what Python calls the module of a plugin."""
    return f"mmtf_plugin_{re.sub(r'[^0-9A-Za-z_]', '_', Path(name).stem)}" if _is_file(name) else name


def content(name: str) -> bytes | None:
    """Return the source of a loaded plugin that is a file; None of a module, which has to be installed wherever it is used."""
    if not name or not _is_file(name):
        return None
    return Path(_LOADED[module_name(name)].__file__).read_bytes()


def _is_file(name: str) -> bool:
    return name.endswith(".py") or "/" in name or "\\" in name


def _of_file(name: str, module: str, copy: Path | None) -> ModuleType:
    path = copy if copy is not None and copy.is_file() else Path(name).expanduser()
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], n=1)
        hint = f" Did you mean {path.parent / near[0]}?" if near else ""
        raise UserError(f"--plugin={name}: there is no such file.{hint}")
    spec = importlib.util.spec_from_file_location(module, path)
    loaded = importlib.util.module_from_spec(spec)
    # Where dataclasses and Keras look for it.
    sys.modules[module] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException as error:
        del sys.modules[module]
        if isinstance(error, Exception):
            raise _failed(name, error) from error
        raise
    return loaded


def _of_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            hint = f" For a file write --plugin={name}.py." if Path(f"{name}.py").is_file() else ""
            raise UserError(f"--plugin={name}: there is no module of that name, and no file.{hint}") from error
        raise _failed(name, error) from error
    except Exception as error:
        raise _failed(name, error) from error


def _failed(name: str, error: Exception) -> UserError:
    if isinstance(error, UserError):
        return UserError(f"--plugin={name}: {error}")
    last = traceback.extract_tb(error.__traceback__)[-1]
    return UserError(f"--plugin={name} fails: {type(error).__name__}: {error} ({last.filename}, line {last.lineno}).")


def _add(module: ModuleType, name: str) -> None:
    models, metrics = getattr(module, "MODELS", {}), getattr(module, "METRICS", ())
    if not models and not metrics:
        near = difflib.get_close_matches("MODELS", [n.upper() for n in vars(module)], n=1)
        hint = f" It has {near[0].lower()}; write it in capitals." if near and not hasattr(module, near[0]) else ""
        raise UserError(f"--plugin={name} has neither a table MODELS nor a list METRICS, so that it adds nothing.{hint}")
    # All is looked at before any of it is added.
    for key, model in models.items():
        if not (isinstance(model, type) and hasattr(model, "Options")):
            raise UserError(f"--plugin={name}: MODELS[{key!r}] wants a class of models, such as a subclass of mmtf.MMJSD.")
        if key in MODELS:
            raise UserError(f"--plugin={name} redefines the model {key!r}; give its own another name.")
    for spec in metrics:
        if not isinstance(spec, MetricSpec):
            raise UserError(f"--plugin={name}: METRICS wants mmtf.MetricSpec objects, not {spec!r}.")
        if spec.key in METRICS:
            raise UserError(
                f"--plugin={name} redefines the metric {spec.key!r} ({METRICS[spec.key].title}); choose another key."
            )
    for key, model in models.items():
        MODELS.add(key, model)
    for spec in metrics:
        METRICS.add(spec)
