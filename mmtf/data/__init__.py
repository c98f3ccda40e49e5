"""Data sets, and what brings a user's own arrays and tables into their form."""

from mmtf.data.arrays.builders import from_arrays, from_dataframe

__all__ = ["from_arrays", "from_dataframe"]
