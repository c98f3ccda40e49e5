"""Log-likelihoods of test examples by importance sampling from the model's own posteriors ([S] Table 11).

Of each set K of modalities K samples are drawn from q(c|X_K) prod_j q(s_j|x_j) and weighed by p(c) prod_j p(s_j) over it, the
density of a mixture being the mixture's. Likelihoods are those of the model, without the weights of its objective.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from mmtf import progress
from mmtf.config import EvaluateConfig
from mmtf.data import pipeline
from mmtf.data.dataset import Split
from mmtf.distributed import random, replicas
from mmtf.distributions import likelihood as densities
from mmtf.distributions.family import family_of, log_density, parameters
from mmtf.evaluation.batches import filled_up, mean_of_examples, rounded
from mmtf.metrics import likelihood
from mmtf.metrics.specs import ARROW
from mmtf.modality import Modality, subset_key, subsets
from mmtf.models.encoders import Codes
from mmtf.models.fusion import mixture_log_density
from mmtf.models.inputs import Observed, observe
from mmtf.models.vae import importance_sampling

tfd = tfp.distributions

Subset = tuple[str, ...]

# Codes that are decoded at once, which bounds the memory.
DECODED = 1500
WORTH_A_GRAPH = 4  # batches
SHOWN_AFTER = 10.0  # seconds of work before there is a progress bar
# How many samples the curve over K shows.
CURVE = (1, 12, 100, 1000, 10_000)


def log_likelihoods(model, test: Split, config: EvaluateConfig) -> dict[str, dict]:
    """Return what `docs/metrics.md` says of `likelihood`, `likelihood_many` and `likelihood_published`.

    Nothing without a density.
    """
    if not model.has_likelihood():
        return {}
    few = log_weights(model, test, config.likelihood_samples, config.evaluation_seed, published=True)
    summaries = {"likelihood": _summary(few, test, model.names), "likelihood_published": _published(few, test, model.names)}
    many = test.first(config.likelihood_examples_many) if config.likelihood_examples_many else None
    if many is not None:
        # Another seed, so that the two say something about one another.
        more = log_weights(model, many, config.likelihood_samples_many, config.evaluation_seed + 1)
        summaries["likelihood_many"] = _summary(more, many, model.names) | {"by_samples": _curve(more, many, model.names)}
    return {name: part for name, part in summaries.items() if part}


@dataclasses.dataclass(frozen=True)
class LogWeights:
    """Log-weights `[K, N]` by the set whose posterior the samples are of; meaningless where an example lacks a modality of it.

    Attributes:
      marginal: of log p(x_K), the set's own likelihood. joint: of log p(X) of all modalities.
      published: of log p(X) as the releases of [S] weigh a sample: by the density of the mixture's component that it is of, and
        texts by log-probabilities taken as probabilities; private codes of modalities outside the set are drawn from the prior.
        Empty where it was not asked for.
    """

    marginal: Mapping[Subset, np.ndarray]
    joint: Mapping[Subset, np.ndarray]
    published: Mapping[Subset, np.ndarray]


def log_weights(
    model, test: Split, samples: int, seed: int, sets: Sequence[Subset] | None = None, *, published: bool = False
) -> LogWeights:
    """Return log-weights of all test examples, in bounded memory: a few codes are decoded at a time.

    Args:
      test: of all the model's modalities, or of some.
      samples: K; rounded up where they are more than are decoded at once, or no multiple of a mixture's components.
      sets: whose posteriors are sampled; by default all sets of the modalities of `test`.
      published: whether `LogWeights.published` is wanted, for which private codes are decoded once more.
    """
    sets = sets or subsets(tuple(test.pools))
    calls = -(-samples // DECODED)
    each, at_once = -(-samples // calls), max(1, DECODED // samples)

    def drawn(values, mask, seed):
        return _drawn(model, observe(values, mask, model.modalities), seed, each, sets, published)

    parts, batches = [], -(-len(test) // at_once)
    # To trace a graph takes longer than to compute a few batches without one.
    drawn = drawn if batches * calls < WORTH_A_GRAPH else tf.function(drawn, reduce_retracing=True)
    with progress.bar(batches * calls, f"likelihoods, {samples} samples", "batch", delay=SHOWN_AFTER) as bar:
        for number, batch in enumerate(pipeline.in_order(filled_up(test, at_once), at_once)):
            arguments = {n: tf.constant(x) for n, x in batch["values"].items()}, batch.get("mask")
            collected = []
            for call in range(calls):
                collected.append(drawn(*arguments, tf.constant([seed, number * calls + call])))
                bar.update(1)
            parts.append(tf.nest.map_structure(lambda *x: np.concatenate(x), *collected) if calls > 1 else collected[0])
    return LogWeights(**tf.nest.map_structure(lambda *x: np.concatenate(x, axis=1)[:, : len(test)], *parts))


class _Sampled(NamedTuple):
    """Samples of one distribution of c, with private codes beside them, and what they say of every modality.

    Attributes:
      shared: c, `[K, B, D]`.
      values: per modality log p(x_j|s_j,c) + log p(s_j) - log q(s_j|x_j), `[K, B]`.
      published: the same, texts weighed as in the releases; empty where it was not asked for.
      unseen: `published` where s_j ~ p(s_j) of modalities that the sample's set may lack, which their ratio then leaves out.
    """

    shared: tf.Tensor
    values: dict[str, tf.Tensor]
    published: dict[str, tf.Tensor]
    unseen: dict[str, tf.Tensor]


Weights = dict[str, dict[Subset, tf.Tensor]]


def _drawn(model, observed: Observed, seed: tf.Tensor, samples: int, sets: Sequence[Subset], published: bool) -> Weights:
    """As `LogWeights`, of one batch."""
    codes, noise = model.encode(observed.values, observed.present), random.Noise(seed, replicas.batch_size(observed.values))
    by = _by_experts if model.has_mixture_posterior else _by_posteriors
    weights = {"marginal": {}, "joint": {}, "published": {}}
    for subset, shared_ratios, drawn in by(model, observed, codes, noise, samples, sets, published):
        ratio, published_ratio = shared_ratios
        weights["marginal"][subset] = sum(drawn.values[n] for n in subset) - ratio
        weights["joint"][subset] = sum(drawn.values.values()) - ratio
        if published:
            seen = [drawn.published[n] if n in subset else drawn.unseen[n] for n in drawn.published]
            weights["published"][subset] = sum(seen) - published_ratio
    return weights


def _by_posteriors(
    model, observed: Observed, codes: Codes, noise, samples: int, sets: Sequence[Subset], as_published: bool
) -> Iterator[tuple]:
    """Samples of each set's own posterior, with log q(c|X_K) - log p(c) and the same of the component that they are of."""
    for subset in sets:
        posterior = model.posterior_of(codes, observed.present, subset)
        lacks = set(observed.values).difference(subset) if as_published else None
        stream = subset_key(subset, model.names)
        drawn, component = sampled(model, observed, codes, posterior, noise, samples, stream, lacks=lacks)
        ratio = published = model.log_ratio(posterior, drawn.shared)
        if component is not None and as_published:
            published = model.log_ratio(_component(posterior, component), drawn.shared)
        yield subset, (ratio, published), drawn


def _by_experts(
    model, observed: Observed, codes: Codes, noise, samples: int, sets: Sequence[Subset], as_published: bool
) -> Iterator[tuple]:
    """The same of mixtures of experts: samples of an expert, and their decodings, serve every set that it is in."""
    # Equal shares of a set's samples, as of a stratified sample of the mixture.
    share = {subset: -(-samples // len(subset)) for subset in sets}
    experts = {}
    for name, expert in codes.shared.items():
        of = [subset for subset in sets if name in subset]
        if of:
            lacks = {m for subset in of for m in observed.values if m not in subset} if as_published else None
            most = max(share[subset] for subset in of)
            experts[name], _ = sampled(model, observed, codes, expert, noise, samples, name, lacks=lacks, decoded=most)
    for subset in sets:
        parts = [tf.nest.map_structure(lambda x, each=share[subset]: x[:each], experts[n]) for n in subset]
        drawn = tf.nest.map_structure(lambda *x: tf.concat(x, axis=0), *parts)
        density = mixture_log_density({n: codes.shared[n] for n in subset}, observed.present, drawn.shared)
        published = 0.0
        if as_published:
            ratios = [model.log_ratio(codes.shared[n], part.shared) for n, part in zip(subset, parts, strict=True)]
            published = tf.concat(ratios, axis=0)
        yield subset, (density - log_density(model.prior, drawn.shared), published), drawn


def sampled(
    model,
    observed: Observed,
    codes: Codes,
    q: tfd.Distribution,
    noise,
    samples: int,
    stream: str,
    *,
    lacks: Collection[str] | None = None,
    decoded: int | None = None,
) -> tuple[_Sampled, tf.Tensor | None]:
    """Return samples of q; and of a mixture which component each is of, `[K, B]`.

    Args:
      lacks: modalities of which `unseen` is to have private codes of its own; of others it is `published`. None where nothing
        is wanted as it is published.
      decoded: how many of the samples are wanted, the first ones; by default all.
    """

    def draw(q, part):
        return importance_sampling.of_posterior(model, q, noise, [samples], f"{stream}/{part}")

    shared, component = draw(q, "shared")
    shared = shared[:decoded]
    values, published, unseen = {}, {}, {}
    for name, value in observed.values.items():
        modality, private, ratio = model.modalities[name], None, 0.0
        if name in codes.private:
            private = draw(codes.private[name], f"private/{name}")[0][:decoded]
            ratio = model.log_ratio(codes.private[name], private)
        answer = model.coders.decode(name, shared, private)
        values[name] = _log_density(modality, answer, value) - ratio
        if lacks is None:
            continue
        quirky = _as_published(modality)
        published[name] = values[name] if quirky is modality else _log_density(quirky, answer, value) - ratio
        unseen[name] = published[name]
        if private is not None and name in lacks:
            loc, scale = parameters(codes.private[name])
            prior = family_of(codes.private[name]).make(tf.zeros_like(loc), tf.ones_like(scale))
            own = draw(prior, f"unseen/{name}")[0][:decoded]
            unseen[name] = _log_density(quirky, model.coders.decode(name, shared, own), value)
    return _Sampled(shared, values, published, unseen), component


def _summary(weights: LogWeights, test: Split, names: Sequence[str]) -> dict[str, dict]:
    """Return estimates by what they are of: `marginal` and `joint` by set, `conditional` by `Y<-K`; of whole examples alone."""
    everything = test.has(names)
    marginal = {k: lw[:, test.has(k)] for k, lw in weights.marginal.items() if test.has(k).any()}
    joint = {k: lw[:, everything] for k, lw in weights.joint.items()} if everything.any() else {}
    whole = test.at(everything)
    summary = {
        "marginal": {subset_key(k, names): _estimate(lw, test.at(test.has(k))) for k, lw in marginal.items()},
        "joint": {subset_key(k, names): _estimate(lw, whole) for k, lw in joint.items()},
        "conditional": {},
    }
    for given in marginal:
        for name in (n for n in names if n not in given):
            both = tuple(n for n in names if n in (*given, name))
            if both in marginal:
                has_both = test.has(both)
                pair = weights.marginal[both][:, has_both], weights.marginal[given][:, has_both]
                summary["conditional"][f"{name}{ARROW}{subset_key(given, names)}"] = _difference(*pair, test.at(has_both))
    return {kind: part for kind, part in summary.items() if part}


def _estimate(log_weights: np.ndarray, test: Split) -> dict[str, float]:
    """Of log-weights `[K, N]`: mean over the examples, its errors, and how far the samples can be trusted."""
    values, variances = likelihood.log_mean_exp(log_weights), likelihood.sampling_variance(log_weights)
    return _of_examples(values, variances, len(log_weights), test) | _health(log_weights)


def _difference(of: np.ndarray, given: np.ndarray, test: Split) -> dict[str, float]:
    """log p(x_j|x_K) = log p(x_K, x_j) - log p(x_K).

    Its sampling error takes the two for independent; of a mixture of experts they share samples, and it is less.
    """
    values = likelihood.log_mean_exp(of) - likelihood.log_mean_exp(given)
    return _of_examples(values, likelihood.sampling_variance(of) + likelihood.sampling_variance(given), len(of), test)


def _of_examples(values: np.ndarray, variances: np.ndarray, samples: int, test: Split) -> dict[str, float]:
    count = len(values)
    sampling = {"sampling_error": rounded(math.sqrt(variances.sum()) / count), "samples": samples, "examples": count}
    return mean_of_examples(values, test) | sampling


def _health(log_weights: np.ndarray) -> dict[str, float]:
    """Return effective sample size, and Pareto k-hat where there are samples enough for one."""
    health = {"effective_sample_size": rounded(np.median(likelihood.effective_sample_size(log_weights)))}
    k = likelihood.pareto_k(log_weights)
    k = k[~np.isnan(k)]
    if not k.size:
        return health
    return health | {"pareto_k": rounded(np.median(k)), "pareto_k_too_high": rounded(np.mean(k > likelihood.PARETO_LIMIT))}


def _curve(weights: LogWeights, test: Split, names: Sequence[str]) -> dict[str, float]:
    """Return mean estimate of log p(X) by its number of samples: it rises to what is sought."""
    everything = test.has(names)
    if not everything.any():
        return {}
    log_weights = weights.joint[tuple(names)][:, everything]
    return {str(k): rounded(_mean_of_groups(log_weights, k)) for k in CURVE if k <= len(log_weights)}


def _mean_of_groups(log_weights: np.ndarray, samples: int) -> float:
    """Return mean over the examples and over as many groups of so many samples as there are.

    Each group takes samples from all over: those of a mixture are in the order of its components.
    """
    spread = np.arange(samples) * len(log_weights) // samples
    groups = [log_weights[spread + first] for first in range(len(log_weights) // samples)]
    return float(np.mean([likelihood.log_mean_exp(group).mean() for group in groups]))


def _published(weights: LogWeights, test: Split, names: Sequence[str]) -> dict[str, dict]:
    """Return the means that the releases of [S] print, whose samples are of other examples than they say.

    They tile a batch sample by sample and read it example by example, so that each mean of weights is over single samples of K
    neighbouring examples.
    """
    everything = test.has(names)
    if not everything.any():
        return {}
    return {
        "joint": {subset_key(k, names): {"value": rounded(_mixed_up(lw[:, everything]))} for k, lw in weights.published.items()}
    }


def _mixed_up(log_weights: np.ndarray) -> float:
    count, examples = log_weights.shape
    return float(likelihood.log_mean_exp(log_weights.reshape(examples, count), axis=1).mean())


def _log_density(modality, answer: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    return densities.log_density(modality, densities.likelihood(modality, answer), value)


def _as_published(modality: Modality) -> Modality:
    """Return the modality, texts weighed as in the releases of [S]."""
    text = modality.likelihood == "categorical" and not modality.log_softmax_as_probabilities
    return dataclasses.replace(modality, log_softmax_as_probabilities=True) if text else modality


def _component(posterior, component: tf.Tensor):
    """The expert that each sample `[K, B, D]` is of, from its index `[K, B]`."""
    parts = posterior.components_distribution
    chosen = tf.one_hot(component, parts.batch_shape[-1])[..., None]
    return family_of(parts).make(*(tf.reduce_sum(chosen * x, axis=-2) for x in parameters(parts)))
