"""MoPoE: a mixture of the products of experts of all sets of modalities [Sutter, Daunhawer, Vogt 2021]."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.config import declare
from mmtf.distributions.divergence import kl
from mmtf.distributions.mixture import sample_components
from mmtf.modality import check_subset, subsets
from mmtf.models.encoders import Codes
from mmtf.models.fusion import products_of_subsets
from mmtf.models.inputs import Observed
from mmtf.models.vae.base import MultimodalVAE
from mmtf.models.vae.elbo import Elbo
from mmtf.models.vae.options import VAEOptions

tfd = tfp.distributions

# 2^12 - 1 products of a batch of 256 and 20 dimensions are 84 MB each time that they are written down.
MOST_MODALITIES = 12


@declare
class Options(VAEOptions):
    """Options of MoPoE: those of every VAE."""


class MoPoE(MultimodalVAE):
    """sum_j E[log p(x_j|s_j,c)] - (1/S) sum_K KL(q~_K(c) || p(c)) - sum_j KL(q(s_j|x_j) || p(s_j)), K over the S sets.

    q(c|X) = (1/S) sum_K q~_K(c), q~_K proportional to prod_{j in K} q(c|x_j); c is drawn from it once, so that a step decodes
    each modality once, however many sets there are. The prior is an expert in the product of all modalities of the model and in
    no other, as in the authors' release.

    Of an example that lacks modalities the sets are those of the modalities that it has.
    """

    Options = Options

    def __init__(self, *args, members: Sequence[Sequence[str]] | None = None, **kwargs):
        """Args: members: the sets; all non-empty ones by default.

        Raises:
          ValueError: more modalities than can be mixed, or sets that leave a modality out.
        """
        super().__init__(*args, **kwargs)
        if len(self.names) > MOST_MODALITIES:
            raise ValueError(
                f"mopoe mixes the products of all sets of modalities: of {len(self.names)} modalities there are "
                f"{2 ** len(self.names) - 1}. At most {MOST_MODALITIES} modalities are possible; choose with --modalities, "
                "or take --model=mmvae."
            )
        self._sets = subsets(self.names) if members is None else [check_subset(s, self.names) for s in members]

    def fuse(self, experts, present):
        products, weights = self._products(experts, present)
        return tfd.MixtureSameFamily(tfd.Categorical(probs=weights), products, reparameterize=False)

    def elbo(self, observed: Observed, codes: Codes, noise):
        products, weights = self._products(codes.shared, observed.present)
        strata, normal = noise.strata("component"), noise.normal("shared", self.shared_dim)
        shared = sample_components(products, weights, strata, normal)
        return Elbo(
            self.log_likelihood(observed, shared, self.sample_private(codes, noise)),
            tf.reduce_sum(weights * kl(products, self.prior), axis=-1),
            self.kl_private(observed, codes),
        )

    def _products(self, experts, present) -> tuple[tfd.MultivariateNormalDiag, tf.Tensor]:
        """Of the sets of modalities given."""
        sets = [s for s in self._sets if set(s) <= set(experts)]
        members = tf.constant([[float(name in s) for name in experts] for s in sets])
        return products_of_subsets(experts, present, self.prior, members, [len(s) == len(self.names) for s in sets])
