"""How far reconstructions are from what was given."""

from __future__ import annotations

import math

import tensorflow as tf

from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.evaluation.batches import batch_seed, in_batches, in_own_unit, mean_of_examples
from mmtf.metrics import reconstruction


def reconstruction_errors(model, test: Split, config: EvaluateConfig) -> dict[str, dict]:
    """`reconstruction_error` of docs/metrics.md: by modality, decoded from q(c|X) of all that an example has.

    Left out is a modality whose values may lack single cells: what is not there has no error.
    """
    rebuilt = tf.function(lambda values, mask, seed: model.reconstruct(values, mask, seed=seed), reduce_retracing=True)
    squared = in_batches(test, lambda batch, number: rebuilt(*batch, batch_seed(config, number)))
    errors = {}
    for name, modality in model.modalities.items():
        has_it = test.has([name])
        if modality.missing_cells or not has_it.any():
            continue
        values = in_own_unit(test.pools[name][test.rows[name][has_it]], modality)
        pair = (x.reshape(len(values), -1) for x in (values, squared[name][has_it]))
        classes = modality.likelihood == "categorical"
        measured = (reconstruction.character_errors if classes else reconstruction.squared_errors)(*pair)
        errors[name] = mean_of_examples(measured, test.at(has_it), (0.0, 1.0 if classes else math.inf))
    return {"reconstruction_error": errors} if errors else {}
