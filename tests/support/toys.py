"""A small multimodal VAE of three kinds of modalities, batches for it, and noise that a test chooses itself."""

import keras
import numpy as np
import tensorflow as tf

from mmtf import registry
from mmtf.distributed import random
from mmtf.modality import Modality
from mmtf.models.vae.base import MultimodalVAE

# Every VAE, by its name.
MODELS = {name: cls for name in registry.MODELS if issubclass(cls := registry.model_class(name), MultimodalVAE)}
SHARED = 3
# Without op determinism TensorFlow may add in another order each time: the same batch gives other last digits, now and then.
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}


def modalities(private=0, count=3):
    """A vector, a small image and a text, each with its own likelihood and weights. private: size of all, or of each."""
    sizes = private if isinstance(private, tuple) else (private,) * 3
    return (
        Modality("vector", (4,), "normal", 1.5, sizes[0], 2.0, scale=0.5),
        Modality("image", (2, 2, 1), "laplace", 1.0, sizes[1]),
        Modality("text", (3,), "categorical", 2.0, sizes[2], 0.5, num_classes=5),
    )[:count]


def encoder(modality, seed=1):
    layers = [keras.Input(modality.event_shape, dtype="int32" if modality.num_classes else "float32")]
    if modality.num_classes:
        layers.append(keras.layers.Embedding(modality.num_classes, 3))
    init = keras.initializers.GlorotUniform(seed)
    layers += [keras.layers.Flatten(), keras.layers.Dense(6, activation="tanh", kernel_initializer=init)]
    return keras.Sequential(layers, name=f"{modality.name}_encoder")


def decoder(modality, latent_dim, seed=2):
    init = keras.initializers.GlorotUniform(seed)
    size = int(np.prod(modality.parameter_shape))
    return keras.Sequential(
        [
            keras.Input((latent_dim,)),
            keras.layers.Dense(5, activation="tanh", kernel_initializer=init),
            keras.layers.Dense(size, kernel_initializer=init),
            keras.layers.Reshape(modality.parameter_shape),
        ],
        name=f"{modality.name}_decoder",
    )


def model(kind="mmjsd", private=2, count=3, seed=0, **options):
    """A small model; keras.utils.set_random_seed makes what the initialisers leave open reproducible."""
    keras.utils.set_random_seed(seed)
    parts = modalities(private, count)
    return MODELS[kind](
        parts,
        {m.name: encoder(m) for m in parts},
        {m.name: decoder(m, SHARED + m.private_dim) for m in parts},
        shared_dim=SHARED,
        seed=seed,
        **further(kind, encoder, parts),
        **weights(private) | options,
    )


def weights(private):
    """Weights of the divergences, none of which is 1."""
    return {"beta": 2.0, "shared_beta": 0.7} | ({"private_beta": 1.3} if private else {})


def contrastive(estimate="iwae", gamma=2.0, negatives=5, samples=30, trained="all"):
    """Options of a contrast."""
    names = ("contrast", "contrast_gamma", "contrast_negatives", "importance_samples", "contrast_trains")
    return dict(zip(names, (estimate, gamma, negatives, samples, trained), strict=True))


def further(kind, encoder, parts):
    """Networks that some models have besides."""
    return {"joint_encoders": {m.name: encoder(m) for m in parts}} if kind == "jmvae" else {}


def values(n=6, seed=0, count=3):
    rng = np.random.default_rng(seed)
    batch = {
        "vector": rng.normal(size=(n, 4)).astype(np.float32),
        "image": rng.uniform(size=(n, 2, 2, 1)).astype(np.float32),
        "text": rng.integers(0, 5, size=(n, 3)).astype(np.int32),
    }
    return dict(list(batch.items())[:count])


class FixedNoise:
    """Noise from NumPy: the same draws for the same stream, kept so that a reference can use them too."""

    def __init__(self, n, seed=0):
        self.n, self.seed, self.drawn = n, seed, {}

    def normal(self, stream, dim):
        return self._keep(stream, lambda rng: rng.normal(size=(self.n, dim)))

    def laplace(self, stream, dim):
        return self._keep(stream, lambda rng: rng.laplace(size=(self.n, dim)))

    def shifts(self, stream, count):
        return self._keep(stream, lambda rng: rng.permutation(self.n - 1)[:count] + 1).astype(np.int32)

    def strata(self, stream):
        return self._keep(stream, lambda rng: (rng.permutation(self.n) + rng.uniform(size=self.n)) / self.n)

    def at(self, rows):
        """What was drawn until now, for some rows of the batch."""
        found = FixedNoise(len(rows), self.seed)
        found.drawn = {stream: draws[rows] for stream, draws in self.drawn.items()}
        return found

    def _keep(self, stream, draw):
        if stream not in self.drawn:
            rng = np.random.default_rng([self.seed, *stream.encode()])
            self.drawn[stream] = draw(rng).astype(np.float32)
        return self.drawn[stream]


class TableNoise(random.Noise):
    """Noise that is the same for every step and way to compute: of each stream a table, of which a replica takes its rows."""

    def normal(self, stream, dim):
        return self._table(stream, lambda rng: rng.normal(size=(64, dim)))

    def strata(self, stream):
        return self._table(stream, lambda rng: rng.uniform(size=64))

    def _table(self, stream, draw):
        table = tf.constant(draw(np.random.default_rng(list(stream.encode()))), tf.float32)
        return self._own(table[: self._total] if self._has_all else table)
