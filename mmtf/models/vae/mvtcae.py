"""MVTCAE: a product of experts that all stay near the posterior [Hwang, Kim, Hong, Kim 2021].

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import tensorflow as tf

from mmtf.config import TrainConfig, declare
from mmtf.errors import UserError
from mmtf.models.encoders import Codes
from mmtf.models.fusion import product_of_experts
from mmtf.models.inputs import Observed
from mmtf.models.vae.base import MultimodalVAE
from mmtf.models.vae.options import AlignedOptions


@declare
class Options(AlignedOptions):
    """Options of MVTCAE: those of every VAE, and alpha."""

    def check(self, train: TrainConfig | None = None) -> None:
        """Raise UserError also for alpha above 1, where the prior would be pushed away."""
        super().check(train)
        if self.alpha is not None and self.alpha > 1.0:
            raise UserError(f"--alpha must lie between 0 and 1 for --model=mvtcae, not {self.alpha}.")


class MVTCAE(MultimodalVAE):
    """A bound on the total correlation of the modalities and the code:

        (M - alpha)/M sum_j E[log p(x_j|s_j,c)] - beta [ (1 - alpha) KL(q(c|X) || p(c)) + alpha/M sum_j KL(q(c|X) || q(c|x_j)) ]
            - sum_j KL(q(s_j|x_j) || p(s_j)),   q(c|X) proportional to prod_j q(c|x_j), without the prior.

    M counts the modalities that an example has. The private divergences have the weights of [S] C.3.2.
    """

    Options = Options

    aligns_experts = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # From 0 (no experts are aligned) to 1 (the prior has no part).
        self.alpha = 0.1 if self.options.alpha is None else self.options.alpha

    def fuse(self, experts, present):
        return product_of_experts(experts, present, self.prior)

    def weights_at(self, step, observed):
        weights = self.betas.at(step)
        share = tf.math.divide_no_nan(self.alpha, sum(observed.present.values()))
        return weights._replace(
            likelihood=1.0 - share, shared=(1.0 - self.alpha) * weights.shared, experts=share * weights.shared
        )

    def elbo(self, observed: Observed, codes: Codes, noise):
        posterior = self.fuse(codes.shared, observed.present)
        elbo = self.gaussian_elbo(observed, codes, posterior, self.sample_private(codes, noise), noise)
        return elbo._replace(kl_experts=self.kl_experts(observed, posterior, codes))
