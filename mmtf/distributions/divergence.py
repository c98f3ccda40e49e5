"""Divergences between Gaussian experts, all in closed form, in nats, per example.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributions.gaussian import Weight, stddev, weighted_product

tfd = tfp.distributions


def kl(q: tfd.MultivariateNormalDiag, p: tfd.MultivariateNormalDiag) -> tf.Tensor:
    """KL(q || p) of two diagonal Gaussians. -> `[B]`

    The sum over dimensions of `log(s_p/s_q) + (s_q^2 + (m_q - m_p)^2) / (2 s_p^2) - 1/2`, as TFP's `kl_divergence` gives it
    (a test holds them together), without the linear-operator algebra that TFP builds for general covariances.
    """
    ratio = tf.square(stddev(q) / stddev(p))
    distance = tf.square((q.loc - p.loc) / stddev(p))
    return 0.5 * tf.reduce_sum(ratio + distance - 1.0 - tf.math.log(ratio), axis=-1)


def weighted_kl(experts: Sequence[tfd.MultivariateNormalDiag], weights: Sequence[Weight], to) -> tf.Tensor:
    """sum_k w_k KL(q_k || to) -> `[B]`; to the prior, the upper bound of [S] eq. 6 (Lemma 1) on the KL of the mixture."""
    return sum(w * kl(q, to) for q, w in zip(experts, weights, strict=True))


def jensen_shannon(experts: Sequence[tfd.MultivariateNormalDiag], weights: Sequence[Weight]) -> tf.Tensor:
    """JS_pi = sum_k pi_k KL(q_k || f), f the weighted geometric mean of the same experts. -> `[B]`

    The divergence of [S] eq. 16 with the dynamic prior of eq. 10 and 11 in the place of the arithmetic mean, which is what
    keeps it in closed form [Nielsen 2019]. Zero when all experts with a positive weight are equal.

    Args:
      experts: M encoders' Gaussians and the prior, batch `[B]` or `[]`.
      weights: pi_k, summing to 1 for each example; 0 for a missing modality.
    """
    return weighted_kl(experts, weights, weighted_product(experts, weights))
