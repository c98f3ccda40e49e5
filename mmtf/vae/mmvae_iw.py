"""MMVAE with importance samples [Shi, Siddharth, Paige, Torr 2019]."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from mmtf import runtime
from mmtf.latent.coders import Codes
from mmtf.latent.observed import Observed, observe
from mmtf.latent.posterior import mixture_posterior, mixture_weights
from mmtf.probability.gaussian import standard_normal, stddev
from mmtf.probability.likelihood import log_density
from mmtf.vae.bounds import Gradient
from mmtf.vae.elbo import Elbo, weighted_elbo
from mmtf.vae.model import MultimodalVAE, named_parts

BOUNDS = ("looser", "tight")
LOWEST = -1e30


class ImportanceMMVAE(MultimodalVAE):
    """MMVAE whose lower bound is made of K samples from each of the M experts; M K decodings of each modality.

    The log-weight of sample k from expert r, c_rk ~ q(c|x_r) and s_j ~ q(s_j|x_j):

        sum_j w_j log p(x_j|s_j, c_rk) + beta [ log p(c_rk) - log (1/M) sum_m q(c_rk|x_m) ]
            + beta_style sum_j beta_style_j [ log p(s_j) - log q(s_j|x_j) ]

    `looser`: log-mean-exp over k, mean over r, the paper's objective. `tight`: log-mean-exp over all M K. With all weights 1
    both are lower bounds on log p(X).
    """

    def __init__(self, *args, samples: int = 30, bound: str = "looser", estimator: str = "dreg", **kwargs):
        """Args: samples: K. bound: one of `BOUNDS`. estimator: of the gradient, one of `vae.bounds.ESTIMATORS`.

        Raises:
          ValueError: samples below 1, or an unknown bound or estimator.
        """
        super().__init__(*args, **kwargs)
        if samples < 1:
            raise ValueError(f"importance_samples must be 1 or more, not {samples}.")
        if bound not in BOUNDS:
            raise ValueError(f"importance_bound must be one of {', '.join(BOUNDS)}, not {bound!r}.")
        Gradient(estimator)
        self._samples, self._bound, self._estimator = samples, bound, estimator

    def fuse(self, experts, present):
        return mixture_posterior(experts, present)

    def terms(self, values, mask, noise: runtime.Noise, step: tf.Tensor | int) -> dict[str, tf.Tensor]:
        """The loss is minus the bound; the other terms are means over the samples of the log-weights' parts."""
        observed, gradient = observe(values, mask, self.modalities), Gradient(self._estimator)
        codes = self._encode(observed)
        shares = tf.stack(mixture_weights(codes.shared, observed.present))
        shared = gradient.samples(self._draw(codes.shared, "shared", noise))
        private = {
            n: gradient.samples(self._draw(dict.fromkeys(codes.shared, q), f"private/{n}", noise))
            for n, q in codes.private.items()
        }
        parts = self._parts(observed, codes, gradient, shared, private, shares)
        log_weights = weighted_elbo(parts, self.modalities, self.weights_at(step, observed))
        bound = gradient.bound(log_weights + self._offset(shares))
        # Of an example that has nothing, 0.
        weights = tf.reduce_max(tf.sign(shares), axis=0, keepdims=True) if self._bound == "tight" else shares
        loss = -tf.reduce_sum(weights * bound, axis=0)
        means = {name: self._mean(x, shares) for name, x in named_parts(parts).items()}
        return {"loss": loss} | means

    # ---- inside: `[K, M, B]`, or `[K M, 1, B]` for the tight bound, whose samples are all alike ----------------------

    def _draw(self, experts: Mapping, stream: str, noise: runtime.Noise) -> tf.Tensor:
        """K samples for each expert r, under noise of their own, `[K, M, B, D]` or `[K M, 1, B, D]`."""
        found = []
        for name, q in experts.items():
            dim = q.event_shape[0]
            drawn = tf.reshape(noise.normal(f"{stream}/{name}", self._samples * dim), [-1, self._samples, dim])
            found.append(q.loc + stddev(q) * tf.transpose(drawn, [1, 0, 2]))
        z = tf.stack(found, axis=1)
        return z if self._bound == "looser" else tf.reshape(z, [self._samples * len(found), 1, -1, z.shape[-1]])

    def _offset(self, shares: tf.Tensor) -> tf.Tensor | float:
        """What makes the mean over all samples one with the experts' shares: 0 where an example has all modalities."""
        if self._bound == "looser":
            return 0.0
        return tf.tile(_log(len(shares) * shares), [self._samples, 1])[:, None]

    def _mean(self, x: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        """Over the samples, each expert's with its share: -> `[B]`."""
        return tf.reduce_sum(
            shares * tf.reduce_mean(tf.reshape(x, [self._samples, *tf.unstack(tf.shape(shares))]), axis=0), axis=0
        )

    def _parts(self, observed: Observed, codes: Codes, gradient: Gradient, shared, private, shares) -> Elbo:
        """Of every sample log p(x_j|s_j,c), log q(c|X) - log p(c) and log q(s_j|x_j) - log p(s_j): a bound of one sample."""
        log_px, ratios = {}, {}
        for name, value in observed.values.items():
            p = self._decoded_all(name, shared, private.get(name))
            log_px[name] = observed.masked(name, log_density(self.modalities[name], p, value))
        densities = [gradient.density(q).log_prob(shared) for q in codes.shared.values()]
        log_q = tf.reduce_logsumexp(tf.stack([d + _log(w) for d, w in zip(densities, tf.unstack(shares), strict=True)]), axis=0)
        for name, q in codes.private.items():
            ratio = gradient.density(q).log_prob(private[name]) - standard_normal(q.event_shape[0]).log_prob(private[name])
            ratios[name] = observed.masked(name, ratio)
        return Elbo(log_px, log_q - self.prior.log_prob(shared), ratios)

    def _decoded_all(self, name: str, shared: tf.Tensor, private: tf.Tensor | None):
        """p(x_j|s_j,c) of all samples in one pass of the decoder, batch as the samples'."""
        rows = [None if z is None else tf.reshape(z, [-1, z.shape[-1]]) for z in (shared, private)]
        answer = self.coders.decode(name, *rows)
        return self.decoded(self.modalities[name], tf.reshape(answer, [*tf.unstack(tf.shape(shared))[:-1], *answer.shape[1:]]))


def _log(share: tf.Tensor) -> tf.Tensor:
    """log of a share; of 0 a number so low that nothing of it is left in a sum of exponentials, and no NaN in its gradient."""
    return tf.where(share > 0.0, tf.math.log(tf.where(share > 0.0, share, 1.0)), LOWEST)
