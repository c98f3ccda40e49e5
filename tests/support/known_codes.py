"""A model whose codes are its values, which pictures of codes can be read back from."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.data.dataset import Split
from mmtf.modality import Modality
from mmtf.models.encoders import Codes

tfd = tfp.distributions
SPREAD = np.array([0.1, 2.0, 0.0, 1.0])  # of the shared code's dimensions


class Known:
    """A model whose codes are its values: of `a` two private numbers, of both the same four shared ones."""

    names = ("a", "b")
    prior = tfd.MultivariateNormalDiag(tf.zeros(4), 2.0 * tf.ones(4))

    def __init__(self):
        self.modalities = {"a": Modality("a", (6,), "normal", private_dim=2), "b": Modality("b", (6,), "normal")}
        self.asked = {}

    def encode(self, values):
        def of(x):
            return tfd.MultivariateNormalDiag(tf.constant(x, tf.float32))

        return Codes({n: of(x[:, :4]) for n, x in values.items()}, {"a": of(values["a"][:, 4:])})

    def posterior(self, values, subset=None):
        # Of a set, its first modality's; of b, mirrored, so that the panels differ.
        first = (subset or self.names)[0]
        return tfd.MultivariateNormalDiag(tf.constant(values[first][:, :4] * (-1.0 if first == "b" else 1.0), tf.float32))

    def sample_private_prior(self, n, seed):
        return {"a": tf.reshape(tf.range(100.0, 100.0 + 2 * n), [n, 2])}

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        """Each sample says from which value it was made, and in which place of the batch."""
        (value,) = values.values()
        places = tf.range(len(value), dtype=tf.float32)[:, None]
        return {name: tf.concat([value[:, :5], places], axis=1) for name in to}

    def decode(self, shared, private=None, to=None):
        (name,) = to
        self.asked[name] = (np.asarray(shared), None if private is None else np.asarray(private[name]))
        code = np.concatenate([x for x in (*self.asked[name], np.zeros((len(shared), 2))) if x is not None], axis=1)[:, :6]
        return {name: tfd.Independent(tfd.Normal(tf.constant(code, tf.float32), 1.0), 1)}


def split(n=40, label=None):
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(n, 6)) * [*SPREAD, 0.5, 1.5] + 10.0).astype(np.float32)
    return Split({"a": values, "b": values}, {"a": np.arange(n), "b": np.arange(n)}, label)


SHOW = {name: lambda x: [" ".join(f"{v:.3f}" for v in row) for row in np.asarray(x)] for name in "ab"}


def read(shown):
    """The numbers of what `SHOW` has made of values."""
    return np.array([[float(v) for v in text.split()] for text in shown])
