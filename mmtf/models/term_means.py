"""Running means of an objective's terms, and the step at which one stopped being a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

NEVER = -1.0


class TermMeans(keras.metrics.Metric):
    """Means of named per-example terms over all examples of all replicas, in one vector (one update, not one per term).

    A term is averaged over the examples that have the modalities that it is about. Beside the means, the metric keeps the step
    at which each term first was infinite or NaN.
    """

    def __init__(self, about: Mapping[str, Sequence[str]], name: str = "terms"):
        """Args: about: by each term's name the modalities without which an example has no such term; often none."""
        super().__init__(name=name)
        self.about = dict(about)
        shape = (len(self.about),)
        self.totals = self.add_variable(shape, "zeros", name="totals")
        self.counts = self.add_variable(shape, "zeros", name="counts")
        # Every replica writes the same value here, so the first replica's is everyone's.
        self.first_bad = self.add_variable(
            shape, keras.initializers.Constant(NEVER), name="first_bad", aggregation="only_first_replica"
        )

    def update_state(self, terms: Mapping[str, tf.Tensor], mask: Mapping[str, tf.Tensor] | None, step: tf.Tensor):
        """Args:
        terms: `[B]` each, "loss" among them; the mean of one that is not there stays as it is.
        mask: `[B]` booleans per modality; None, or a modality left out, means that nothing is missing. step: of the optimizer,
          for the report.
        """
        nothing = tf.zeros_like(terms["loss"])
        values = tf.stack([terms.get(name, nothing) for name in self.about])
        here = tf.stack(
            [self._weight(names, mask, nothing) if name in terms else nothing for name, names in self.about.items()]
        )
        self.totals.assign_add(tf.reduce_sum(values, axis=1))
        self.counts.assign_add(tf.reduce_sum(here, axis=1))
        # The total is no number as soon as one example's term is none, or when finite terms overflow their sum.
        bad = _any_replica(~tf.math.is_finite(tf.convert_to_tensor(self.totals)))
        is_first = bad & (self.first_bad < 0.0)
        self.first_bad.assign(tf.where(is_first, tf.cast(step, tf.float32), self.first_bad))

    def result(self) -> dict[str, tf.Tensor]:
        means = tf.math.divide_no_nan(tf.convert_to_tensor(self.totals), tf.convert_to_tensor(self.counts))
        return dict(zip(self.about, tf.unstack(means), strict=True))

    def reset_state(self):
        self.totals.assign(tf.zeros_like(self.totals))
        self.counts.assign(tf.zeros_like(self.counts))

    def not_finite(self) -> dict[str, int]:
        """Return the terms that were infinite or NaN at some step, and that step."""
        steps = tf.convert_to_tensor(self.first_bad).numpy()
        return {name: int(step) for name, step in zip(self.about, steps, strict=True) if step >= 0}

    @staticmethod
    def _weight(modalities: Sequence[str], mask, like: tf.Tensor) -> tf.Tensor:
        weight = tf.ones_like(like)
        # A modality without a mask is there everywhere, as `observe` has it.
        for name in (n for n in modalities if n in (mask or ())):
            weight *= tf.cast(mask[name], like.dtype)
        return weight


def _any_replica(flags: tf.Tensor) -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return flags
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(flags, tf.float32)) > 0.0
