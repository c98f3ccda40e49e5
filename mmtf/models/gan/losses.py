"""The equations of MMALI [C], free of networks: from estimated log-ratios to logits, and from logits to losses.

Tuples come in M+1 kinds: kind i < M is real data X with its private codes and the shared code of encoder i; kind M is generated
from the priors. (The paper counts from 1.) Everything is per example, in nats.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def factorized_log_ratios(dependence: tf.Tensor, content: Sequence[tf.Tensor], alignment: Sequence[tf.Tensor]) -> tf.Tensor:
    """[C] eq. 10: log r_i = log q_i(X, S, c) / p(X, S, c) = a + b_i + sum_j (d_j - b_j).  -> `[B, M]`

    Args:
      dependence: a = log q(X) / prod_k q(x_k), `[B]`.
      content: b_i = log q(x_i, s_i, c) / (q(x_i, s_i) p(c)), M of `[B]`.
      alignment: d_j = log q(x_j, s_j, c) / p(x_j, s_j, c), M of `[B]`.
    """
    common = dependence + tf.add_n([d - b for b, d in zip(content, alignment, strict=True)])
    return tf.stack([common + b for b in content], axis=-1)


def factorized_logits(dependence: tf.Tensor, content: Sequence[tf.Tensor], alignment: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the discriminator of [C] eq. 6 over the M+1 kinds: [b_1, ..., b_M, -(a + sum_j (d_j - b_j))].  -> `[B, M + 1]`

    Eq. 6 has the logits [log r_1, ..., log r_M, 0]; these are the same less a + sum_j (d_j - b_j), which changes no
    probability. Arguments as for `factorized_log_ratios`.
    """
    common = dependence + tf.add_n([d - b for b, d in zip(content, alignment, strict=True)])
    return tf.stack([*content, -common], axis=-1)


def ratio_logistic_losses(numerator: tf.Tensor, denominator: tf.Tensor) -> tf.Tensor:
    """What trains a log-ratio: -log sigmoid(logit) on samples above the line, -log(1 - sigmoid(logit)) on those below it.

    Args:
      numerator, denominator: logits `[B]` of samples of either; they are balanced by their means. -> `[B]`, halves of both.
    """
    return 0.5 * (tf.nn.softplus(-numerator) + tf.nn.softplus(denominator))


def ratio_accuracy(numerator: tf.Tensor, denominator: tf.Tensor) -> tf.Tensor:
    """Return share of a pair of samples that the sign of the log-ratio tells right, `[B]`: 0, 1/2 or 1."""
    right = tf.cast(numerator > 0.0, tf.float32) + tf.cast(denominator < 0.0, tf.float32)
    return 0.5 * right


def class_losses(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return cross-entropy of a discriminator of several kinds, mean over the kinds: logits[k] `[B, K]` of samples of kind k.

    -> `[B]`

    With K = M + 1 kinds of tuples this is the discriminator's side of [C] eq. 4.
    """
    losses = [tf.reduce_logsumexp(of_kind, -1) - of_kind[:, kind] for kind, of_kind in enumerate(logits)]
    return tf.add_n(losses) / len(losses)


def class_accuracy(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return share of the kinds told right, `[B]`; arguments as for `class_losses`."""
    right = [tf.cast(tf.equal(tf.argmax(x, -1), kind), tf.float32) for kind, x in enumerate(logits)]
    return tf.add_n(right) / len(right)


def nonsaturating_losses(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """What encoders and decoders minimise [Dandi 2021]: for samples of kind l, the mean over i != l of the cross-entropy to i.

    Times 2 / (1 + M) and summed over the M+1 kinds, as in [C]'s release.

    Args:
      logits: logits[l] `[B, M + 1]` of samples of kind l. -> `[B]`
    """
    others = len(logits) - 1
    losses = [
        tf.reduce_logsumexp(of_kind, -1) - (tf.reduce_sum(of_kind, -1) - of_kind[:, kind]) / others
        for kind, of_kind in enumerate(logits)
    ]
    return tf.add_n(losses) * (2.0 / (1 + others))


def mean_squared_error(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Return mean over all numbers of an example, `[B]`."""
    return tf.reduce_mean(tf.square(one - other), axis=list(range(1, len(one.shape))))
