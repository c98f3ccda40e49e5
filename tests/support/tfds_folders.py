"""Folders as TensorFlow Datasets prepares them, with examples of a test's own."""

from pathlib import Path

import tensorflow_datasets as tfds


def prepare(data_dir, name, examples, per_file=None):
    """A data set as TFDS prepares it, from (example, ...) per split, in files of `per_file` examples."""
    builder = tfds.builder(name, data_dir=data_dir)
    Path(builder.data_dir).mkdir(parents=True)
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=name, version=builder.version, data_dir=builder.data_dir, module_name=type(builder).__module__
    )
    info = tfds.core.DatasetInfo(builder=identity, features=builder.info.features)
    writer = tfds.core.SequentialWriter(info, per_file or max(len(part) for part in examples.values()))
    writer.initialize_splits(list(examples))
    writer.add_examples(examples)
    writer.close_all()
    return Path(builder.data_dir)
