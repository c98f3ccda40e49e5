"""Families of the posteriors and priors of codes: Gaussian, or Laplace as [Shi, Siddharth, Paige, Torr 2019] have it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributed import random
from mmtf.distributions import gaussian

tfd = tfp.distributions

# A Laplace posterior's scales sum to the size of its code, and no scale is smaller than this; both are the authors'.
SMALLEST_LAPLACE_SCALE = 1e-6
# Nothing is left of e to this in a sum of exponentials, and it makes no NaN in a gradient.
LOWEST = -1e30


@dataclasses.dataclass(frozen=True)
class Family:
    """Distributions over `[D]` of independent coordinates, by location and scale.

    Attributes:
      name: as flags have it.
      make: `(loc [..., D], scale [..., D])` -> distribution of event `[D]`.
      scale: from an encoder's unconstrained numbers `[..., D]` to scales.
      draw: `(shape, stateless seed [2])` -> draws from the member of location 0 and scale 1.
      noise: the method of `random.Noise` that draws likewise.
      log_density: of one coordinate, `(standardised value, scale)` -> nats.
    """

    name: str
    make: Callable[[tf.Tensor, tf.Tensor], tfd.Distribution]
    scale: Callable[[tf.Tensor], tf.Tensor]
    draw: Callable[..., tf.Tensor]
    noise: str
    log_density: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

    def expert(self, loc: tf.Tensor, raw_scale: tf.Tensor) -> tfd.Distribution:
        """Of two `[B, D]` outputs of an encoder; always float32."""
        return self.make(tf.cast(loc, tf.float32), self.scale(tf.cast(raw_scale, tf.float32)))

    def prior(self, dim: int) -> tfd.Distribution:
        """Return location 0 and scale 1, over `[dim]`."""
        return self.make(tf.zeros([dim]), tf.ones([dim]))

    def sample_standard(self, noise, stream: str, dim: int) -> tf.Tensor:
        """Draws `[B, dim]` from the prior."""
        return getattr(noise, self.noise)(stream, dim)


NORMAL = Family(
    "normal",
    tfd.MultivariateNormalDiag,
    scale=lambda log_variance: tf.exp(0.5 * log_variance),
    draw=tf.random.stateless_normal,
    noise="normal",
    log_density=lambda z, scale: -0.5 * tf.square(z) - tf.math.log(scale) - 0.5 * math.log(2.0 * math.pi),
)
LAPLACE = Family(
    "laplace",
    lambda loc, scale: tfd.Independent(tfd.Laplace(loc, scale), reinterpreted_batch_ndims=1),
    scale=lambda raw: tf.nn.softmax(raw) * raw.shape[-1] + SMALLEST_LAPLACE_SCALE,
    draw=random.stateless_laplace,
    noise="laplace",
    log_density=lambda z, scale: -tf.abs(z) - tf.math.log(scale) - math.log(2.0),
)
FAMILIES = {family.name: family for family in (NORMAL, LAPLACE)}


def parameters(q: tfd.Distribution) -> tuple[tf.Tensor, tf.Tensor]:
    """Return location and scale, `[..., D]` each; of a Gaussian the scale is its standard deviation."""
    if isinstance(q, tfd.Independent):
        return q.distribution.loc, q.distribution.scale
    return q.loc, gaussian.stddev(q)


def reparameterize(q: tfd.Distribution, eps: tf.Tensor) -> tf.Tensor:
    """Return samples `[..., D]` of q, differentiable in its parameters, from samples of its family's prior `[..., D]`."""
    loc, scale = parameters(q)
    return loc + scale * eps


def family_of(q: tfd.Distribution) -> Family:
    """Return the family that an expert, or a batch of experts, is of."""
    return LAPLACE if isinstance(q, tfd.Independent) else NORMAL


def stop_gradient(q: tfd.Distribution) -> tfd.Distribution:
    """q, through whose parameters no gradient goes."""
    return family_of(q).make(*(tf.stop_gradient(x) for x in parameters(q)))


def log_density(q: tfd.Distribution, code: tf.Tensor) -> tf.Tensor:
    """log q at codes `[..., B, D]`: -> `[..., B]`, of an expert, a prior or a mixture of experts.

    What `log_prob` says, which of a Gaussian goes through general linear operators.
    """
    if isinstance(q, tfd.MixtureSameFamily):
        each = log_density(q.components_distribution, code[..., None, :])
        return tf.reduce_logsumexp(each + log_share(q.mixture_distribution.probs_parameter()), axis=-1)
    loc, scale = parameters(q)
    return tf.reduce_sum(family_of(q).log_density((code - loc) / scale, scale), axis=-1)


def log_share(share: tf.Tensor) -> tf.Tensor:
    """log of a share; `LOWEST` of 0."""
    return tf.where(share > 0.0, tf.math.log(tf.where(share > 0.0, share, 1.0)), LOWEST)
