"""q(c|X_K): how the experts of the modalities that an example has become its posterior.

`experts` and `present` are dicts by modality, in the same order; `present` holds `[B]` float32, 1 where the example has the
modality and 0 where it does not. A missing expert gets weight 0, and the weights of the others are renormalised.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.probability import gaussian

tfd = tfp.distributions

Experts = Mapping[str, tfd.MultivariateNormalDiag]
Present = Mapping[str, tf.Tensor]


def product_posterior(experts: Experts, present: Present, prior: tfd.Distribution) -> tfd.MultivariateNormalDiag:
    """prod_j q(c|x_j) p(c): precisions of the experts that are there and of the prior add up [Wu, Goodman 2018]."""
    return gaussian.weighted_product([*experts.values(), prior], [*(present[name] for name in experts), 1.0])


def mixture_posterior(experts: Experts, present: Present) -> tfd.MixtureSameFamily:
    """(1/|K|) sum_{j in K} q(c|x_j), K the modalities that the example has [Shi 2019; S eq. 7 without the prior]."""
    return gaussian.mixture(list(experts.values()), mixture_weights(experts, present))


def geometric_posterior(experts: Experts, present: Present) -> tfd.MultivariateNormalDiag:
    """prod_{j in K} q(c|x_j)^{1/|K|}, normalised: the precision is the mean of the precisions ([C], by Nielsen 2020)."""
    return gaussian.weighted_product(list(experts.values()), mixture_weights(experts, present))


def mixture_weights(experts: Experts, present: Present, prior_odds: float | None = None) -> list[tf.Tensor]:
    """Equal weights over the experts that are there, `[B]` each, and then that of the prior; they sum to 1.

    Args:
      prior_odds: weight of the prior over that of one expert, pi_{M+1} / pi_j of [S] eq. 10; it stays the same when
        modalities are missing. None for a mixture without the prior.
    """
    weights = [present[name] for name in experts]
    if prior_odds is not None:
        weights.append(prior_odds * tf.ones_like(weights[0]))
    total = sum(weights)
    # An example with no modality at all gets zeros rather than NaN; its terms are masked out of the loss.
    return [tf.math.divide_no_nan(w, total) for w in weights]
