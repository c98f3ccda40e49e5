"""The last layers of every encoder: from features to the Gaussians of the shared and the private code.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import keras

from mmtf.keras_names import PACKAGE
from mmtf.networks import layers


@keras.saving.register_keras_serializable(PACKAGE)
class GaussianHead(keras.layers.Layer):
    """The four last layers of [S] C.3.2 (3a, 3b and their like in Tables 5 to 7), fused into one matrix product.

    Features `[B, F]` -> (shared loc `[B, shared_dim]`, shared log-variance `[B, shared_dim]`, private loc `[B, private_dim]`,
    private log-variance `[B, private_dim]`); log-variances in nats. Without private code the last two have width 0.

    The parts are initialised as separate glorot_uniform layers would be: a part's limit is sqrt(6 / (F + its own width)).
    Keras would take the fused width for the fan-out, and start every part smaller. With `stddev` they are drawn from
    N(0, stddev^2) instead. Float32 under any precision policy.

    With `floor`, log-variances stay above it: each is floor + softplus(its number - floor), which is the number itself as long
    as it is far above.
    """

    def __init__(
        self,
        shared_dim: int,
        private_dim: int = 0,
        *,
        stddev: float | None = None,
        floor: float | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        """Raise ValueError for shared_dim below 1 or private_dim below 0."""
        super().__init__(**{"dtype": "float32", **kwargs})
        layers.require_positive(shared_dim=shared_dim)
        if private_dim < 0:
            raise ValueError(f"private_dim must be 0 (no private code) or more, not {private_dim}.")
        self.shared_dim, self.private_dim = shared_dim, private_dim
        self.stddev, self.floor, self.seed = stddev, floor, seed

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Widths of the four outputs, in order."""
        return (self.shared_dim, self.shared_dim, self.private_dim, self.private_dim)

    def build(self, input_shape):
        shape = (input_shape[-1], sum(self.widths))
        self.kernel = self.add_weight(shape=shape, initializer=self._as_separate_layers, name="kernel")
        self.bias = self.add_weight(shape=shape[1:], initializer="zeros", name="bias")

    def call(self, features):
        fused = keras.ops.matmul(features, self.kernel) + self.bias
        shared_loc, shared_log_variance, private = keras.ops.split(fused, [self.shared_dim, 2 * self.shared_dim], axis=-1)
        private_loc, private_log_variance = keras.ops.split(private, [self.private_dim], axis=-1)
        return shared_loc, self._floored(shared_log_variance), private_loc, self._floored(private_log_variance)

    def get_config(self):
        return {
            **super().get_config(),
            "shared_dim": self.shared_dim,
            "private_dim": self.private_dim,
            "stddev": self.stddev,
            "floor": self.floor,
            "seed": self.seed,
        }

    def _floored(self, log_variance):
        return log_variance if self.floor is None else self.floor + keras.ops.softplus(log_variance - self.floor)

    def _as_separate_layers(self, shape, dtype=None):
        initializers = layers.glorot(self.seed) if self.stddev is None else layers.normal(self.seed, self.stddev)
        parts = [next(initializers)((shape[0], width), dtype=dtype) for width in self.widths if width]
        return keras.ops.concatenate(parts, axis=-1)
