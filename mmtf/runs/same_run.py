"""Whether two runs ended alike, bit for bit: what scripts/kill_test.py asks of a run that was killed and resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from mmtf.runs import RunDirectory, events
from mmtf.runs.checkpoint import STATE, Checkpoints
from mmtf.runs.paths import literal


def differences(one: str | Path, other: str | Path) -> list[str]:
    """Sentences: what differs of the newest checkpoints' tensors, and of all TensorBoard scalars; none where all is equal.

    Scalars that stand twice, as a resumed run might leave them, differ from those that stand once. Those of the HParams
    dashboard are left out, which are about the latest session.
    """
    runs = [RunDirectory.open(path) for path in (one, other)]
    steps = [Checkpoints(run.checkpoints, {}).steps[-1:] for run in runs]
    if steps[0] != steps[1] or not steps[0]:
        return [f"The newest checkpoints are {steps[0]} and {steps[1]}."]
    tensors = [_tensors(run.checkpoints / f"step-{steps[0][0]}" / STATE) for run in runs]
    scalars = [_scalars(run.logs) for run in runs]
    return _unequal("tensor", *tensors) + _unequal("scalar", *scalars)


def _scalars(logs: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Return those of the objective, and those beside the histograms, where there are any."""
    folders = {"": logs, f"{events.HISTOGRAMS}/": logs / events.HISTOGRAMS}
    by_folder = {prefix: events.read_scalars(folder) for prefix, folder in folders.items() if folder.is_dir()}
    return {prefix + name: points for prefix, own in by_folder.items() for name, points in own.items()}


def _tensors(prefix: Path) -> dict[str, np.ndarray]:
    with literal(prefix) as path:
        reader = tf.train.load_checkpoint(str(path))
        return {n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map() if n.startswith("variables/")}


def _unequal(kind: str, one: dict, other: dict) -> list[str]:
    names = sorted(one.keys() | other.keys())
    absent = [name for name in names if name not in one or name not in other]
    unequal = [name for name in names if name not in absent and not _same_bits(one[name], other[name])]
    return [f"Only one run has the {kind} {name}." for name in absent] + [f"The {kind} {name} differs." for name in unequal]


def _same_bits(one, other) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
