"""Splits, classifiers that read the answer from a value, and graphs switched off: what tests of evaluations share."""

import contextlib
from unittest import mock

import eager
import numpy as np
import tensorflow as tf

from mmtf import registry
from mmtf.data.dataset import MultimodalData, Split
from mmtf.modality import subsets
from mmtf.models import base as latent

# More than any test has.
CLASSES = 12


@contextlib.contextmanager
def eagerly(on=True):
    """Functions run as they are, or as graphs again: to trace one takes longer than the few numbers of a test.

    As in graphs, sets of modalities may be asked for of which some examples of a batch have none.
    """
    with eager.eagerly(on), mock.patch.object(latent, "_check_something_is_there", _unchecked):
        yield


def _unchecked(observed):
    pass


def split_of(values, mask=None, label=None, rows=None):
    """By default row n of all values is example n."""
    count = len(next(iter(values.values())))
    return Split(values, rows or dict.fromkeys(values, np.arange(count)), label, mask)


def data_of(modalities, train, test, class_names=(), name="toy"):
    return MultimodalData(name, tuple(modalities), train, test, class_names)


def with_holes(values, mask):
    """NaN or -1 in the gaps."""
    there = {n: (mask or {}).get(n, np.ones(len(x), bool)).reshape(-1, *[1] * (x.ndim - 1)) for n, x in values.items()}
    return {n: np.where(there[n], x, np.asarray(np.nan if x.dtype.kind == "f" else -1, x.dtype)) for n, x in values.items()}


def fresh_classifiers(data, config):
    """In place of `train_classifiers`, where nothing depends on how good they are: the data set's own, with fresh weights."""
    return {m.name: registry.classifier_of(data.name, m)(m, len(data.class_names), seed=1) for m in data.modalities}


class ByTranslation:
    """`from_subsets` of a stand-in for a model: a code of its own for each set, by `translate` and `reconstruct`."""

    def from_subsets(self, values, mask=None, seed=(0, 0)):
        sets, size = subsets(self.names), tf.shape(next(iter(values.values())))[:1]
        given = {s: {n: values[n] for n in s} for s in sets}
        means = [self.translate(given[s], to=self.names, mask=mask, seed=seed, mean=True) for s in sets]
        own, own_code = {}, {}
        for name in (n for n in self.names if self.modalities[n].private_dim):
            having = [s for s in sets if name in s]
            own[name] = tf.stack([self.reconstruct(given[s], mask, seed=seed, mean=True)[name] for s in having])
            own_code |= {(name, s): tf.fill(size, i) for i, s in enumerate(having)}
        code = {s: tf.fill(size, i) for i, s in enumerate(sets)}
        return latent.FromSubsets(code, {n: tf.stack([x[n] for x in means]) for n in self.names}, own, own_code)


class FirstNumber:
    """A stand-in for `metrics.classifier`: it reads the class from the first number of a value."""

    @staticmethod
    def predict_scores(classifier, values):
        return np.eye(CLASSES)[np.asarray(values).reshape(len(values), -1)[:, 0].round().astype(int)]

    @staticmethod
    def accuracy(classifier, values, labels):
        return float(np.mean(FirstNumber.predict_scores(classifier, values).argmax(-1) == labels))


class OwnScores:
    """Another, of attributes: values are their own scores."""

    @staticmethod
    def predict_scores(classifier, values):
        return np.asarray(values)

    @staticmethod
    def precisions(classifier, values, labels):
        return np.full(labels.shape[1], 0.9)
