"""Relaxed values: real numbers that gradients pass through, in place of what a modality holds.

An adversarial model compares generated with real values, so that both must be of one kind. Real numbers are taken in the unit
of the networks (bytes as 0..1, columns standardised), counts as standardised logarithms, and of classes the one-hot codes where
they are real and the decoder's probabilities where they are generated.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributions.units import from_network, to_network
from mmtf.modality import Modality

tfd = tfp.distributions


def relax(modality: Modality, values: tf.Tensor) -> tf.Tensor:
    """Return values `[B, *event_shape]` -> `[B, *relaxed_shape]` float32."""
    if modality.likelihood == "categorical":
        return tf.one_hot(values, modality.num_classes)
    return to_network(modality, values)


def output_distribution(modality: Modality, relaxed: tf.Tensor) -> tfd.Distribution:
    """Return what a decoder's relaxed answer means: one value for certain; of classes and bits their probabilities.

    The decoders of [C] are deterministic, so this is no likelihood: of real numbers the density is 0 almost everywhere.
    """
    relaxed = tf.cast(relaxed, tf.float32)
    if modality.likelihood == "categorical":
        each = tfd.Categorical(probs=relaxed)
    elif modality.likelihood == "bernoulli":
        each = tfd.Bernoulli(probs=relaxed, dtype=tf.float32)
    elif modality.likelihood == "negative_binomial":
        each = tfd.Deterministic(tf.nn.relu(tf.math.expm1(from_network(modality, relaxed))))
    else:
        each = tfd.Deterministic(from_network(modality, relaxed))
    return tfd.Independent(each, reinterpreted_batch_ndims=len(modality.event_shape))
