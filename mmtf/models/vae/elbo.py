"""The evidence lower bound that all these models share, and its weights: [S] eq. 18 to 20 and C.3.2.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from mmtf.modality import Modality
from mmtf.models.vae.bounds import importance_bound


class Elbo(NamedTuple):
    """The parts of one lower bound, unweighted, per example, in nats; parts of a missing modality are 0.

    Where K samples make one importance-weighted bound, they are those of each sample, `[K, B]`: of a divergence
    log q(c|X) - log p(c).

    Attributes:
      log_px: per modality, log p(x_j|s_j,c), `[B]`.
      divergence: D(c), between the shared posterior and its prior, `[B]`.
      kl_private: per modality with a private code, KL(q(s_j|x_j) || p(s_j)), `[B]`.
      kl_experts: per modality, KL(q(c|X) || q(c|x_j)), `[B]`, of objectives that draw the experts to the posterior.
    """

    log_px: Mapping[str, tf.Tensor]
    divergence: tf.Tensor
    kl_private: Mapping[str, tf.Tensor]
    kl_experts: Mapping[str, tf.Tensor] = {}


class Weights(NamedTuple):
    """What the parts of a lower bound are multiplied by at one step: numbers, or one `[B]` each.

    Attributes:
      shared: of the divergence, beta * beta_content. private: of the private codes' divergences, beta * beta_style.
      likelihood: of all log-likelihoods, besides their modality's own weight. experts: of KL(q(c|X) || q(c|x_j)).
    """

    shared: tf.Tensor | float
    private: tf.Tensor | float
    likelihood: tf.Tensor | float = 1.0
    experts: tf.Tensor | float = 0.0


@dataclasses.dataclass(frozen=True)
class Betas:
    """Weights of the divergences, [S] C.3.2, and their linear warm-up over the first `warmup_steps` steps.

    The product `beta * private_beta` may start elsewhere than it ends: a private code that is expensive at first leaves the
    class information to the shared code.
    """

    beta: float = 5.0
    shared_beta: float = 1.0
    private_beta: float = 1.0
    beta_start: float | None = None
    private_beta_start: float | None = None
    warmup_steps: int = 0

    def at(self, step: tf.Tensor | int) -> Weights:
        """Return weights of the shared and of the private divergences at a step: beta * beta_content, beta * beta_style."""
        beta = self.between(self.beta_start, self.beta, step)
        private_beta = self.between(self.private_beta_start, self.private_beta, step)
        return Weights(beta * self.shared_beta, beta * private_beta)

    def between(self, start: float | None, end: float, step: tf.Tensor | int) -> tf.Tensor:
        """Return what a weight is at a step that goes from its start to its end over the warm-up; without a start it stays."""
        if not self.warmup_steps:
            return tf.constant(end, tf.float32)
        start = end if start is None else start
        progress = tf.minimum(tf.cast(step, tf.float32) / self.warmup_steps, 1.0)
        # At the end exactly `end`: from there on nothing depends on the step.
        return tf.where(progress < 1.0, start + (end - start) * progress, end)


def weighted_elbo(elbo: Elbo, modalities: Mapping[str, Modality], weights: Weights) -> tf.Tensor:
    """sum_j w_j log p(x_j|s_j,c) - beta ( beta_content D(c) + beta_style sum_j beta_style_j KL(q(s_j|x_j)||p(s_j)) ).

    The lower bound of [S] eq. 18, 19 and 20 (which differ in D and in q(c|X) alone) with the weights of C.3.2; and where there
    are `kl_experts`, less their weighted sum. -> `[B]`
    """
    log_px = sum(modalities[name].likelihood_weight * term for name, term in elbo.log_px.items())
    kl_private = sum(modalities[name].private_weight * term for name, term in elbo.kl_private.items())
    bound = weights.likelihood * log_px - weights.shared * elbo.divergence - weights.private * kl_private
    return bound - weights.experts * sum(elbo.kl_experts.values()) if elbo.kl_experts else bound


def lower_bound(elbo: Elbo, modalities: Mapping[str, Modality], weights: Weights) -> tf.Tensor:
    """`weighted_elbo`, or of K samples' parts the importance-weighted bound that they make: -> `[B]`"""
    bound = weighted_elbo(elbo, modalities, weights)
    return importance_bound(bound) if bound.shape.rank == 2 else bound
