"""Importance-weighted bounds on log p(x), and how their gradients are estimated: equations free of networks.

Log-weights are log p(x, z_k) - log q(z_k|x) of K samples of z, `[K, ...]`, in nats.
"""

from __future__ import annotations

import math

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributions.family import stop_gradient

tfd = tfp.distributions

# How the gradient of an importance-weighted bound reaches the encoders; all give decoders the same one.
ESTIMATORS = ("iwae", "stl", "dreg")


Axes = int | tuple[int, ...]


def importance_bound(log_weights: tf.Tensor, axis: Axes = 0) -> tf.Tensor:
    """log (1/K) sum_k w_k, in expectation a lower bound that rises with K to log p(x) [Burda 2016]: `[K, ...]` -> `[...]`.

    Args: axis: where the samples are; several axes hold samples of one bound.
    """
    count = math.prod(log_weights.shape[a] for a in ([axis] if isinstance(axis, int) else axis))
    return tf.reduce_logsumexp(log_weights, axis=axis) - math.log(count)


def chi_bound(log_weights: tf.Tensor, axis: Axes = 0) -> tf.Tensor:
    """CUBO: 1/2 log (1/K) sum_k w_k^2, which comes from above for large K [Dieng 2017]: `[K, ...]` -> `[...]`.

    1/2 log E[w^2] is log p(x) and half the Renyi divergence of order 2 between posterior and q. Of few samples the estimate is
    too low: the logarithm of a mean is below its expectation.
    """
    return 0.5 * importance_bound(2.0 * log_weights, axis)


class Gradient:
    """How the gradient of one importance-weighted bound is estimated, from the samples to the bound.

    `iwae`: everything is differentiated. `stl`: the density of q is differentiated by way of the samples alone, which leaves
    out a part whose expectation is 0 for K = 1 [Roeder 2017], and is not for larger K. `dreg`: as `stl`, and the gradient of
    each sample is multiplied by the sample's normalised weight, which mends that: it is unbiased, and as K grows its noise
    does not drown it [Tucker 2019].
    """

    def __init__(self, estimator: str):
        """Args: estimator: one of `ESTIMATORS`."""
        if estimator not in ESTIMATORS:
            raise ValueError(f"The estimator of the gradient must be one of {', '.join(ESTIMATORS)}, not {estimator!r}.")
        self._estimator, self._factor = estimator, None

    def samples(self, z: tf.Tensor) -> tf.Tensor:
        """Return reparameterised samples `[K, ..., D]`, to be used in place of z."""
        if self._estimator != "dreg":
            return z

        # The factor is known when the gradient comes by, after the bound was made of the samples.
        @tf.custom_gradient
        def identity(x):
            return tf.identity(x), lambda upstream: upstream * self._factor[..., None]

        return identity(z)

    def density(self, q: tfd.Distribution) -> tfd.Distribution:
        """q as it takes part in the weights: its parameters are constants, except for `iwae`."""
        return q if self._estimator == "iwae" else stop_gradient(q)

    def bound(self, log_weights: tf.Tensor, axis: Axes = 0) -> tf.Tensor:
        """`importance_bound` of the samples' log-weights `[K, ...]`, to be differentiated: -> `[...]`."""
        total = tf.reduce_logsumexp(log_weights, axis=axis, keepdims=True)
        self._factor = tf.stop_gradient(tf.exp(log_weights - total))
        return importance_bound(log_weights, axis)
