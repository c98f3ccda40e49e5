"""MMVAE+: private codes that cannot carry what modalities share [Palumbo, Daunhawer, Vogt 2023]."""

from __future__ import annotations

import keras
import tensorflow as tf

from mmtf.config import declare
from mmtf.models.encoders import Codes
from mmtf.models.inputs import Observed
from mmtf.models.vae.bounds import Gradient
from mmtf.models.vae.importance_sampling import ExpertSamples, answers, samples_beside, samples_of_each
from mmtf.models.vae.mmvae_iw import ImportanceMMVAE, ImportanceOptions


@declare
class Options(ImportanceOptions):
    """Options of MMVAE+: those of MMVAE with importance samples."""


class MMVAEPlus(ImportanceMMVAE):
    """`ImportanceMMVAE` whose private codes are a modality's own only where its own expert is drawn from.

    To a sample c_rk ~ q(c|x_r), x_r is decoded with s_r ~ q(s_r|x_r), and every other x_j with s_j ~ r_j(s_j), an auxiliary
    prior of location 0 and learned scale. So x_j must be explained from x_r by the shared code. The log-weight:

        log p(x_r|s_r,c) + sum_{j != r} log p(x_j|s_j,c) + log p(c) - log (1/M) sum_m q(c|x_m) + log p(s_r) - log q(s_r|x_r)

    with the weights of `ImportanceMMVAE`. What is generated, across modalities too, has private codes from their priors p(s_j).
    """

    Options = Options

    def __init__(self, modalities, *args, **kwargs):
        """Args: as `ImportanceMMVAE`.

        Raises:
          ValueError: also where a modality has no private code.
        """
        super().__init__(modalities, *args, **kwargs)
        without = [m.name for m in modalities if not m.private_dim]
        if without:
            raise ValueError(f"mmvae_plus is about private codes, and {without[0]} has none; set --private_dim, such as 10.")
        # As an encoder's numbers for scales: 0 is the scale 1 of both families.
        self.auxiliary = {
            m.name: keras.Variable(tf.zeros([m.private_dim]), name=f"{m.name}_auxiliary_scale") for m in modalities
        }

    def draw(self, codes: Codes, noise, gradient: Gradient) -> ExpertSamples:
        shared = gradient.samples(samples_of_each(self, codes.shared, "shared", noise, self._samples))
        private = {}
        for place, (name, q) in enumerate(codes.private.items()):
            own = gradient.samples(samples_beside(self, codes, q, f"private/{name}", noise, self._samples))
            raw = tf.convert_to_tensor(self.auxiliary[name])
            prior = self.coders.family.expert(tf.zeros_like(raw), raw)
            other = samples_beside(self, codes, prior, f"auxiliary/{name}", noise, self._samples)
            is_own = tf.one_hot(place, len(codes.shared), on_value=True, off_value=False)[:, None, None]
            private[name] = tf.where(is_own, own, other)
        return ExpertSamples(shared, private, answers(self, codes, shared, private))

    def named_weights(self):
        return super().named_weights() | {f"auxiliary.{name}.0.scale": v for name, v in self.auxiliary.items()}

    def _private_ratios(
        self, observed: Observed, codes: Codes, drawn: ExpertSamples, gradient: Gradient
    ) -> dict[str, tf.Tensor]:
        """Of a modality's own private code, where it was drawn."""
        ratios = super()._private_ratios(observed, codes, drawn, gradient)
        own = tf.eye(len(ratios))[:, :, None] > 0.0
        return {n: tf.where(own[place], x, tf.zeros_like(x)) for place, (n, x) in enumerate(ratios.items())}
