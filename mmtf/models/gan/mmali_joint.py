"""The joint discriminator: one network over whole tuples, with which [C] Table 1 compares the factorized one."""

from __future__ import annotations

import tensorflow as tf

from mmtf.models.gan import losses
from mmtf.models.gan.base import AdversarialModel, AdversarialWeights
from mmtf.models.gan.tuples import Tuples
from mmtf.networks.discriminators import TowersDiscriminator


class JointMMALI(AdversarialModel):
    """[C] eq. 4 as it stands: D(X, s_1..s_M, c) tells M+1 kinds of tuples apart. It learns from whole tuples alone."""

    def __init__(
        self,
        modalities,
        encoders,
        decoders,
        *,
        joint: TowersDiscriminator,
        weights: AdversarialWeights | None = None,
        **options,
    ):
        """Args: joint: with M+1 logits, of all values and of the codes [s_1, ..., s_M, c]. Others as `AdversarialModel`.

        Raises:
          ValueError: a weight of the unimodal game, which this discriminator cannot play.
        """
        weights = weights or AdversarialWeights(unimodal=0.0)
        if weights.unimodal:
            raise ValueError(
                "A joint discriminator sees whole tuples alone, so there is no unimodal game; set its weight to 0."
            )
        super().__init__(modalities, encoders, decoders, discriminators={"joint": joint}, weights=weights, **options)

    def terms_of(self, phase):
        if phase == "discriminators":
            return ["discriminator/loss", "discriminator/joint", "accuracy/joint"]
        return ["generator/loss", "generator/joint", *self._names_of_regularisers()]

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
