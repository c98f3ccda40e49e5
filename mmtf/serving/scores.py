"""What a served model says of examples beside their codes: log-likelihoods, and vectors by which examples are found.

The estimators are those of `mmtf.evaluation.likelihood` and `mmtf.evaluation.retrieval`, here of examples each of which has
modalities of its own, as a graph whose number of samples is an input.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributed import random, replicas
from mmtf.distributions.divergence import kl
from mmtf.evaluation.likelihood import DECODED, sampled
from mmtf.models.encoders import Codes
from mmtf.models.inputs import Observed, observe

tfd = tfp.distributions

# log p(X) of an example, and (sum w)^2 / sum w^2 of the weights that it comes from.
LIKELIHOOD, SAMPLE_SIZE, CONDITIONAL = "log_likelihood", "effective_sample_size", "conditional_{}"


def log_likelihoods(model, values: Mapping, mask: Mapping | None, n: tf.Tensor | int, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    """log p(x_K) of each example's own set K of modalities, and of each modality given the others, by importance sampling.

    log p(x_j|x_{K without j}) = log p(x_K) - log p(x_{K without j}), each from n samples of its own posterior [S Table 11]; of
    K = {j} it is log p(x_j). Memory does not grow with n: `DECODED` codes are decoded at once.

    Returns:
      `log_likelihood`, `effective_sample_size`, and where several modalities are given `conditional_<name>`, 0 where the
      example lacks it; `[B]` each, in nats.
    """
    observed = observe(values, mask, model.modalities)
    codes = model.encode(observed.values, observed.present)
    names = tuple(observed.values)
    whole, effective = _estimated(_weights(model, observed, codes, seed, "whole"), observed, n)
    scores = {LIKELIHOOD: whole, SAMPLE_SIZE: effective}
    if len(names) == 1:
        return scores
    for name in names:
        others = observed.only([other for other in names if other != name])
        rest, _ = _estimated(_weights(model, others, codes, seed, f"without/{name}"), others, n)
        some = tf.reduce_max(tf.stack(list(others.present.values())), axis=0) > 0.0
        scores[CONDITIONAL.format(name)] = observed.masked(name, whole - tf.where(some, rest, 0.0))
    return scores


def embedding(posterior: tfd.Distribution) -> tf.Tensor:
    """Return mean and standard deviation of q(c|X_K) in one vector `[B, 2 * shared_dim]`."""
    return tf.concat([posterior.mean(), posterior.stddev()], axis=-1)


def compared(queries: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Return minus the Jeffreys divergence of all pairs of embeddings, `[Q, C]`: the score of retrieval in `metrics.json`."""
    of, to = (_gaussian(x, axis) for x, axis in ((queries, 1), (candidates, 0)))
    return -(kl(of, to) + kl(to, of))


Weigh = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def _weights(model, observed: Observed, codes: Codes, seed: tf.Tensor, stream: str) -> Weigh:
    """(number of a call, samples) -> log-weights `[K, B]` of log p(x_K), K what each example has of what is observed."""
    posterior = model.posterior_of(codes, observed.present, tuple(observed.values))

    def weigh(call: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
        of_call = tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int32), call)
        noise = random.Noise(of_call, replicas.batch_size(observed.values))
        drawn, _ = sampled(model, observed, codes, posterior, noise, samples, stream)
        return sum(observed.masked(n, x) for n, x in drawn.values.items()) - model.log_ratio(posterior, drawn.shared)

    return weigh


def _estimated(weigh: Weigh, observed: Observed, n: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """log of the mean of n weights, and their effective number, `[B]` each; a few samples are drawn at a time."""
    n, batch = tf.convert_to_tensor(n), tf.shape(next(iter(observed.present.values())))[0]
    at_once = tf.maximum(1, DECODED // tf.maximum(batch, 1))

    def draw(call, done, first, second):
        log_weights = weigh(call, tf.minimum(at_once, n - done))
        return (call + 1, done + tf.shape(log_weights)[0], *(_added(x, k * log_weights) for k, x in ((1, first), (2, second))))

    nothing = tf.fill([batch], -float("inf"))
    shapes = (tf.TensorShape([]), tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None]))
    start = (tf.constant(0), tf.constant(0), nothing, nothing)
    _, _, first, second = tf.while_loop(
        lambda call, done, *_: done < n, draw, start, shape_invariants=shapes, parallel_iterations=1
    )
    return first - tf.math.log(tf.cast(n, tf.float32)), tf.exp(2.0 * first - second)


def _added(total: tf.Tensor, log_weights: tf.Tensor) -> tf.Tensor:
    """log of a sum `[B]` and of further weights `[K, B]`."""
    return tf.reduce_logsumexp(tf.concat([total[None], log_weights], axis=0), axis=0)


def _gaussian(embeddings: tf.Tensor, axis: int) -> tfd.MultivariateNormalDiag:
    mean, stddev = tf.split(tf.expand_dims(embeddings, axis), 2, axis=-1)
    return tfd.MultivariateNormalDiag(mean, stddev)
