"""An encoder that reads all modalities at once."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from mmtf.distributed.random import derived_seed
from mmtf.networks import layers
from mmtf.networks.heads import GaussianHead

HIDDEN = 512


class JointEncoder(keras.Layer):
    """Features of every modality by an encoder of its own, side by side, through one hidden layer to one Gaussian."""

    def __init__(self, encoders: Mapping[str, keras.Model], shared_dim: int, *, seed: int, name: str = "joint_encoder"):
        """Args: encoders: per modality, network inputs `[B, ...]` -> features `[B, F]`; no one else's."""
        super().__init__(name=name)
        self.encoders = dict(encoders)
        widths = sum(encoder.output_shape[-1] for encoder in self.encoders.values())
        self.hidden = keras.layers.Dense(HIDDEN, "relu", kernel_initializer=next(layers.glorot(seed)), name="hidden")
        self.hidden.build((None, widths))
        self.head = GaussianHead(shared_dim, seed=derived_seed(seed, "head"), name="head")
        self.head.build((None, HIDDEN))
        self.built = True

    def features(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Of each modality's inputs, `[B, F]`."""
        return {name: encoder(inputs[name]) for name, encoder in self.encoders.items()}

    def call(self, features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Of all modalities' features, `[..., F]` each, location and log-variance `[..., shared_dim]`."""
        return self.head(self.hidden(tf.concat([features[name] for name in self.encoders], axis=-1)))[:2]

    def named_weights(self) -> dict[str, keras.Variable]:
        """Return every weight under a name that depends on the modalities alone."""
        parts = {f"encoder.{name}": network for name, network in self.encoders.items()}
        parts |= {"hidden": self.hidden, "head": self.head}
        return {f"{key}.{i}.{v.name}": v for key, part in parts.items() for i, v in enumerate(part.weights)}
