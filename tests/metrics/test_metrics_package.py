"""The package of metrics: which modules it has, and what importing them costs."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmtf import metrics

IMPORTS = """
import sys
from mmtf import metrics
loaded = {name for name in sys.modules if name.startswith("mmtf.metrics.")}
assert loaded == {"mmtf.metrics.specs", "mmtf.metrics.entries"}, f"importing the package imports {loaded}"
for name in metrics.__all__:
    if name != "classifier":
        assert getattr(metrics, name).__name__ == f"mmtf.metrics.{name}"
found = {"tensorflow", "keras", "torch"} & set(sys.modules)
assert not found, f"metrics import {found}"
"""


def test_metrics_do_not_wait_for_tensorflow():
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, cwd=Path(metrics.__file__).parents[2])


def test_all_modules_are_named_where_a_reader_looks_for_them():
    folder = Path(metrics.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "arrays"}
    assert set(metrics.__all__) == modules
    assert all(f"`{name}`" in metrics.__doc__ for name in modules)


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="no blue; it has: cca"):
        metrics.blue  # noqa: B018
