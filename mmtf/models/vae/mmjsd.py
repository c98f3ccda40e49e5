"""mmJSD: a mixture posterior, held together by a Jensen-Shannon divergence to a dynamic prior [S].

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from mmtf.config import declare, option
from mmtf.distributions.divergence import jensen_shannon
from mmtf.distributions.mixture import sample_mixture
from mmtf.models.encoders import Codes
from mmtf.models.fusion import mixture_posterior, mixture_weights
from mmtf.models.inputs import Observed
from mmtf.models.vae.base import MultimodalVAE
from mmtf.models.vae.elbo import Elbo
from mmtf.models.vae.options import VAEOptions


@declare
class Options(VAEOptions):
    """Options of mmJSD."""

    prior_weight: float | None = option(
        None, "mmJSD: share pi of the prior in the divergence; 1/(M+1) by default.", above=0, high=0.999
    )


class MMJSD(MultimodalVAE):
    """[S] eq. 18: sum_j E[log p(x_j|s_j,c)] - JS_pi({q(c|x_j)}_j, p(c)) - sum_j KL(q(s_j|x_j) || p(s_j)).

    c is drawn from the mixture of the q(c|x_j), without the prior; pi weighs the M experts equally beside the prior.
    """

    Options = Options

    has_mixture_posterior = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # pi_{M+1}, the prior's share in the divergence ([S] C.3.2).
        given = self.options.prior_weight
        self.prior_weight = 1.0 / (len(self.names) + 1) if given is None else given
        self.prior_odds = self.prior_weight / (1.0 - self.prior_weight) * len(self.names)

    def fuse(self, experts, present):
        return mixture_posterior(experts, present)

    def elbo(self, observed: Observed, codes: Codes, noise):
        experts = list(codes.shared.values())
        shared = sample_mixture(
            experts,
            mixture_weights(codes.shared, observed.present),
            noise.strata("component"),
            noise.normal("shared", self.shared_dim),
        )
        pi = mixture_weights(codes.shared, observed.present, self.prior_odds)
        return Elbo(
            self.log_likelihood(observed, shared, self.sample_private(codes, noise)),
            jensen_shannon([*experts, self.prior], pi),
            self.kl_private(observed, codes),
        )
