"""Plugins: a Python file or module of the user's own with models and metrics, named by `--plugin`.

A plugin has one or both of these tables:

    MODELS = {"mine": Mine}                # classes of models; --model=mine trains one
    METRICS = [mmtf.MetricSpec("spread", ..., measure=spread)]    # evaluated with all others; --parts=spread alone
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import logging
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from mmtf.config.names import MODELS
from mmtf.errors import UserError
from mmtf.metrics.entries import METRICS
from mmtf.metrics.specs import MetricSpec

log = logging.getLogger(__name__)


class _Loaded(NamedTuple):
    """Attributes:
    source: of a file as it was executed, which may have been edited since; None of a module.
    from_copy: whether it is the copy that a run keeps.
    """

    source: bytes | None
    from_copy: bool


_LOADED: dict[str, _Loaded] = {}


def load(name: str, copy: Path | None = None) -> None:
    """Add the models and metrics of a plugin to those of the package.

    A process has one plugin of a name. One that the user names stands in for the copies that runs keep of it; a warning says
    so where they differ.

    Args:
      name: a file such as `examples/new_model.py`, or a module such as `own_package.models`; "" for none.
      copy: of the file, from when a run was trained; it is taken where it is there.

    Raises:
      UserError: there is no such file or module, it fails, it has neither table, it redefines a name, or this process has
        another version of it.
    """
    if not name:
        return
    module = module_name(name)
    if not _is_file(name):
        if module not in _LOADED:
            _add(_of_module(name), name)
            _LOADED[module] = _Loaded(None, from_copy=False)
        return
    from_copy = copy is not None and copy.is_file()
    path = copy if from_copy else _file(name)
    wanted = _Loaded(path.read_bytes(), from_copy)
    if module in _LOADED:
        _check_same(name, _LOADED[module], wanted)
        return
    try:
        _add(_of_file(name, module, path), name)
    except UserError:
        sys.modules.pop(module, None)
        raise
    _LOADED[module] = wanted


def module_name(name: str) -> str:
    """Return what Python calls the module of a plugin."""
    return f"mmtf_plugin_{re.sub(r'[^0-9A-Za-z_]', '_', Path(name).stem)}" if _is_file(name) else name


def content(name: str) -> bytes | None:
    """Return the source of a loaded plugin as it was executed; None of a module, which has to be installed where it is used."""
    return _LOADED[module_name(name)].source if name else None


def _is_file(name: str) -> bool:
    return name.endswith(".py") or "/" in name or "\\" in name


def _check_same(name: str, loaded: _Loaded, wanted: _Loaded) -> None:
    """Refuse a second version of a plugin, whose classes would go under the names of the first one's."""
    if loaded.source == wanted.source:
        return
    if wanted.from_copy and not loaded.from_copy:
        log.warning("--plugin=%s, which was named, stands in for the copy that the run was trained with; they differ.", name)
        return
    raise UserError(
        f"--plugin={name}: this process has loaded another version of {Path(name).name} already; use a process of its own for "
        "each, or give one of them another name."
    )


def _file(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], n=1)
        hint = f" Did you mean {path.parent / near[0]}?" if near else ""
        raise UserError(f"--plugin={name}: there is no such file.{hint}")
    return path


def _of_file(name: str, module: str, path: Path) -> ModuleType:
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
        METRICS.check(spec)
    keys = [spec.key for spec in metrics]
    if len(set(keys)) < len(keys):
        raise UserError(f"--plugin={name} has two metrics {max(keys, key=keys.count)!r}; give one of them another key.")
    for key, model in models.items():
        MODELS.add(key, model)
    for spec in metrics:
        METRICS.add(spec)
