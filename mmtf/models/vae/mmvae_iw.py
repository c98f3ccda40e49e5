"""MMVAE with importance samples [Shi, Siddharth, Paige, Torr 2019]."""

from __future__ import annotations

import tensorflow as tf

from mmtf.config import declare, option
from mmtf.distributions.family import FAMILIES, log_density, log_share
from mmtf.models.encoders import Codes
from mmtf.models.fusion import mixture_log_density, mixture_posterior, mixture_weights
from mmtf.models.inputs import Observed
from mmtf.models.vae.base import MultimodalVAE, Objective, named_parts
from mmtf.models.vae.bounds import ESTIMATORS, Gradient
from mmtf.models.vae.contrastive import SAMPLES
from mmtf.models.vae.elbo import Elbo, weighted_elbo
from mmtf.models.vae.importance_sampling import ExpertSamples, log_likelihoods, sample_experts
from mmtf.models.vae.options import VAEOptions


@declare
class ImportanceOptions(VAEOptions):
    """Options of MMVAE with importance samples, and of MMVAE+."""

    importance_bound: str = option(
        "looser",
        "mmvae_iw, mmvae_plus: mean over the experts of the bounds of their samples, or one bound of all samples.",
        choices=("looser", "tight"),
    )
    gradient_estimator: str | None = option(
        None,
        "mmvae_iw, mmvae_plus: how the encoders' gradient is estimated, dreg by default and beside --contrast iwae; stl is "
        "biased for more than one sample.",
        choices=("iwae", "stl", "dreg"),
    )
    posterior_family: str = option(
        "normal",
        "mmvae_iw, mmvae_plus: of the codes' posteriors and priors; laplace has the authors' scales, which sum to the code's "
        "size.",
        choices=("normal", "laplace"),
    )

    importance_weighted = True


@declare
class Options(ImportanceOptions):
    """Options of MMVAE with importance samples."""


class ImportanceMMVAE(MultimodalVAE):
    """MMVAE whose lower bound is made of K samples from each of the M experts; M K decodings of each modality.

    The log-weight of sample k from expert r, c_rk ~ q(c|x_r) and s_j ~ q(s_j|x_j):

        sum_j w_j log p(x_j|s_j, c_rk) + beta [ log p(c_rk) - log (1/M) sum_m q(c_rk|x_m) ]
            + beta_style sum_j beta_style_j [ log p(s_j) - log q(s_j|x_j) ]

    `looser`: log-mean-exp over k, mean over r, the paper's objective. `tight`: log-mean-exp over all M K. With all weights 1
    both are lower bounds on log p(X).
    """

    Options = Options

    has_mixture_posterior = True

    def __init__(self, *args, **kwargs):
        """Args: as `MultimodalVAE`.

        Raises:
          ValueError: also for dreg beside a contrast.
        """
        super().__init__(*args, **kwargs)
        self._estimator = self.options.gradient_estimator or ("iwae" if self.contrast else "dreg")
        if self.contrast and self._estimator == "dreg":
            others = ", ".join(e for e in ESTIMATORS if e != "dreg")
            raise ValueError(
                "gradient_estimator=dreg multiplies the gradient of each sample by its weight in the bound, and the contrast "
                f"reads the same samples with other weights; beside a contrast take one of {others}."
            )
        self._samples, self._bound = self.options.importance_samples or SAMPLES, self.options.importance_bound

    def family(self):
        return FAMILIES[self.options.posterior_family]

    def fuse(self, experts, present):
        return mixture_posterior(experts, present)

    def objective(self, observed: Observed, codes: Codes, noise, weights) -> Objective:
        """Return the parts are means over the samples of the log-weights' parts."""
        gradient = Gradient(self._estimator)
        shares = tf.stack(mixture_weights(codes.shared, observed.present))
        drawn = self.draw(codes, noise, gradient)
        parts = self._parts(observed, codes, drawn, gradient)
        loss = -self._reduced(gradient, weighted_elbo(parts, self.modalities, weights), shares)
        means = {name: tf.reduce_sum(shares * tf.reduce_mean(x, axis=0), axis=0) for name, x in named_parts(parts).items()}
        return Objective(loss, means, drawn)

    def draw(self, codes: Codes, noise, gradient: Gradient) -> ExpertSamples:
        """Return the samples of the codes, K of each expert."""
        return sample_experts(self, codes, noise, self._samples, gradient)

    # ---- inside: everything is `[K, M, B]` --------------------------------------------------------------------------

    def _reduced(self, gradient: Gradient, log_weights: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        """Return the bound `[B]`; of an example that has nothing, 0."""
        if self._bound == "looser":
            return tf.reduce_sum(shares * gradient.bound(log_weights), axis=0)
        bound = gradient.bound(log_weights + log_share(len(shares) * shares), axis=(0, 1))
        return tf.reduce_max(tf.sign(shares), axis=0) * bound

    def _parts(self, observed: Observed, codes: Codes, drawn: ExpertSamples, gradient: Gradient) -> Elbo:
        """Of every sample log p(x_j|s_j,c), log q(c|X) - log p(c) and log q(s_j|x_j) - log p(s_j): a bound of one sample."""
        experts = {n: gradient.density(q) for n, q in codes.shared.items()}
        log_q = mixture_log_density(experts, observed.present, drawn.shared)
        log_px = log_likelihoods(self, observed, drawn)
        return Elbo(
            log_px, log_q - log_density(self.prior, drawn.shared), self._private_ratios(observed, codes, drawn, gradient)
        )

    def _private_ratios(
        self, observed: Observed, codes: Codes, drawn: ExpertSamples, gradient: Gradient
    ) -> dict[str, tf.Tensor]:
        return {n: observed.masked(n, self.log_ratio(gradient.density(q), drawn.private[n])) for n, q in codes.private.items()}
