"""Data sets, and what brings a user's own arrays and tables into their form."""

import importlib

__all__ = ["from_arrays", "from_dataframe"]


def __getattr__(name: str):
    # When asked for: scikit-learn and SciPy take longer to import than a command to print its help.
    if name in __all__:
        return getattr(importlib.import_module("mmtf.data.arrays.builders"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
