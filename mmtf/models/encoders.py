"""Coders: the encoders, heads and decoders of all modalities as one piece, between network inputs and network outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributed.random import derived_seed
from mmtf.distributions.family import NORMAL, Family
from mmtf.modality import Modality
from mmtf.networks.heads import GaussianHead

tfd = tfp.distributions


class Codes(NamedTuple):
    """What the encoders say: per modality q(c|x_j), and q(s_j|x_j) for those with a private code; batch `[B]`, one family.

    `joint` is q(c|X) of a model that has an encoder for it, where all modalities were given; `joint_features` what that encoder
    makes of each of them, `[B, F]`, before it puts them together.
    """

    shared: dict[str, tfd.Distribution]
    private: dict[str, tfd.Distribution]
    joint: tfd.MultivariateNormalDiag | None = None
    joint_features: Mapping[str, tf.Tensor] | None = None


class Coders(keras.Layer):
    """Per modality an encoder, the head that makes its features two experts, and a decoder."""

    def __init__(
        self,
        modalities: Sequence[Modality],
        encoders: Mapping[str, keras.Model],
        decoders: Mapping[str, keras.Model],
        *,
        shared_dim: int,
        seed: int,
        head: Mapping[str, float] | None = None,
        family: Family = NORMAL,
        name: str = "coders",
    ):
        """Args:
        encoders: per modality, network inputs `[B, ...]` -> features `[B, F]`.
        decoders: per modality, codes `[B, private_dim + shared_dim]` -> what the family of models makes values of.
        shared_dim: size of c.
        seed: of the heads' initial weights.
        head: further options of every `GaussianHead`.
        family: of the codes' posteriors.

        Raises:
          ValueError: a modality without networks, a repeated name, a shared size below 1, or a decoder of other codes.
        """
        super().__init__(name=name)
        _check_parts(modalities, encoders, decoders, shared_dim)
        self._modalities = tuple(modalities)
        self.family = family
        self._options = {"shared_dim": shared_dim, "seed": seed, "head": dict(head or {}), "family": family}
        self.private_dims = {m.name: m.private_dim for m in modalities}
        self.encoders, self.decoders = dict(encoders), dict(decoders)
        self.heads = {
            m.name: GaussianHead(
                shared_dim, m.private_dim, seed=derived_seed(seed, m.name), name=f"{m.name}_head", **self._options["head"]
            )
            for m in modalities
        }
        for name, head in self.heads.items():
            head.build(self.encoders[name].output_shape)
        self.built = True

    def encode(self, inputs: Mapping[str, tf.Tensor]) -> Codes:
        """q(c|x_j) and q(s_j|x_j) of the modalities given."""
        heads = {name: self.heads[name](self.encoders[name](x)) for name, x in inputs.items()}
        shared = {name: self.family.expert(h[0], h[1]) for name, h in heads.items()}
        private = {name: self.family.expert(h[2], h[3]) for name, h in heads.items() if self.private_dims[name]}
        return Codes(shared, private)

    def decode(self, name: str, shared: tf.Tensor, private: tf.Tensor | None = None) -> tf.Tensor:
        """Return the decoder's answer to a shared code `[B, shared_dim]` and a private one, by default the prior's mean, 0.

        Codes of any leading axes, such as `[K, B, shared_dim]`, go through the decoder at once.
        """
        if self.private_dims[name]:
            if private is None:
                private = tf.zeros([*tf.unstack(tf.shape(shared))[:-1], self.private_dims[name]])
            shared = tf.concat([private, shared], axis=-1)
        # Float32 whatever the decoder computed with: values and densities are made of it.
        if shared.shape.rank == 2:
            return tf.cast(self.decoders[name](shared), tf.float32)
        answer = tf.cast(self.decoders[name](tf.reshape(shared, [-1, shared.shape[-1]])), tf.float32)
        # What is known of the axes stays known.
        before = [known or found for known, found in zip(shared.shape, tf.unstack(tf.shape(shared)), strict=True)][:-1]
        return tf.reshape(answer, [*before, *answer.shape[1:]])

    def copied(self, name: str) -> Coders:
        """Return the same networks with weights of their own, equal to these now."""
        copy = Coders(
            self._modalities,
            {n: keras.models.clone_model(network) for n, network in self.encoders.items()},
            {n: keras.models.clone_model(network) for n, network in self.decoders.items()},
            **self._options,
            name=name,
        )
        copy.set_weights(self.get_weights())
        return copy

    def named_weights(self) -> dict[str, keras.Variable]:
        """Return every weight under a name that depends on the model alone."""
        roles = {"encoder": self.encoders, "head": self.heads, "decoder": self.decoders}
        networks = {f"{role}.{name}": network for role, part in roles.items() for name, network in part.items()}
        return {f"{key}.{i}.{v.name}": v for key, network in networks.items() for i, v in enumerate(network.weights)}


def _check_parts(modalities, encoders, decoders, shared_dim: int) -> None:
    names = [m.name for m in modalities]
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"A model needs modalities with distinct names, not {names}.")
    for kind, networks in (("encoder", encoders), ("decoder", decoders)):
        if set(networks) != set(names):
            raise ValueError(f"One {kind} per modality is needed: modalities are {names}, {kind}s are {sorted(networks)}.")
    if shared_dim < 1:
        raise ValueError(f"shared_dim must be at least 1, not {shared_dim}.")
    for m in modalities:
        if not (encoders[m.name].built and decoders[m.name].built):
            raise ValueError(f"{m.name}: encoder and decoder must be built; begin each with keras.Input(shape).")
        check_shape(m, "decoder's input", decoders[m.name].input_shape[1:], (m.private_dim + shared_dim,))


def check_shape(modality: Modality, part: str, shape: tuple, wanted: tuple) -> None:
    """Raise ValueError where a network's shape per example is not the one wanted."""
    if tuple(shape) != tuple(wanted):
        raise ValueError(f"{modality.name}: the {part} must have the shape {tuple(wanted)} per example, not {tuple(shape)}.")
