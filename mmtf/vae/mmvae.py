"""MMVAE: a mixture-of-experts posterior [Shi, Siddharth, Paige, Torr 2019], without importance samples as in [S]."""

from __future__ import annotations

from mmtf.latent.coders import Codes
from mmtf.latent.observed import Observed
from mmtf.latent.posterior import mixture_posterior, mixture_weights
from mmtf.probability.divergence import weighted_kl
from mmtf.probability.mixture import sample_mixture
from mmtf.vae.elbo import Elbo
from mmtf.vae.model import MultimodalVAE


class MMVAE(MultimodalVAE):
    """[S] eq. 20: sum_j E[log p(x_j|s_j,c)] - (1/M) sum_j KL(q(c|x_j) || p(c)) - sum_j KL(q(s_j|x_j) || p(s_j)).

    c is drawn from the mixture (1/M) sum_j q(c|x_j), whose KL the mean of the experts' KLs bounds from above ([S] eq. 6).
    """

    mixes_experts = True

    def fuse(self, experts, present):
        return mixture_posterior(experts, present)

    def elbos(self, observed: Observed, codes: Codes, noise):
        experts = list(codes.shared.values())
        weights = mixture_weights(codes.shared, observed.present)
        shared = sample_mixture(experts, weights, noise.strata("component"), noise.normal("shared", self.shared_dim))
        elbo = Elbo(
            self.log_likelihood(observed, shared, self.sample_private(codes, noise)),
            weighted_kl(experts, weights, self.prior),
            self.kl_private(observed, codes),
        )
        return {"": elbo}
