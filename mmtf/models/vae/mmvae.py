"""MMVAE: a mixture-of-experts posterior [Shi, Siddharth, Paige, Torr 2019], without importance samples as in [S].

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from mmtf.config import declare
from mmtf.distributions.divergence import weighted_kl
from mmtf.distributions.mixture import sample_mixture
from mmtf.models.encoders import Codes
from mmtf.models.fusion import mixture_posterior, mixture_weights
from mmtf.models.inputs import Observed
from mmtf.models.vae.base import MultimodalVAE
from mmtf.models.vae.elbo import Elbo
from mmtf.models.vae.options import VAEOptions


@declare
class Options(VAEOptions):
    """Options of MMVAE: those of every VAE."""


class MMVAE(MultimodalVAE):
    """[S] eq. 20: sum_j E[log p(x_j|s_j,c)] - (1/M) sum_j KL(q(c|x_j) || p(c)) - sum_j KL(q(s_j|x_j) || p(s_j)).

    c is drawn from the mixture (1/M) sum_j q(c|x_j), whose KL the mean of the experts' KLs bounds from above ([S] eq. 6).
    """

    Options = Options

    has_mixture_posterior = True

    def fuse(self, experts, present):
        return mixture_posterior(experts, present)

    def elbo(self, observed: Observed, codes: Codes, noise):
        experts = list(codes.shared.values())
        weights = mixture_weights(codes.shared, observed.present)
        shared = sample_mixture(experts, weights, noise.strata("component"), noise.normal("shared", self.shared_dim))
        return Elbo(
            self.log_likelihood(observed, shared, self.sample_private(codes, noise)),
            weighted_kl(experts, weights, self.prior),
            self.kl_private(observed, codes),
        )
