"""What an engineer looks at when a model learns badly: weights, gradients, and which dimensions of the codes are used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mmtf import evaluation
from mmtf.data import pipeline
from mmtf.data.dataset import MultimodalData
from mmtf.distributed import random, replicas
from mmtf.metrics.latents import COLLAPSED_BELOW
from mmtf.metrics.specs import ARROW
from mmtf.modality import subset_key
from mmtf.report import dimensions, figures
from mmtf.runs import events

# A run of its own for TensorBoard, so that the run's scalars stay those of its objective.
FOLDER = events.HISTOGRAMS
EXAMPLES = 1000
SEED = 0


class Histograms(keras.callbacks.Callback):
    """Every so many epochs, below a run's logs:

    `weights/PART`: all weights of a network, such as `encoder.digit`.
    `gradient_norm/PART`: of the loss of one batch, the same each time but for its noise; of an adversarial model those of
      the generators.
    `mean/CODE`, `stddev/CODE`: of the posteriors of test examples, all dimensions; codes are `shared<-digit`, `private<-digit`.
    `kl/CODE`: of each dimension its mean KL to the prior, a number for each; as a picture `kl_by_dimension`.
    `used_dimensions/CODE`: how many have more than `COLLAPSED_BELOW`.
    """

    def __init__(self, logs: Path, data: MultimodalData, every: int, batch_size: int):
        super().__init__()
        self._every = every
        self._writer = tf.summary.create_file_writer(str(logs / FOLDER)) if every else None
        self._test, self._data, self._batch_size = data.test.first(EXAMPLES), data, batch_size
        self._norms = self._moments = None

    def on_epoch_end(self, epoch, logs=None):
        # Of the run, not of this session.
        if self._every and (epoch + 1) % self._every == 0:
            with self._writer.as_default(step=replicas.step_of(self.model.optimizer)):
                self._write_parts()
                self._write_codes()
            self._writer.flush()

    def _write_parts(self) -> None:
        for part, variables in parts(self.model).items():
            tf.summary.histogram(f"weights/{part}", np.concatenate([np.ravel(v.numpy()) for v in variables]))
        if self._norms is None:
            self._norms = GradientNorms(self.model, self._data, self._batch_size)
        for part, norm in self._norms().items():
            tf.summary.scalar(f"gradient_norm/{part}", norm)

    def _write_codes(self) -> None:
        kl = {}
        to_prior = evaluation.kl_to_prior(self.model)
        self._moments = self._moments or evaluation.moments_graph(self.model)
        for code, mean, stddev in _posteriors(self.model, self._test, self._moments):
            tf.summary.histogram(f"mean/{code}", mean)
            tf.summary.histogram(f"stddev/{code}", stddev)
            kl[code] = to_prior(mean, stddev).mean(axis=0)
            tf.summary.histogram(f"kl/{code}", kl[code])
            tf.summary.scalar(f"used_dimensions/{code}", int((kl[code] >= COLLAPSED_BELOW).sum()))
        if kl:
            picture = dimensions.kl_by_dimension(kl, COLLAPSED_BELOW)
            tf.summary.image("kl_by_dimension", figures.to_image(picture)[None])


def parts(model) -> dict[str, list[keras.Variable]]:
    """A model's weights by network, such as `encoder.digit`, in the order of `named_weights`."""
    by_network: dict[str, list[keras.Variable]] = {}
    for name, variable in model.named_weights().items():
        by_network.setdefault(re.sub(r"\.\d+\.[^.]*$", "", name), []).append(variable)
    return by_network


class GradientNorms:
    """Euclidean norms of the gradient of the mean loss of some training examples, by network."""

    def __init__(self, model, data: MultimodalData, batch_size: int):
        order = np.random.default_rng(SEED).permutation(len(data.train))[:batch_size]
        self._batch = next(pipeline.in_order(data.train.at(order), len(order)))
        learned = {id(v) for v in model.learned()["optimizer"]}
        chosen = {part: [v for v in variables if id(v) in learned] for part, variables in parts(model).items()}
        self._parts = {part: variables for part, variables in chosen.items() if variables}
        self._model = model
        self._found = tf.function(self._norms)

    def __call__(self) -> dict[str, float]:
        step = tf.cast(replicas.step_of(self._model.optimizer), tf.int32)
        return {part: float(norm) for part, norm in self._found(step).items()}

    def _norms(self, step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        values, mask = self._batch["values"], self._batch.get("mask")
        noise = random.Noise(tf.stack([self._model.seed, step]), len(next(iter(values.values()))))
        variables = [v for part in self._parts.values() for v in part]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self._model.terms(values, mask, noise, step)["loss"])
        gradients = iter(tape.gradient(loss, variables))
        shares = {part: [next(gradients) for _ in own] for part, own in self._parts.items()}
        return {part: tf.linalg.global_norm(share) for part, share in shares.items()}


def _posteriors(model, test, graph) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Codes of each modality, and the shared one of all, with means and standard deviations of examples that have them."""
    shared, private = evaluation.moments(model, test, graph)
    for kind, codes in (("shared", shared), ("private", private)):
        for subset, moments in codes.items():
            has_all = test.has(subset)
            if has_all.any() and (len(subset) == 1 or len(subset) == len(model.names)):
                yield (f"{kind}{ARROW}{subset_key(subset, model.names)}", *(x[has_all].astype(np.float64) for x in moments))
