"""Diagonal Gaussian experts and their products.

An expert is a `tfd.MultivariateNormalDiag` with batch `[B]` (or `[]`, such as a prior) and event `[D]`. Weights are one
number or one `[B]` tensor per expert, in the order of the experts.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions

Weight = float | tf.Tensor


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


def stddev(q: tfd.MultivariateNormalDiag) -> tf.Tensor:
    """Return standard deviations `[B, D]` without the broadcast and the checks of `q.stddev()`."""
    return q.scale.diag_part()


def _over_events(weight: Weight) -> Weight:
    return weight if isinstance(weight, float) else tf.convert_to_tensor(weight, tf.float32)[..., None]
