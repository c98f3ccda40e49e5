"""JMVAE: an encoder of all modalities together, which those of the single ones learn from [Suzuki, Nakayama, Matsuo 2017]."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.config import declare, option
from mmtf.distributed.random import derived_seed
from mmtf.distributions.family import NORMAL
from mmtf.distributions.gaussian import stddev
from mmtf.models import default_networks
from mmtf.models.default_networks import NetworksOf
from mmtf.models.encoders import Codes, check_shape
from mmtf.models.fusion import product_of_experts
from mmtf.models.inputs import Observed
from mmtf.models.vae.base import MultimodalVAE
from mmtf.models.vae.importance_sampling import sampled_elbo
from mmtf.models.vae.options import AlignedOptions
from mmtf.networks import default
from mmtf.networks.joint import JointEncoder

tfd = tfp.distributions


@declare
class Options(AlignedOptions):
    """Options of JMVAE."""

    alpha_start: float | None = option(None, "jmvae: --alpha at step 0, changing linearly over --warmup_steps.", low=0)

    starts = ("beta_start", "private_beta_start", "alpha_start")
    importance_weighted = True


class JMVAE(MultimodalVAE):
    """sum_j E[log p(x_j|s_j,c)] - KL(q(c|X) || p(c)) - alpha sum_j KL(q(c|X) || q(c|x_j)) - sum_j KL(q(s_j|x_j) || p(s_j)).

    q(c|X) is an encoder's of its own, of all modalities. What a smaller set of modalities says is what its unimodal encoders
    say, of several the product. An example that lacks modalities is such a set, in training too; its unimodal encoders then
    learn from their product's bound, and there is nothing for them to be drawn to.

    alpha stands beside beta: it is not multiplied by it.
    """

    Options = Options

    aligns_experts = True

    def __init__(
        self,
        modalities,
        encoders=None,
        decoders=None,
        *,
        joint_encoders: Mapping[str, keras.Model] | None = None,
        networks_of: NetworksOf = default.networks_of,
        seed: int = 0,
        **how,
    ):
        """Args:
        joint_encoders: as encoders, for the joint one.
        how: as `MultimodalVAE`.

        Raises:
          ValueError: as `MultimodalVAE`, of the joint encoders too.
        """
        joint_encoders = default_networks.encoders(modalities, seed, networks_of, joint_encoders, "joint")
        for m in modalities:
            check_shape(m, "joint encoder's input", joint_encoders[m.name].input_shape[1:], m.event_shape)
        super().__init__(modalities, encoders, decoders, networks_of=networks_of, seed=seed, **how)
        self.alpha = 0.1 if self.options.alpha is None else self.options.alpha
        self.alpha_start, self._samples = self.options.alpha_start, self.importance_samples()
        ordered = {name: joint_encoders[name] for name in self.names}
        self.joint_encoder = JointEncoder(ordered, self.shared_dim, seed=derived_seed(self.seed, "joint"))

    def fuse(self, experts, present):
        return product_of_experts(experts, present, self.prior)

    def posterior_of(self, codes: Codes, present, subset):
        product = super().posterior_of(codes, present, subset)
        if codes.joint is None or len(subset) < len(self.names):
            return product
        whole = tf.reduce_min(tf.stack([present[name] for name in self.names]), axis=0)[..., None] > 0.0
        pairs = (codes.joint.loc, product.loc), (stddev(codes.joint), stddev(product))
        return tfd.MultivariateNormalDiag(*(tf.where(whole, joint, other) for joint, other in pairs))

    def weights_at(self, step, observed):
        return super().weights_at(step, observed)._replace(experts=self.betas.between(self.alpha_start, self.alpha, step))

    def schedule(self, step):
        return super().schedule(step) | {"alpha": float(self.betas.between(self.alpha_start, self.alpha, step))}

    def term_modalities(self):
        # Only a whole example has the joint encoder's posterior, to which experts are drawn.
        return {
            name: self.names if name.startswith("kl_experts/") else about for name, about in super().term_modalities().items()
        }

    def elbo(self, observed: Observed, codes: Codes, noise):
        posterior = self.posterior_of(codes, observed.present, tuple(observed.values))
        whole = tf.reduce_min(tf.stack(list(observed.present.values())), axis=0) * float(codes.joint is not None)
        aligned = {n: tf.where(whole > 0.0, term, 0.0) for n, term in self.kl_experts(observed, posterior, codes).items()}
        if self._samples:
            elbo = sampled_elbo(self, observed, codes, posterior, noise, self._samples, "shared")
        else:
            elbo = self.gaussian_elbo(observed, codes, posterior, self.sample_private(codes, noise), noise)
        return elbo._replace(kl_experts=aligned)

    @property
    def networks(self):
        return super().networks | {"joint_encoders": self.joint_encoder.encoders}

    def named_weights(self):
        return super().named_weights() | {f"joint.{key}": v for key, v in self.joint_encoder.named_weights().items()}

    def _encode(self, observed: Observed) -> Codes:
        codes = super()._encode(observed)
        if set(observed.values) != set(self.names):
            return codes
        inputs = {n: self.network_input(self.modalities[n], x) for n, x in observed.values.items()}
        return self._with_joint(codes, self.joint_encoder.features(inputs))

    def gather_codes(self, codes, gathers):
        gathered = super().gather_codes(codes, gathers)
        if codes.joint is None:
            return gathered
        features = {n: gathers[n](x) for n, x in codes.joint_features.items()}
        return self._with_joint(gathered, features)

    def _with_joint(self, codes: Codes, features: Mapping[str, tf.Tensor]) -> Codes:
        return codes._replace(joint=NORMAL.expert(*self.joint_encoder(features)), joint_features=features)
