"""MVAE: a product-of-experts posterior, trained on the joint and on smaller sets of modalities [Wu, Goodman 2018].

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from mmtf.config import TrainConfig, declare, option
from mmtf.distributions.divergence import kl
from mmtf.errors import UserError
from mmtf.modality import subsets
from mmtf.models.encoders import Codes
from mmtf.models.fusion import product_posterior
from mmtf.models.inputs import Observed
from mmtf.models.vae.base import MultimodalVAE
from mmtf.models.vae.elbo import Elbo
from mmtf.models.vae.importance_sampling import sampled_elbo
from mmtf.models.vae.options import QUIRKS, RAW_EXPERTS, UNIT_WEIGHTS, VAEOptions


@declare
class Options(VAEOptions):
    """Options of MVAE."""

    mvae_subsets: int = option(0, "MVAE: lower bounds of random sets of modalities added each step.", low=0)

    known_quirks = QUIRKS
    importance_weighted = True

    def check(self, train: TrainConfig | None = None) -> None:
        """Raise UserError for a departure that importance-weighted bounds do not have."""
        super().check(train)
        if RAW_EXPERTS in self.quirk_names() and (self.importance_samples or self.contrast != "none"):
            raise UserError(
                f"--quirks={RAW_EXPERTS} is of closed divergences, which importance-weighted bounds do not have; remove it, or "
                "--importance_samples and --contrast."
            )


class MVAE(MultimodalVAE):
    """The sum of the lower bounds ([S] eq. 19) of all modalities, of each one alone, and of some random sets of them.

    ELBO(X_K) = sum_{j in K} E[log p(x_j|s_j,c)] - KL(q(c|X_K) || p(c)) - sum_{j in K} KL(q(s_j|x_j) || p(s_j)), with
    q(c|X_K) = prod_{j in K} q(c|x_j) p(c). Sampling and divergence use the same product in every bound. The release of [S]
    samples a single modality's code from the product and penalises the raw expert, KL(q(c|x_j) || p(c)); the quirk
    raw_experts_of_single_bounds repeats that.

    An example that has one modality under a mask counts its bound twice, as the joint and as the single one. Reported terms of
    the random sets are means over all examples, those whose set left the modality out included.
    """

    Options = Options

    def __init__(self, *args, **kwargs):
        """Args: as `MultimodalVAE`.

        Raises:
          ValueError: also for random subsets of fewer than three modalities.
        """
        super().__init__(*args, **kwargs)
        self._samples = self.importance_samples()
        random_subsets = self.options.mvae_subsets
        proper = [s for s in subsets(self.names) if 1 < len(s) < len(self.names)]
        if random_subsets and not proper:
            raise ValueError(
                f"mvae_subsets is {random_subsets}, but it must be 0 or more, and more than 0 needs at least 3 modalities "
                f"(sets of 2 to M-1 of them are drawn); this model has {len(self.names)}. Set --mvae_subsets=0."
            )
        # As in the release of [S].
        self._unit_weights = UNIT_WEIGHTS in self.options.quirk_names()
        self._raw_experts = RAW_EXPERTS in self.options.quirk_names()
        # [number of sets, M]: 1 where the set holds the modality.
        self._indicators = [[float(name in s) for name in self.names] for s in proper]

    def bound_modalities(self):
        singles = {f"only_{name}": (name,) for name in self.names} if len(self.names) > 1 else {}
        return {"joint": self.names} | singles | {f"subset_{k}": self.names for k in range(self.options.mvae_subsets)}

    def modality_weights(self, bound):
        if not (self._unit_weights and bound.startswith("only_")):
            return self.modalities
        return {name: dataclasses.replace(m, likelihood_weight=1.0) for name, m in self.modalities.items()}

    def fuse(self, experts, present):
        return product_posterior(experts, present, self.prior)

    def elbos(self, observed: Observed, codes: Codes, noise):
        bounds = {"joint": observed}
        if len(self.names) > 1:
            bounds |= {f"only_{name}": observed.only((name,)) for name in observed.values}
        bounds |= {f"subset_{k}": self._draw_subset(observed, noise, k) for k in range(self.options.mvae_subsets)}
        private = self.sample_private(codes, noise)
        return {name: self._subset_elbo(part, codes, private, noise, name) for name, part in bounds.items()}

    def _subset_elbo(self, observed: Observed, codes: Codes, private, noise, bound: str) -> Elbo:
        experts = {name: codes.shared[name] for name in observed.values}
        posterior = self.fuse(experts, observed.present)
        if self._samples:
            return sampled_elbo(self, observed, codes, posterior, noise, self._samples, f"shared/{bound}")
        elbo = self.gaussian_elbo(observed, codes, posterior, private, noise, f"shared/{bound}")
        if not (self._raw_experts and bound.startswith("only_")):
            return elbo
        ((name, expert),) = experts.items()
        return elbo._replace(divergence=observed.masked(name, kl(expert, self.prior)))

    def _draw_subset(self, observed: Observed, noise, k: int) -> Observed:
        """Return the batch with modalities hidden at random: each example keeps one of the sets of 2 to M-1 modalities."""
        number = tf.cast(noise.strata(f"subset_{k}") * len(self._indicators), tf.int32)
        kept = tf.unstack(tf.gather(tf.constant(self._indicators), number), axis=1)
        keeps = dict(zip(self.names, kept, strict=True))
        present = {name: is_present * keeps[name] for name, is_present in observed.present.items()}
        return Observed(observed.values, present)
