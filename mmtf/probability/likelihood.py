"""Likelihoods p(x|s,c) of a modality, from what its decoder returns. Always float32.

A log-density summed over thousands of half-precision values overflows, so parameters are cast before anything else.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.modality import Modality

tfd = tfp.distributions

FAMILIES: dict[str, Callable[[Modality, tf.Tensor], tfd.Distribution]] = {
    "laplace": lambda modality, loc: tfd.Laplace(loc, modality.scale),
    "normal": lambda modality, loc: tfd.Normal(loc, modality.scale),
    "bernoulli": lambda modality, logits: tfd.Bernoulli(logits=logits, dtype=tf.float32),
    "categorical": lambda modality, logits: tfd.Categorical(logits=logits),
}


def likelihood(modality: Modality, parameters: tf.Tensor) -> tfd.Distribution:
    """p(x_j|s_j,c), [S] C.3.2, with batch `[B]` (or any leading axes) and the modality's event shape.

    Args:
      modality: names the family; Laplace and normal take their scale from it.
      parameters: a decoder's output `[B, *modality.parameter_shape]`: locations, or logits.

    Returns:
      A `tfd.Independent`; its `log_prob` sums over all pixels and channels, or characters, of an example, in nats.
    """
    each = FAMILIES[modality.likelihood](modality, tf.cast(parameters, tf.float32))
    return tfd.Independent(each, reinterpreted_batch_ndims=len(modality.event_shape))


def shown_value(modality: Modality, distribution: tfd.Distribution) -> tf.Tensor:
    """The value `[B, *event_shape]` that stands for a decoded distribution: its mean, or the likeliest classes (int32)."""
    return distribution.mode() if modality.likelihood == "categorical" else distribution.mean()


def mean_value(modality: Modality, distribution: tfd.Distribution) -> tf.Tensor:
    """E[x]: the mean `[B, *event_shape]`, or for a categorical modality the probabilities `[B, *parameter_shape]`."""
    if modality.likelihood == "categorical":
        return tf.nn.softmax(distribution.distribution.logits_parameter())
    return distribution.mean()
