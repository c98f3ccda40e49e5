"""The classifiers that evaluate generated samples, [S] C.2.2: fitted once, kept in a cache, asked for classes or attributes.

Values are images, uint8 in 0..255 or float in 0..1; text, as integer classes or as probabilities of classes; or other numbers,
as they are. Labels are classes `[N]`, or 0 and 1 for each of K attributes `[N, K]`. Models return logits `[B, K]`;
`mmtf.networks.classifiers` has those of the paper. Nothing here reads or sets a global seed.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf

from mmtf import progress
from mmtf.metrics.precision import attributes, average_precisions

log = logging.getLogger(__name__)

BATCH_SIZE = 128
LEARNING_RATE = 8e-3
SHOWN_AFTER = 10.0  # seconds of training before there is a progress bar
# A part of the cache's key: raise it when `fit` changes, so that no older weights are taken for its result.
RECIPE = 1


def default_epochs(count: int) -> int:
    """Return epochs that suffice for `count` examples: 6, and more for few examples, which make few steps per epoch."""
    return 6 + 10_000 // max(count, 1)


def fit(
    model: keras.Model,
    values: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int | None = None,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    learning_rate: float = LEARNING_RATE,
) -> None:
    """Train a classifier with Adam on the sigmoid cross-entropy, summed over classes ([S] Tables 1 and 2: sigmoid outputs).

    Args:
      model: changed in place; its own seeds decide on dropout.
      values: `[N, ...]`.
      labels: classes 0..K-1, `[N]`, or which of K attributes are there, `[N, K]` of 0 and 1.
      epochs: passes over the data; `default_epochs(N)` if None.
      batch_size: examples per step, N at most; what does not fill a batch waits for the next epoch's order.
      seed: of the order of examples.
      learning_rate: its peak, reached linearly over the first fifth of the steps and left along a cosine to 0.

    Raises:
      ValueError: no values, other than one label (or one row of K) each, or labels that are not the model's.
    """
    targets = _targets(model, values, labels)
    order = _shuffled(len(values), batch_size, epochs or default_epochs(len(values)), seed)
    # A second model around the same layers: the given one is not left with an optimizer.
    trainer = keras.Model(model.inputs[0], model.outputs[0])
    trainer.compile(keras.optimizers.Adam(_warm_cosine(learning_rate, len(order))), _summed_sigmoid, jit_compile=False)
    with progress.bar(len(order), model.name, "step", delay=SHOWN_AFTER) as bar:
        shown = [progress.of_steps(bar)]
        trainer.fit(_batches(model, values, order, targets), shuffle=False, verbose=0, callbacks=shown)


def predict_scores(model: keras.Model, values: np.ndarray, batch_size: int = 500) -> np.ndarray:
    """Return logits of the K classes or attributes of each value: `[N, ...]` -> `[N, K]` float32.

    Raises ValueError for no values.
    """
    return predict_outputs(model, values, batch_size)[0]


def predict_outputs(model: keras.Model, values: np.ndarray, batch_size: int = 500) -> list[np.ndarray]:
    """Return each output of a network for each value: `[N, ...]` -> `[N, F]` float32. Raises ValueError for no values."""
    count = len(values)
    if not count:
        raise ValueError("There are no values to classify.")
    # The last batch is filled up with the last value: one shape is one trace.
    rows = np.minimum(np.arange(-(-count // batch_size) * batch_size), count - 1).reshape(-1, batch_size)
    prepare = _preparation(model)
    parts = [tf.nest.flatten(model.predict_on_batch(prepare(tf.constant(values[batch])))) for batch in rows]
    return [np.concatenate(part)[:count] for part in zip(*parts, strict=True)]


def predict_classes(model: keras.Model, values: np.ndarray, batch_size: int = 500) -> np.ndarray:
    """Return the likeliest class of each value: `[N, ...]` -> `[N]` int64. Raises ValueError where there are no values."""
    return predict_scores(model, values, batch_size).argmax(axis=-1)


def accuracy(model: keras.Model, values: np.ndarray, labels: np.ndarray) -> float:
    """Return share of values `[N, ...]` whose likeliest class is their label `[N]`. Raises ValueError as `fit` does."""
    return float(np.mean(predict_classes(model, values) == _checked_classes(model, values, labels)))


def precisions(model: keras.Model, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return average precision of each of K attributes on values `[N, ...]` with labels `[N, K]` of 0 and 1: `[K]`.

    NaN stands for an attribute that all or none of the values have. Raises ValueError as `fit` does.
    """
    return average_precisions(predict_scores(model, values), _checked_attributes(model, values, labels))


def cached(
    build: Callable[[], keras.Model],
    values: np.ndarray,
    labels: np.ndarray,
    *,
    cache_dir: str | Path,
    key_parts: Mapping,
    seed: int = 0,
    epochs: int | None = None,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    test: tuple[np.ndarray, np.ndarray] | None = None,
) -> keras.Model:
    """Return the classifier that `build` makes, fitted: trained the first time, read from the cache afterwards.

    The cache holds `<model name>-<key>.weights.h5`, and beside it a `.json` for readers, with the key's parts and the test
    accuracy, or mean average precision. A file that cannot be read, or whose weights have changed, is trained again with a
    warning. Files appear whole, by renaming: processes at work on the same classifier at once each train it, and the last
    one's file stays.

    Args:
      build: makes the model with its initial weights; called once, and once more after an unreadable file.
      values, labels, seed, epochs, batch_size, learning_rate: as in `fit`.
      cache_dir: made if need be. Where it cannot be written, the model is trained all the same, with a warning.
      key_parts: what else the result depends on, or a reader should know, such as the data set's name; JSON values.
      test: values and labels for the score in the `.json`.
    """
    model = build()
    how = {
        "epochs": epochs or default_epochs(len(values)),
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    record = {**key_parts, **how, "recipe": RECIPE, "data": _digest([np.asarray(values), np.asarray(labels)])}
    key = hashlib.sha256(json.dumps([record, _architecture(model)], sort_keys=True).encode()).hexdigest()
    path = Path(cache_dir) / f"{model.name}-{key}.weights.h5"
    if path.exists():
        if _restore(model, path):
            return model
        model = build()
    fit(model, values, labels, **how)
    _store(model, path, record | _score(model, test))
    return model


def _score(model: keras.Model, test: tuple[np.ndarray, np.ndarray] | None) -> dict[str, float | None]:
    """Return what the record says of the test values."""
    if test is None or np.ndim(test[1]) == 1:
        return {"test_accuracy": accuracy(model, *test) if test else None}
    average_precisions = precisions(model, *test)
    return {"test_average_precision": None if np.isnan(average_precisions).all() else float(np.nanmean(average_precisions))}


def _store(model: keras.Model, path: Path, record: Mapping) -> None:
    """Write weights and record under temporary names in the same folder, then renames them."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            weights, text = Path(scratch, path.name), Path(scratch, "record.json")
            model.save_weights(weights)
            with h5py.File(weights, "a") as file:
                file.attrs["digest"] = _digest(model.get_weights())
            text.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            os.replace(weights, path)
            os.replace(text, path.with_name(path.name.replace(".weights.h5", ".json")))
    except OSError as error:
        log.warning("The classifier %s was trained, but could not be kept in %s: %s", model.name, path.parent, error)


def _restore(model: keras.Model, path: Path) -> bool:
    """Return whether the file's weights could be read and are those that were written.

    If not, `model` may hold part of them.
    """
    try:
        model.load_weights(path)
        with h5py.File(path, "r") as file:
            if file.attrs["digest"] == _digest(model.get_weights()):
                return True
        problem = "its weights have changed since it was written"
    # Damage shows as whatever HDF5 or Keras stumbles over first; all of it means the same here.
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    log.warning("The cached classifier %s cannot be used (%s); it is trained again.", path, problem)
    return False


def _architecture(model: keras.Model) -> str:
    """Return the model's JSON without the numbers that Keras appends to names: they count what the process built before."""
    return re.sub(r'_\d+"', '"', model.to_json())


def _digest(arrays) -> str:
    """SHA-256 over types, shapes and bytes."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def _targets(model: keras.Model, values, labels) -> np.ndarray:
    """Return what the sigmoids should say, `[N, K]` float32 of 0 and 1."""
    if np.ndim(labels) == 2:
        return _checked_attributes(model, values, labels).astype(np.float32)
    return np.eye(model.output_shape[-1], dtype=np.float32)[_checked_classes(model, values, labels)]


def _checked_classes(model: keras.Model, values, labels) -> np.ndarray:
    labels, classes = np.asarray(labels), model.output_shape[-1]
    if labels.ndim != 1 or len(labels) != len(values) or not len(labels):
        raise ValueError(f"One label per value is needed: there are {len(values)} values and labels {labels.shape}.")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{model.name} has classes 0..{classes - 1}; labels are {labels.dtype} {labels.min()}..{labels.max()}."
        )
    return labels


def _checked_attributes(model: keras.Model, values, labels) -> np.ndarray:
    labels, wanted = attributes(labels, "labels"), (len(values), model.output_shape[-1])
    if labels.shape != wanted:
        raise ValueError(
            f"{model.name} scores {wanted[1]} attributes, 0 or 1 each: there are {wanted[0]} values and labels {labels.shape}."
        )
    return labels


def _shuffled(count: int, batch_size: int, epochs: int, seed: int) -> np.ndarray:
    """Return rows of the data in the order of training, `[steps, batch]`: each epoch an order of its own, full batches only."""
    batch = min(batch_size, count)
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(count)[: count - count % batch].reshape(-1, batch) for _ in range(epochs)])


def _batches(model: keras.Model, values, order: np.ndarray, targets: np.ndarray) -> tf.data.Dataset:
    """Return batches (value, target) gathered from arrays in memory, which stay uint8 there."""
    values, prepare = np.asarray(values), _preparation(model)
    shapes = [(order.shape[1], *array.shape[1:]) for array in (values, targets)]

    def gathered(rows):
        # NumPy gathers, from the array where it is: captured as a tensor it would be copied, and photographs fill gigabytes.
        chosen = tf.numpy_function(
            lambda rows: (values[rows], targets[rows]), [rows], [values.dtype, targets.dtype], stateful=False
        )
        value, target = (tf.ensure_shape(array, shape) for array, shape in zip(chosen, shapes, strict=True))
        return prepare(value), target

    return tf.data.Dataset.from_tensor_slices(order).map(gathered).prefetch(2)


def _preparation(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Turn values into the model's input: uint8 images to 0..1, integer classes to one-hot, probabilities as they are."""
    rank, depth = len(model.input_shape), model.input_shape[-1]

    def prepare(values):
        if len(values.shape) < rank:
            return tf.one_hot(values, depth)
        values, whole = tf.cast(values, tf.float32), values.dtype == tf.uint8
        return values / 255 if whole else values

    return prepare


def _warm_cosine(peak: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    warm = steps // 5
    return keras.optimizers.schedules.CosineDecay(peak / 10, steps - warm, warmup_target=peak, warmup_steps=warm)


def _summed_sigmoid(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return nats per example, `[B]`: each class is a yes-or-no question of its own."""
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), axis=-1)
