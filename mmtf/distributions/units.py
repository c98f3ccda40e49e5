"""Between a modality's own unit and the unit of its networks, in which values have mean 0 and variance 1.

Values stay in their own unit at every door, so that a served model takes and gives what its user has. Encoders see
`to_network(x)`; what decoders answer is put back by the likelihood.
"""

from __future__ import annotations

import tensorflow as tf

from mmtf.modality import Modality


def to_network(modality: Modality, values: tf.Tensor) -> tf.Tensor:
    """Return values `[B, *event_shape]` as the modality's encoder wants them; missing cells stay NaN, or -1.

    (x - location) / spread; of counts (log(1 + x) - location) / spread, since their sizes spread over decades.
    """
    if modality.likelihood == "negative_binomial":
        values = tf.math.log1p(values)
    if not modality.spread:
        return values
    return (values - tf.constant(modality.location)) / tf.constant(modality.spread)


def from_network(modality: Modality, location: tf.Tensor) -> tf.Tensor:
    """A decoder's location `[B, *event_shape]`, or its logarithm of a mean count, in the modality's own unit."""
    return tf.constant(modality.location) + tf.constant(modality.spread) * location if modality.spread else location


def own_scale(modality: Modality) -> tf.Tensor | float:
    """Return the likelihood's scale in the modality's own unit, one number or one per place of the last axis."""
    return tf.constant(modality.spread) * modality.scale if modality.spread else modality.scale


def present_cells(modality: Modality, values: tf.Tensor) -> tf.Tensor:
    """Return which cells of the values are there: booleans of the values' shape. Missing is NaN, or the class -1."""
    return values >= 0 if modality.likelihood == "categorical" else ~tf.math.is_nan(values)
