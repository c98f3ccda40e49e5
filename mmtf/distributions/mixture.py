"""Mixtures of experts, and how they are drawn from with gradients.

Experts are distributions of one family with batch `[B]` and event `[D]`. Weights are one number or one `[B]` tensor per expert,
in the order of the experts.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributions.family import family_of, parameters
from mmtf.distributions.gaussian import Weight

tfd = tfp.distributions


def mixture(experts: Sequence[tfd.Distribution], weights: Sequence[Weight]) -> tfd.MixtureSameFamily:
    """Return the mixture sum_k w_k q_k ([S] eq. 7): weights sum to 1 for each example.

    Returns:
      `tfd.MixtureSameFamily` with batch `[B]` and event `[D]`; its `log_prob` is the mixture's density.
    """
    locs, scales = (tf.stack(x, axis=-2) for x in zip(*map(parameters, experts), strict=True))
    probs = tf.stack([w * tf.ones(tf.shape(locs)[:-2]) for w in weights], axis=-1)
    components = family_of(experts[0]).make(locs, scales)
    return tfd.MixtureSameFamily(tfd.Categorical(probs=probs), components, reparameterize=False)


def sample_mixture(
    experts: Sequence[tfd.Distribution],
    weights: Sequence[Weight],
    strata: tf.Tensor,
    noise: tf.Tensor,
) -> tf.Tensor:
    """Return one reparameterised sample per example from the mixture of the experts, given the randomness.

    The component is the inverse distribution function of the example's own weights at its stratum. With strata that cover
    (0, 1) evenly over a batch, each component serves its exact share of the batch (stratified sampling), whatever the
    order of the examples; with masks, each example chooses among the experts that it has.

    Args:
      experts: of one family over `[D]` with batch `[B]`.
      weights: one per expert, `[B]` or a number; they sum to 1 for each example, 0 where the expert is missing.
      strata: `[B]` in [0, 1).
      noise: `[B, D]` draws from the family's prior.

    Returns:
      `[B, D]`; gradients reach the location and scale of the chosen expert only.
    """
    chosen = component_at(weights, strata)
    indicators = [tf.cast(tf.equal(chosen, k), tf.float32)[..., None] for k in range(len(experts))]
    locs, scales = zip(*map(parameters, experts), strict=True)
    loc = sum(i * x for i, x in zip(indicators, locs, strict=True))
    scale = sum(i * x for i, x in zip(indicators, scales, strict=True))
    return loc + scale * noise


def sample_components(components: tfd.Distribution, weights: tf.Tensor, strata: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """As `sample_mixture`, of many experts in one distribution of batch `[B, S]`, with weights `[B, S]`.

    Args:
      strata, noise: `[B]` and `[B, D]`; or `[K, B]` and `[K, B, D]` for K samples. The batch may have several axes.

    Returns:
      `[B, D]`, or `[K, B, D]`.
    """
    chosen = component_at(tf.unstack(weights, axis=-1), strata)
    loc, scale = (_components(x, chosen) for x in parameters(components))
    return loc + scale * noise


def sample(distribution: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
    """Return one sample `[B, D]` of a posterior, an expert or a mixture of experts, under a stateless seed `[2]`.

    Of a mixture only the chosen component is drawn; TFP draws all of them and selects with integer products.
    """
    if not isinstance(distribution, tfd.MixtureSameFamily):
        return distribution.sample(seed=seed)
    components, weights = distribution.components_distribution, distribution.mixture_distribution.probs_parameter()
    which, noise = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    size, dim = tf.shape(weights)[0], components.event_shape[0]
    return sample_components(
        components,
        weights,
        tf.random.stateless_uniform([size], which),
        family_of(components).draw([size, dim], noise),
    )


def component_at(weights: Sequence[Weight], strata: tf.Tensor) -> tf.Tensor:
    """Return index `[B]` int32 of the component whose share of (0, 1), laid end to end, holds the stratum."""
    ends = tf.cumsum(tf.stack([w * tf.ones_like(strata) for w in weights]), axis=0)
    # Scaled by the last end, which rounding may leave a hair from 1, so that a trailing expert of weight 0 is never chosen.
    return tf.reduce_sum(tf.cast(ends[:-1] <= strata * ends[-1], tf.int32), axis=0)


def _components(x: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Return rows `[B, D]` of `[B, S, D]` by index `[B]`; or `[K, B, D]` by `[K, B]`. The batch may have several axes."""
    batch = x.shape.rank - 2
    if chosen.shape.rank == batch:
        return tf.gather(x, chosen, axis=batch, batch_dims=batch)
    last = tf.transpose(chosen, [*range(1, batch + 1), 0])
    rows = tf.gather(x, last, axis=batch, batch_dims=batch)
    return tf.transpose(rows, [batch, *range(batch), batch + 1])
