"""Discriminators that do shared work once: features of a value first, then scores of its pairings with other things.

A step scores each value beside several codes, and each code beside several values. So a discriminator is bound once a step
(`bind`: all its kernels normalised), turns each distinct value into features once, and scores features with codes.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from mmtf.keras_names import PACKAGE
from mmtf.networks.spectral import Spectral, SpectralDense, bind_all, built, leaky


class BoundPair(NamedTuple):
    """Attributes:
    features: values `[B, ...]` -> `[B, F]`.
    score: features `[B, F]` and codes `[B, D]` -> logits `[B, outputs]`, float32.
    """

    features: Callable[[tf.Tensor], tf.Tensor]
    score: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@keras.saving.register_keras_serializable(PACKAGE)
class PairDiscriminator(keras.layers.Layer):
    """Scores a value beside a code: both through towers of their own, then together through a trunk.

    The trunk's first layer is linear in both, so that the value's part of it belongs to its features.
    """

    def __init__(
        self,
        value_tower: Sequence[Spectral],
        code_tower: Sequence[Spectral],
        trunk: Sequence[SpectralDense],
        *,
        value_shape: Sequence[int],
        code_dim: int,
        **kwargs,
    ):
        """Args: value_tower, code_tower: LeakyReLU after each layer; may be empty. trunk: the last layer gives the logits."""
        super().__init__(**kwargs)
        self._value_shape, self._code_dim = tuple(value_shape), code_dim
        self.value_tower, value_out = built(value_tower, value_shape)
        self.code_tower, code_out = built(code_tower, (code_dim,))
        self.value_width = math.prod(value_out)
        self.trunk, _ = built(trunk, (self.value_width + math.prod(code_out),))
        self.built = True

    def bind(self, advance: bool) -> BoundPair:
        """Args: advance: as for `spectral`: once in each step of the discriminators."""
        value, code = bind_all(self.value_tower, advance), bind_all(self.code_tower, advance)
        first, *rest = self.trunk
        kernel, bias = first.normalised(advance), first.offset()
        of_value, of_code = tf.split(kernel, [self.value_width, kernel.shape[0] - self.value_width])
        remaining = bind_all(rest, advance, last_linear=True)

        def features(x):
            return first.linear(value(x), of_value)

        def score(h, z):
            both = tf.nn.bias_add(h + first.linear(code(z), of_code), bias)
            return tf.cast(remaining(leaky(both)) if rest else both, tf.float32)

        return BoundPair(features, score)

    def get_config(self):
        parts = {"value_tower": self.value_tower, "code_tower": self.code_tower, "trunk": self.trunk}
        return {
            **super().get_config(),
            **{name: _serialized(layers) for name, layers in parts.items()},
            "value_shape": self._value_shape,
            "code_dim": self._code_dim,
        }

    @classmethod
    def from_config(cls, config):
        parts = {name: _deserialized(config.pop(name)) for name in ("value_tower", "code_tower", "trunk")}
        return cls(**parts, **config)


class BoundTowers(NamedTuple):
    """Attributes:
    features: name and values `[B, ...]` -> `[B, F]`.
    score: features of all modalities, and codes `[B, D]` where there are any, -> logits `[B, outputs]`, float32.
    """

    features: Callable[[str, tf.Tensor], tf.Tensor]
    score: Callable[..., tf.Tensor]


@keras.saving.register_keras_serializable(PACKAGE)
class TowersDiscriminator(keras.layers.Layer):
    """Scores values of all modalities together, and codes with them where it has a tower for codes.

    A tower for each; then a trunk over all that comes out of them, side by side. Or the inner product of the towers' last,
    linear layers, which is how [C]'s release compares two modalities; of more, the sum of all pairs' inner products.
    """

    def __init__(
        self,
        towers: Mapping[str, Sequence[Spectral]],
        trunk: Sequence[SpectralDense] | None,
        *,
        value_shapes: Mapping[str, Sequence[int]],
        code_tower: Sequence[Spectral] = (),
        code_dim: int = 0,
        **kwargs,
    ):
        """Args: trunk: None for the inner products, which need towers of one width.

        Raises:
          ValueError: inner products of codes, or of towers of different widths.
        """
        super().__init__(**kwargs)
        if trunk is None and code_dim:
            raise ValueError("Inner products compare modalities alone; codes need a trunk.")
        self._value_shapes, self._code_dim = {name: tuple(shape) for name, shape in value_shapes.items()}, code_dim
        self.towers, widths = {}, []
        for name, layers in towers.items():
            self.towers[name], shape = built(layers, value_shapes[name])
            widths.append(math.prod(shape))
        if trunk is None and len(set(widths)) > 1:
            raise ValueError(f"Inner products need towers of one width, not {widths}.")
        self.code_tower, shape = built(code_tower, (code_dim,)) if code_dim else ([], (0,))
        self.trunk = None if trunk is None else built(trunk, (sum(widths) + math.prod(shape),))[0]
        # Keras saves the layers of a list, but not those of a dict of lists.
        self._saved_layers = [layer for layers in self.towers.values() for layer in layers]
        self.built = True

    def bind(self, advance: bool) -> BoundTowers:
        inner = self.trunk is None
        towers = {name: bind_all(layers, advance, last_linear=inner) for name, layers in self.towers.items()}
        if inner:
            return BoundTowers(lambda name, x: towers[name](x), lambda h: _of_all_pairs(list(h.values()))[:, None])
        code, trunk = bind_all(self.code_tower, advance), bind_all(self.trunk, advance, last_linear=True)

        def score(h, z=None):
            parts = [h[name] for name in self.towers]
            return tf.cast(trunk(tf.concat(parts if z is None else [*parts, code(z)], axis=-1)), tf.float32)

        return BoundTowers(lambda name, x: tf.reshape(towers[name](x), [tf.shape(x)[0], -1]), score)

    def get_config(self):
        return {
            **super().get_config(),
            "towers": {name: _serialized(layers) for name, layers in self.towers.items()},
            "trunk": None if self.trunk is None else _serialized(self.trunk),
            "code_tower": _serialized(self.code_tower),
            "value_shapes": self._value_shapes,
            "code_dim": self._code_dim,
        }

    @classmethod
    def from_config(cls, config):
        towers = {name: _deserialized(layers) for name, layers in config.pop("towers").items()}
        trunk = config.pop("trunk")
        trunk = None if trunk is None else _deserialized(trunk)
        return cls(towers, trunk, code_tower=_deserialized(config.pop("code_tower")), **config)


def _serialized(layers: Sequence[Spectral]) -> list[dict]:
    return [keras.saving.serialize_keras_object(layer) for layer in layers]


def _deserialized(configs: Sequence[Mapping]) -> list[Spectral]:
    return [keras.saving.deserialize_keras_object(config) for config in configs]


def _of_all_pairs(features: Sequence[tf.Tensor]) -> tf.Tensor:
    """sum_{j < k} <h_j, h_k> of M features `[B, F]` -> `[B]`: each beside the sum of those before it."""
    first, *others = (tf.cast(h, tf.float32) for h in features)
    products, before = [], first
    for h in others:
        products.append(tf.reduce_sum(before * h, -1))
        before = before + h
    return tf.add_n(products)


def dense(widths: Sequence[int], initializers: Iterator[keras.initializers.Initializer]) -> list[SpectralDense]:
    """Return layers of these widths, each with the next initialiser."""
    return [SpectralDense(width, kernel_initializer=next(initializers)) for width in widths]
