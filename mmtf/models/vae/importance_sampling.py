"""K samples of the codes, and the parts of a lower bound that each of them gives: what importance weights are made of.

`noise` gives every stream of draws by its name; samples come first in every shape, `[K, B, ...]`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributed.random import LARGEST_STRATUM
from mmtf.distributions.family import reparameterize
from mmtf.distributions.likelihood import log_density
from mmtf.distributions.mixture import component_at, sample_components
from mmtf.models.encoders import Codes
from mmtf.models.inputs import Observed
from mmtf.models.vae.bounds import Gradient
from mmtf.models.vae.elbo import Elbo

tfd = tfp.distributions

GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class ExpertSamples(NamedTuple):
    """K samples from each of M experts, and what all decoders say to them.

    Attributes:
      shared: c_rk ~ q(c|x_r), `[K, M, B, D]`. private: s_j beside each of them, per modality `[K, M, B, D_j]`.
      answers: per modality the decoder's, `[K, M, B, ...]`.
    """

    shared: tf.Tensor
    private: dict[str, tf.Tensor]
    answers: dict[str, tf.Tensor]


def sample_experts(model, codes: Codes, noise, samples: int, gradient: Gradient | None = None) -> ExpertSamples:
    """Draws of a model's experts and of its private codes' posteriors."""
    gradient = gradient or Gradient("iwae")
    shared = gradient.samples(samples_of_each(model, codes.shared, "shared", noise, samples))
    private = {
        n: gradient.samples(samples_beside(model, codes, q, f"private/{n}", noise, samples)) for n, q in codes.private.items()
    }
    return ExpertSamples(shared, private, answers(model, codes, shared, private))


def log_likelihoods(model, observed: Observed, drawn: ExpertSamples) -> dict[str, tf.Tensor]:
    """log p(x_j|s_j,c) of every sample, `[K, M, B]` per modality, 0 where it is missing."""
    log_px = {}
    for name, value in observed.values.items():
        p = model.decoded(model.modalities[name], drawn.answers[name])
        log_px[name] = observed.masked(name, log_density(model.modalities[name], p, value))
    return log_px


def samples_of_each(model, experts: Mapping[str, tfd.Distribution], stream: str, noise, samples: int) -> tf.Tensor:
    """K samples of each expert under noise of its own, `[K, M, B, D]`."""
    drawn = [
        reparameterize(q, _standard(model, noise, f"{stream}/{name}", q.event_shape[0], [samples]))
        for name, q in experts.items()
    ]
    return tf.stack(drawn, axis=1)


def samples_beside(model, codes: Codes, q: tfd.Distribution, stream: str, noise, samples: int) -> tf.Tensor:
    """Return samples of one distribution beside each sample of each expert, `[K, M, B, D]`."""
    return samples_of_each(model, dict.fromkeys(codes.shared, q), stream, noise, samples)


def answers(model, codes: Codes, shared: tf.Tensor, private: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return what the decoders of the modalities given answer to codes `[K, M, B, D]`."""
    return {n: model.coders.decode(n, shared, private.get(n)) for n in codes.shared}


def sampled_elbo(
    model, observed: Observed, codes: Codes, posterior: tfd.Distribution, noise, samples: int, stream: str
) -> Elbo:
    """Return the parts, `[K, B]`, of K samples of any posterior q(c|X) and of the private codes beside it.

    The posterior may have a batch of several axes; the last one is that of the noise.
    """
    before = [samples, *posterior.batch_shape[:-1]]
    shared, _ = of_posterior(model, posterior, noise, before, stream)
    own = {n: q for n, q in codes.private.items() if n in observed.values}
    private = {n: of_posterior(model, q, noise, before, f"{stream}/private/{n}")[0] for n, q in own.items()}
    ratios = {n: observed.masked(n, model.log_ratio(q, private[n])) for n, q in own.items()}
    return Elbo(model.log_likelihood(observed, shared, private), model.log_ratio(posterior, shared), ratios)


def of_posterior(
    model, posterior: tfd.Distribution, noise, before: Sequence[int], stream: str
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Return samples `[*before, B, D]`; and of a mixture the component that each is of, `[*before, B]`.

    Components are served by strata within an example's samples, in ascending order.
    """
    standard = _standard(model, noise, stream, posterior.event_shape[0], before)
    if not isinstance(posterior, tfd.MixtureSameFamily):
        return reparameterize(posterior, standard), None
    strata = tf.convert_to_tensor(noise.strata(f"{stream}/component"))
    for size in reversed(before[1:]):
        # Places of a batch axis get strata of their own, apart by the golden ratio: no two of them agree.
        strata = tf.math.floormod(strata + GOLDEN * _column(size, strata), 1.0)
    strata = (strata + _column(before[0], strata)) / tf.cast(before[0], tf.float32)
    weights = posterior.mixture_distribution.probs_parameter()
    strata = tf.minimum(strata, LARGEST_STRATUM)
    codes = sample_components(posterior.components_distribution, weights, strata, standard)
    return codes, component_at(tf.unstack(weights, axis=-1), strata)


def _standard(model, noise, stream: str, dim: int, before: Sequence[int]) -> tf.Tensor:
    """Draws `[*before, B, dim]` of location 0 and scale 1."""
    rows = model.coders.family.sample_standard(noise, stream, math.prod(before) * dim)
    rank = len(before)
    return tf.transpose(tf.reshape(rows, [-1, *before, dim]), [*range(1, rank + 1), 0, rank + 1])


def _column(size: int, like: tf.Tensor) -> tf.Tensor:
    """0, 1, ..., size - 1 on a new first axis."""
    return tf.reshape(tf.range(size, dtype=tf.float32), [size] + [1] * like.shape.rank)
