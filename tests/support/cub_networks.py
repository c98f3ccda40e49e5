"""Networks that do for those which CUB is prepared with: the same with fewer units, and others that learn nothing."""

import keras
import numpy as np

from mmtf.data.preparation import captions, images
from mmtf.networks import classifiers


def shrink(monkeypatch):
    """The networks that are trained, with fewer units inside."""
    for name, size in (("EMBEDDING", 32), ("CONDITION", 32), ("UNITS", 64)):
        monkeypatch.setattr(captions, name, size)
    monkeypatch.setattr(images, "FILTERS", (8, 8, 16, 16))
    monkeypatch.setattr(images, "CLASS_SIZE", 32)


def stand_in(monkeypatch):
    """Nothing is trained; the autoencoders that were made, as they are made."""
    made = []

    def autoencoder(num_words, *, seed):
        made.append(Autoencoder(num_words, seed))
        return made[-1]

    monkeypatch.setattr(captions, "Autoencoder", autoencoder)
    monkeypatch.setattr(images, "class_network", class_network)
    monkeypatch.setattr(images, "train_classes", lambda network, *_, **how: setattr(network, "how", how))
    return made


class Autoencoder:
    """In place of `captions.Autoencoder`: a sentence's feature is which words it has, and what is said is nothing.

    Attributes:
      trained: how many sentences it was given, for how many epochs, under which seed.
    """

    def __init__(self, num_words, seed):
        self.num_words, self.seed, self.trained = num_words, seed, None

    def train(self, sentences, epochs, *, seed):
        self.trained = len(sentences), epochs, seed

    def features(self, sentences):
        found = np.zeros((len(sentences), captions.FEATURES), np.float32)
        for row, sentence in zip(found, sentences, strict=True):
            row[sentence] = 1
        return found

    def accuracy(self, sentences):
        return 0.5

    def decoder_weights(self):
        """Of a decoder with one number of condition and three units: zeros."""
        gates = {"kernel": (3, 12), "recurrent_kernel": (3, 12), "bias": (12,)}
        shapes = {"words/embeddings": (self.num_words, 2)} | {f"lstm/{name}": shape for name, shape in gates.items()}
        sizes = {"condition": (captions.FEATURES, 1), "hidden": (captions.FEATURES, 3), "memory": (captions.FEATURES, 3)}
        for name, (before, after) in (sizes | {"next": (3, self.num_words)}).items():
            shapes |= {f"{name}/kernel": (before, after), f"{name}/bias": (after,)}
        return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def class_network(num_classes, *, seed):
    """In place of `images.class_network`: features of the mean colour."""
    features = keras.layers.Dense(images.FEATURES, "relu", name=classifiers.FEATURES)
    size = images.CLASS_SIZE
    parts = [keras.Input((size, size, 3)), keras.layers.GlobalAveragePooling2D(), features]
    network = keras.Sequential([*parts, keras.layers.Dense(num_classes, name="logits")])
    rng = np.random.default_rng(seed)
    network.set_weights([rng.normal(size=w.shape) for w in network.get_weights()])
    return network
