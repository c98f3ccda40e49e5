"""The joint discriminator: one network over whole tuples, with which [C] Table 1 compares the factorized one.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import tensorflow as tf

from mmtf.config import declare
from mmtf.models.gan import losses
from mmtf.models.gan.base import AdversarialModel
from mmtf.models.gan.default_discriminators import towers
from mmtf.models.gan.options import AdversarialOptions
from mmtf.models.gan.tuples import Tuples
from mmtf.networks.sizes import WITH_TRUNK


@declare
class Options(AdversarialOptions):
    """Options of MMALI with a joint discriminator: those of every adversarial model."""


class JointMMALI(AdversarialModel):
    """[C] eq. 4 as it stands: D(X, s_1..s_M, c) tells M+1 kinds of tuples apart. It learns from whole tuples alone."""

    Options = Options

    def default_discriminators(self, seed, networks_of, sizes):
        modalities = tuple(self.modalities.values())
        codes = self.shared_dim + sum(m.private_dim for m in modalities)
        # Codes go through a trunk with the values: inner products compare modalities alone.
        own = sizes if sizes.trunk else WITH_TRUNK
        return {"joint": lambda: towers(modalities, len(modalities) + 1, codes, seed, networks_of, own, "joint")}

    def terms_of(self, phase):
        if phase == "discriminators":
            return ["discriminator/loss", "discriminator/joint", "accuracy/joint"]
        return ["generator/loss", "generator/joint", *self._reported_beside()]

    def discriminator_terms(self, real, fake, single, single_fake, advance):
        logits = self.joint_logits(real, fake, advance)
        return {"discriminator/joint": losses.class_losses(logits), "accuracy/joint": losses.class_accuracy(logits)}

    def generator_terms(self, real, fake, single, single_fake):
        return {"generator/joint": losses.nonsaturating_losses(self.joint_logits(real, fake, advance=False))}

    def joint_logits(self, real: Tuples, fake: Tuples, advance: bool) -> list[tf.Tensor]:
        """M+1 logits `[B, M+1]`: of real tuples with c from each encoder, and of generated ones."""
        discriminator, count = self.discriminators["joint"].bind(advance), len(self.names)
        features = {}
        for n in self.names:
            of_real, of_fake = discriminator.features(n, real.x[n]), discriminator.features(n, fake.x[n])
            features[n] = tf.concat([of_real] * count + [of_fake], axis=0)
        codes = [self._codes(real, of) for of in self.names] + [self._codes(fake, self.names[0])]
        return tf.split(discriminator.score(features, tf.concat(codes, axis=0)), count + 1)

    def _codes(self, tuples: Tuples, of: str) -> tf.Tensor:
        """[s_1, ..., s_M, c], c from the encoder of one modality."""
        return tf.concat([*(tuples.private[n] for n in self.names), tuples.shared[of]], axis=-1)
