"""TensorBoard's event files: what stands in them, and what of it goes where a run is resumed from an earlier step."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto.event_pb2 import Event

# Below a run's logs, what TensorBoard shows as a run of its own, beside those of the objective.
HISTOGRAMS = "histograms"


def read_scalars(logs: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Return every scalar that TensorBoard would show: by name, its steps and its values."""
    events = event_accumulator.EventAccumulator(str(logs), size_guidance={event_accumulator.TENSORS: 0}).Reload()
    scalars = {}
    for name in events.Tags()["tensors"]:
        if events.SummaryMetadata(name).plugin_data.plugin_name == "scalars":
            points = events.Tensors(name)
            scalars[name] = [e.step for e in points], [float(tf.make_ndarray(e.tensor_proto)) for e in points]
    return scalars


def drop_after(logs: Path, step: int) -> int:
    """Remove the events of later steps, and the half-written ones of a kill, from all event files; how many there were.

    The file writers of TensorFlow 2 have no `purge_step`; and where one is emulated, events still stand in the files twice.
    A file is written anew under another name and renamed, so that it is whole at every moment.
    """
    count = 0
    for file in sorted(logs.rglob("*.tfevents.*")):
        if file.name.startswith("."):
            file.unlink()
            continue
        kept, dropped = _events(file, step)
        count += dropped
        if dropped:
            unfinished = file.with_name(f".{file.name}")
            with tf.io.TFRecordWriter(str(unfinished)) as writer:
                for event in kept:
                    writer.write(event)
            unfinished.replace(file)
    return count


def _events(file: Path, step: int) -> tuple[list[bytes], int]:
    """Return the records of a file up to a step, and how many others there are."""
    kept, dropped = [], 0
    try:
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            if Event.FromString(record).step <= step:
                kept.append(record)
            else:
                dropped += 1
    except tf.errors.DataLossError:
        dropped += 1
    return kept, dropped
