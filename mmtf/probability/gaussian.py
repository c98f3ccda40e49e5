"""Diagonal Gaussian experts, and the ways of combining several of them into one posterior.

An expert is a `tfd.MultivariateNormalDiag` with batch `[B]` (or `[]`, such as a prior) and event `[D]`. Weights are one
number or one `[B]` tensor per expert, in the order of the experts.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions

Weight = float | tf.Tensor


def diagonal_normal(loc: tf.Tensor, log_variance: tf.Tensor) -> tfd.MultivariateNormalDiag:
    """N(loc, exp(log_variance) I), from two `[B, D]` outputs of an encoder; always float32."""
    loc, log_variance = tf.cast(loc, tf.float32), tf.cast(log_variance, tf.float32)
    return tfd.MultivariateNormalDiag(loc, tf.exp(0.5 * log_variance))


def standard_normal(dim: int) -> tfd.MultivariateNormalDiag:
    """The prior N(0, I) over `[dim]`."""
    return tfd.MultivariateNormalDiag(tf.zeros([dim]), tf.ones([dim]))


def weighted_product(experts: Sequence[tfd.MultivariateNormalDiag], weights: Sequence[Weight]):
    """The Gaussian proportional to prod_k q_k^{w_k}: precisions and precision-weighted means add up.

    Weights of 1 give the product of experts [Wu, Goodman 2018]. Weights that sum to 1 give the weighted geometric mean,
    the dynamic prior of [S] eq. 10 and 11. (The paper's eq. 11 prints `pi_k sigma_k^2` in the variance where
    `pi_k / sigma_k^2` is meant; this is the latter, which is what eq. 10 defines.)

    Args:
      experts: Gaussians over `[D]` with batch `[B]` or `[]`.
      weights: one per expert, a number or `[B]`; a weight of 0 leaves its expert out.

    Returns:
      `tfd.MultivariateNormalDiag` with batch `[B]` and event `[D]`.
    """
    weights = [_over_events(w) for w in weights]
    precisions = [w / tf.square(stddev(q)) for q, w in zip(experts, weights, strict=True)]
    variance = 1.0 / sum(precisions)
    loc = variance * sum(precision * q.loc for precision, q in zip(precisions, experts, strict=True))
    return tfd.MultivariateNormalDiag(loc, tf.sqrt(variance))


def mixture(experts: Sequence[tfd.MultivariateNormalDiag], weights: Sequence[Weight]) -> tfd.MixtureSameFamily:
    """The mixture sum_k w_k q_k ([S] eq. 7): weights sum to 1 for each example.

    Returns:
      `tfd.MixtureSameFamily` with batch `[B]` and event `[D]`; its `log_prob` is the mixture's density.
    """
    locs = tf.stack([q.loc for q in experts], axis=-2)
    scales = tf.stack([stddev(q) for q in experts], axis=-2)
    probs = tf.stack([w * tf.ones(tf.shape(locs)[:-2]) for w in weights], axis=-1)
    return tfd.MixtureSameFamily(tfd.Categorical(probs=probs), tfd.MultivariateNormalDiag(locs, scales), reparameterize=False)


def sample_mixture(
    experts: Sequence[tfd.MultivariateNormalDiag],
    weights: Sequence[Weight],
    strata: tf.Tensor,
    noise: tf.Tensor,
) -> tf.Tensor:
    """One reparameterised sample per example from the mixture of the experts, given the randomness.

    The component is the inverse distribution function of the example's own weights at its stratum. With strata that cover
    (0, 1) evenly over a batch, each component serves its exact share of the batch (stratified sampling), whatever the
    order of the examples; with masks, each example chooses among the experts that it has.

    Args:
      experts: Gaussians over `[D]` with batch `[B]`.
      weights: one per expert, `[B]` or a number; they sum to 1 for each example, 0 where the expert is missing.
      strata: `[B]` in [0, 1).
      noise: `[B, D]` standard normal.

    Returns:
      `[B, D]`; gradients reach the location and scale of the chosen expert only.
    """
    chosen = component_at(weights, strata)
    indicators = [_over_events(tf.cast(tf.equal(chosen, k), tf.float32)) for k in range(len(experts))]
    loc = sum(i * q.loc for i, q in zip(indicators, experts, strict=True))
    scale = sum(i * stddev(q) for i, q in zip(indicators, experts, strict=True))
    return loc + scale * noise


def sample_components(
    components: tfd.MultivariateNormalDiag, weights: tf.Tensor, strata: tf.Tensor, noise: tf.Tensor
) -> tf.Tensor:
    """As `sample_mixture`, of many experts in one distribution of batch `[B, S]`, with weights `[B, S]`. -> `[B, D]`"""
    chosen = component_at(tf.unstack(weights, axis=-1), strata)
    loc, scale = (tf.gather(x, chosen, axis=1, batch_dims=1) for x in (components.loc, stddev(components)))
    return loc + scale * noise


def sample(distribution: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
    """One sample `[B, D]` of a posterior, Gaussian or mixture of Gaussians, under a stateless seed `[2]`.

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
        tf.random.stateless_normal([size, dim], noise),
    )


def component_at(weights: Sequence[Weight], strata: tf.Tensor) -> tf.Tensor:
    """Index `[B]` int32 of the component whose share of (0, 1), laid end to end, holds the stratum."""
    ends = tf.cumsum(tf.stack([w * tf.ones_like(strata) for w in weights]), axis=0)
    # Scaled by the last end, which rounding may leave a hair from 1, so that a trailing expert of weight 0 is never chosen.
    return tf.reduce_sum(tf.cast(ends[:-1] <= strata * ends[-1], tf.int32), axis=0)


def stddev(q: tfd.MultivariateNormalDiag) -> tf.Tensor:
    """Standard deviations `[B, D]` without the broadcast and the checks of `q.stddev()`."""
    return q.scale.diag_part()


def _over_events(weight: Weight) -> Weight:
    return weight if isinstance(weight, float) else tf.convert_to_tensor(weight, tf.float32)[..., None]
