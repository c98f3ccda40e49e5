"""Likelihoods p(x|s,c) of a modality, from what its decoder returns. Always float32.

A log-density summed over thousands of half-precision values overflows, so parameters are cast before anything else.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributions.units import from_network, own_scale, present_cells
from mmtf.modality import LARGEST_LOG_COUNT, Modality

tfd = tfp.distributions

# Mean counts stay within e^-20..e^20 and dispersions within e^-10..e^10: beyond, float32 overflows or tells nothing apart. (At
# a dispersion of e^10 a negative binomial is a Poisson distribution for means up to some thousands.)
LARGEST_LOG_DISPERSION = 10.0


def negative_binomial(modality: Modality, parameters: tf.Tensor) -> tfd.NegativeBinomial:
    """Return counts of mean m and variance m + m^2 / r, from log m and log r on the last axis of `[B, *event_shape, 2]`."""
    log_mean = _bounded(from_network(modality, parameters[..., 0]), LARGEST_LOG_COUNT)
    log_dispersion = _bounded(parameters[..., 1], LARGEST_LOG_DISPERSION)
    return tfd.NegativeBinomial(total_count=tf.exp(log_dispersion), logits=log_mean - log_dispersion)


# The least that a scaled log-probability is, before its logarithm is taken: PyTorch's bound for probabilities in float32.
LEAST_PROBABILITY = 1.1920929e-07


def categorical(modality: Modality, logits: tf.Tensor) -> tfd.Categorical:
    """Return classes, from logits on the last axis of `[B, *event_shape, num_classes]`; or as the release of [S] has them."""
    if not modality.log_softmax_as_probabilities:
        return tfd.Categorical(logits=logits)
    surprise = -tf.nn.log_softmax(logits)
    share = surprise / tf.reduce_sum(surprise, axis=-1, keepdims=True)
    return tfd.Categorical(logits=tf.math.log(tf.maximum(share, LEAST_PROBABILITY)))


FAMILIES: dict[str, Callable[[Modality, tf.Tensor], tfd.Distribution]] = {
    "laplace": lambda modality, loc: tfd.Laplace(from_network(modality, loc), own_scale(modality)),
    "normal": lambda modality, loc: tfd.Normal(from_network(modality, loc), own_scale(modality)),
    "bernoulli": lambda modality, logits: tfd.Bernoulli(logits=logits, dtype=tf.float32),
    "categorical": categorical,
    "negative_binomial": negative_binomial,
}


def likelihood(modality: Modality, parameters: tf.Tensor) -> tfd.Distribution:
    """p(x_j|s_j,c), [S] C.3.2, with batch `[B]` (or any leading axes) and the modality's event shape.

    Args:
      modality: names the family; Laplace and normal take their scale and their unit from it.
      parameters: a decoder's output `[B, *modality.parameter_shape]`: see there.

    Returns:
      A `tfd.Independent`; its `log_prob` sums over all pixels and channels, or characters, of an example, in nats.
    """
    each = FAMILIES[modality.likelihood](modality, tf.cast(parameters, tf.float32))
    return tfd.Independent(each, reinterpreted_batch_ndims=len(modality.event_shape))


def log_density(modality: Modality, distribution: tfd.Distribution, values: tf.Tensor) -> tf.Tensor:
    """log p(x_j|s_j,c) `[B]` in nats, of values in the modality's own unit; missing cells take no part in the sum."""
    if not modality.missing_cells:
        return distribution.log_prob(values)
    is_present = present_cells(modality, values)
    # Filled before the density is computed: a NaN that is thrown away afterwards still reaches the gradient.
    each = distribution.distribution.log_prob(tf.where(is_present, values, tf.zeros_like(values)))
    return tf.reduce_sum(tf.where(is_present, each, 0.0), axis=list(range(-len(modality.event_shape), 0)))


def shown_value(modality: Modality, distribution: tfd.Distribution) -> tf.Tensor:
    """The value `[B, *event_shape]` that stands for a decoded distribution: its mean, or the likeliest classes (int32)."""
    return distribution.mode() if modality.likelihood == "categorical" else distribution.mean()


def mean_value(modality: Modality, distribution: tfd.Distribution) -> tf.Tensor:
    """E[x]: the mean `[B, *event_shape]`, or for a categorical modality the probabilities `[B, *parameter_shape]`."""
    if modality.likelihood == "categorical":
        return tf.nn.softmax(distribution.distribution.logits_parameter())
    return distribution.mean()


def _bounded(x: tf.Tensor, limit: float) -> tf.Tensor:
    return tf.clip_by_value(x, -limit, limit)
