"""What discriminators see: values beside codes, encoded or generated, and the same torn apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf


class Tuples(NamedTuple):
    """A batch of (x_j, s_j, c) for each modality.

    Attributes:
      x: relaxed values `[B, *relaxed_shape]` per modality.
      private: s_j `[B, private_dim]`.
      shared: c `[B, shared_dim]`; of real values one per modality, from its encoder, of generated ones the same for all.
    """

    x: Mapping[str, tf.Tensor]
    private: Mapping[str, tf.Tensor]
    shared: Mapping[str, tf.Tensor]

    def codes(self, name: str, of: str | None = None) -> tf.Tensor:
        """(s_j, c) `[B, private_dim + shared_dim]`, c from the encoder of another modality on request."""
        return tf.concat([self.private[name], self.shared[of or name]], axis=-1)


def block_size(modalities: int) -> int:
    """Rows among which `exchanged` exchanges: the least power of two, at least 4, in which each modality has its own shift."""
    size = 4
    while size < modalities:
        size *= 2
    return size


def exchanged(rows: tf.Tensor, shift: int, block: int) -> tf.Tensor:
    """Return the rows `[B, ...]`, each in the place of the one `shift` places before it, inside blocks of neighbours.

    Batches come in random order, so rows of different places are independent; shifted by different amounts, no two modalities
    of a row stay together, and each keeps its marginal. Within blocks, replicas whose share of the batch is a multiple of
    `block` make the same tuples as one device does. What is left over behind the last whole block joins it.
    """
    count = tf.shape(rows)[0]
    place = tf.range(count)
    last = tf.maximum(count // block - 1, 0)
    number = tf.minimum(place // block, last)
    size = tf.where(number < last, block, tf.maximum(count - last * block, 1))
    start = number * block
    return tf.gather(rows, start + (place - start + shift) % size)
