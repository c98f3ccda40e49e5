"""A run directory: its files, one process at a time in it, checkpoints that survive a kill, what TensorBoard reads of it."""

from mmtf.runs.directory import RunDirectory, write_atomically

__all__ = ["RunDirectory", "write_atomically"]
