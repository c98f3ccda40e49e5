"""q(c|X_K): how the experts of the modalities that an example has become its posterior.

`experts` and `present` are dicts by modality, in the same order; `present` holds `[B]` float32, 1 where the example has the
modality and 0 where it does not. A missing expert gets weight 0, and the weights of the others are renormalised.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributions import gaussian
from mmtf.distributions.family import log_density, log_share
from mmtf.distributions.mixture import mixture

tfd = tfp.distributions

Experts = Mapping[str, tfd.MultivariateNormalDiag]
Present = Mapping[str, tf.Tensor]


def product_posterior(experts: Experts, present: Present, prior: tfd.Distribution) -> tfd.MultivariateNormalDiag:
    """prod_j q(c|x_j) p(c): precisions of the experts that are there and of the prior add up [Wu, Goodman 2018]."""
    return gaussian.weighted_product([*experts.values(), prior], [*(present[name] for name in experts), 1.0])


def product_of_experts(experts: Experts, present: Present, prior: tfd.Distribution) -> tfd.MultivariateNormalDiag:
    """prod_j q(c|x_j) of the experts that are there, without the prior; of no expert at all, the prior."""
    nothing = 1.0 - tf.reduce_max(tf.stack([present[name] for name in experts]), axis=0)
    return gaussian.weighted_product([*experts.values(), prior], [*(present[name] for name in experts), nothing])


def mixture_posterior(experts: Experts, present: Present) -> tfd.MixtureSameFamily:
    """(1/|K|) sum_{j in K} q(c|x_j), K the modalities that the example has [Shi 2019; S eq. 7 without the prior]."""
    return mixture(list(experts.values()), mixture_weights(experts, present))


def mixture_log_density(experts: Experts, present: Present, codes: tf.Tensor) -> tf.Tensor:
    """log of the density of `mixture_posterior` at codes `[..., B, D]`: -> `[..., B]`.

    As `mixture_posterior(...).log_prob`, but codes may have any axes before the batch, and each expert may be one through whose
    parameters no gradient goes.
    """
    weights = mixture_weights(experts, present)
    terms = [log_density(q, codes) + log_share(w) for q, w in zip(experts.values(), weights, strict=True)]
    return tf.reduce_logsumexp(tf.stack(terms), axis=0)


def products_of_subsets(
    experts: Experts, present: Present, prior: tfd.MultivariateNormalDiag, members: tf.Tensor, with_prior: Sequence[bool]
) -> tuple[tfd.MultivariateNormalDiag, tf.Tensor]:
    """q~_K(c) prop. to prod_{j in K} q(c|x_j) for several sets K of the experts, and their shares in a mixture.

    The posterior of MoPoE [Sutter, Daunhawer, Vogt 2021].

    Args:
      members: `[S, M]`, 1 where the set holds the expert; S sets, none of them empty.
      with_prior: for each set whether p(c) is one more expert of its product.

    Returns:
      Gaussians of batch `[B, S]` and event `[D]`; and weights `[B, S]`, equal over the sets that an example has whole. (Those
      of the other sets are meaningless but finite.)
    """
    locs = tf.stack([q.loc for q in experts.values()], axis=-2)
    precisions = tf.stack([1.0 / tf.square(gaussian.stddev(q)) for q in experts.values()], axis=-2)
    # `[S, M, 1]` beside `[B, 1, M, D]`. No matrix products: an accelerator would round precisions to ten bits.
    chosen, added = members[..., None], tf.cast(with_prior, tf.float32)[:, None] / tf.square(gaussian.stddev(prior))
    precision = tf.reduce_sum(chosen * precisions[..., None, :, :], axis=-2) + added
    weighted = tf.reduce_sum(chosen * (precisions * locs)[..., None, :, :], axis=-2) + added * prior.loc
    presence = tf.stack([present[name] for name in experts], axis=-1)
    whole = tf.reduce_min(1.0 - members * (1.0 - presence[..., None, :]), axis=-1)
    weights = tf.math.divide_no_nan(whole, tf.reduce_sum(whole, axis=-1, keepdims=True))
    return tfd.MultivariateNormalDiag(weighted / precision, tf.math.rsqrt(precision)), weights


def geometric_posterior(experts: Experts, present: Present) -> tfd.MultivariateNormalDiag:
    """prod_{j in K} q(c|x_j)^{1/|K|}, normalised: the precision is the mean of the precisions ([C], by Nielsen 2020)."""
    return gaussian.weighted_product(list(experts.values()), mixture_weights(experts, present))


def mixture_weights(experts: Experts, present: Present, prior_odds: float | None = None) -> list[tf.Tensor]:
    """Return equal weights over the experts that are there, `[B]` each, and then that of the prior; they sum to 1.

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
