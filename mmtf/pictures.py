"""The pictures that show what a model does, drawn from its verbs: for TensorBoard while it trains, and for evaluate.py."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from mmtf.data import text
from mmtf.data.dataset import Split
from mmtf.modality import Modality
from mmtf.probability.likelihood import shown_value
from mmtf.report import figures

SEED = (0, 0)
SAMPLES = 100
EXAMPLES = 10
PER_SOURCE = 8


def of_model(model, test: Split) -> dict[str, Figure]:
    """Figures by name: random samples per modality, reconstructions, cross generations, and style-content swaps.

    Args:
      model: anything with the verbs `generate`, `reconstruct`, `translate`, and `encode` and `decode` for the swaps.
      test: the first example of each class that has all modalities is shown.
    """
    complete = test.at(test.has(model.names))
    values = complete.take(one_of_each_class(complete.label))
    return (
        {"examples": figures.examples_grid(_shown(model, values), EXAMPLES)}
        | samples(model)
        | {"reconstruction": _reconstruction(model, values)}
        | _cross(model, values)
        | _swaps(model, values)
    )


def samples(model) -> dict[str, Figure]:
    """A grid of random samples per modality; the same place in each grid is the same sample."""
    generated = model.generate(SAMPLES, seed=SEED)
    return {f"random_{n}": figures.sample_grid(to_show(model.modalities[n], x), 10) for n, x in generated.items()}


def to_show(modality: Modality, values):
    """Images as floats in 0..1, text as strings."""
    values = np.asarray(values)
    if modality.alphabet:
        return text.decode(values)
    return values if values.dtype == np.uint8 else np.clip(values, 0.0, 1.0)


def one_of_each_class(labels: np.ndarray) -> np.ndarray:
    """Index of the first example of each class, then of the next ones, `EXAMPLES` in all."""
    order = np.concatenate([np.unique(labels, return_index=True)[1], np.arange(len(labels))])
    return order[: min(EXAMPLES, len(labels))]


def _shown(model, values: Mapping) -> dict:
    return {name: to_show(model.modalities[name], x) for name, x in values.items()}


def _reconstruction(model, values: Mapping) -> Figure:
    return figures.reconstruction_grid(_shown(model, values), _shown(model, model.reconstruct(values)), EXAMPLES)


def _cross(model, values: Mapping) -> dict[str, Figure]:
    found = {}
    for source in model.names:
        repeated = {source: np.repeat(values[source], PER_SOURCE, axis=0)}
        targets = tuple(n for n in model.names if n != source)
        generated = _shown(model, model.translate(repeated, to=targets, seed=SEED)) if targets else {}
        by_source = {n: [x[i : i + PER_SOURCE] for i in range(0, len(x), PER_SOURCE)] for n, x in generated.items()}
        if by_source:
            found[f"from_{source}"] = figures.cross_generation_grid(
                source, to_show(model.modalities[source], values[source]), by_source
            )
    return found


def _swaps(model, values: Mapping) -> dict[str, Figure]:
    """Per modality with a private code: the shared code of the columns' examples with the private code of the rows'."""
    found = {}
    for name in (m.name for m in model.modalities.values() if m.private_dim):
        codes = model.encode({name: values[name]})
        shared, private = codes.shared[name].mean(), codes.private[name].mean()
        count = len(shared)
        decoded = model.decode(tf.tile(shared, [count, 1]), {name: tf.repeat(private, count, axis=0)}, to=(name,))
        cells = to_show(model.modalities[name], shown_value(model.modalities[name], decoded[name]))
        rows = [cells[i : i + count] for i in range(0, count * count, count)]
        shown = to_show(model.modalities[name], values[name])
        found[f"swap_{name}"] = figures.swap_grid(shown, shown, rows)
    return found
