"""Contrastive objectives: what belongs together is likelier than what does not [Shi, Paige, Torr, Siddharth 2021].

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from mmtf.distributed import replicas
from mmtf.distributions.family import LOWEST, log_share, stop_gradient
from mmtf.distributions.family import log_density as code_density
from mmtf.distributions.likelihood import log_density
from mmtf.models.encoders import Codes
from mmtf.models.fusion import mixture_log_density, mixture_weights
from mmtf.models.inputs import Observed
from mmtf.models.vae.bounds import chi_bound, importance_bound
from mmtf.models.vae.elbo import Elbo, Weights, weighted_elbo
from mmtf.models.vae.importance_sampling import ExpertSamples, log_likelihoods, sample_experts, sampled_elbo
from mmtf.models.vae.options import VAEOptions

RowGather = Callable[[tf.Tensor], tf.Tensor]

# How the likelihood of what does not belong together is estimated: the bound, and the power of the weights that it averages.
ESTIMATES = {"iwae": (importance_bound, 1), "cubo": (chi_bound, 2)}
# What the second term trains.
TRAINED = ("all", "decoders")

# Importance samples K as the papers compare with them.
SAMPLES = 30
# The second term is said to win where the likelihood has lost more than this share of what it had gained, and of itself.
SHARE_LOST, LEAST_LOST = 0.1, 0.02


class Exchange(NamedTuple):
    """Each example with the x_m of another one, N times.

    Attributes:
      modality: m. distances: how many rows further on the other examples are, `[N]`, cyclically.
    """

    modality: str
    distances: tf.Tensor

    def of_others(self, x: tf.Tensor) -> tf.Tensor:
        """For each example what the others have, whose x_m it gets: `[B, ...]` -> `[N, B, ...]`."""
        # Moved and not gathered: the gradient of a gathering adds rows up in no fixed order.
        return tf.stack([tf.roll(x, -d, axis=0) for d in tf.unstack(self.distances)])

    def of_takers(self, x: tf.Tensor) -> tf.Tensor:
        """For each example what those have that get its x_m: `[B, ...]` -> `[N, B, ...]`."""
        return tf.stack([tf.roll(x, d, axis=0) for d in tf.unstack(self.distances)])

    def of_each(self, x: tf.Tensor) -> tf.Tensor:
        """Return what each example has itself, N times: `[B, ...]` -> `[N, B, ...]`."""
        return tf.repeat(x[None], self.distances.shape[0], axis=0)

    def gathers(self, name: str) -> RowGather:
        """From all examples' values of a modality to those of the exchanged examples, `[N, B, ...]`."""
        return self.of_others if name == self.modality else self.of_each

    def gathers_seen_from(self, expert: str, name: str) -> RowGather:
        """Return the same, of the exchanged examples that have each example's value of the expert's modality."""
        if (expert == self.modality) == (name == self.modality):
            return self.of_each
        return self.of_takers if expert == self.modality else self.of_others

    def at_others(self, x: tf.Tensor) -> tf.Tensor:
        """For each exchanged example what stands at the other one, `[..., N, B]`."""
        places = zip(tf.unstack(x, axis=-2), tf.unstack(self.distances), strict=True)
        return tf.stack([tf.roll(part, -d, axis=-1) for part, d in places], axis=-2)


@dataclasses.dataclass(frozen=True)
class Contrast:
    """The loss of any VAE here, and what it thinks of examples whose modalities do not belong together:

        -gamma log p(X) + (1/M) sum_m log sum_n p(X with the x_m of another example n)

    The first term is gamma times the model's own loss. n goes over N other examples of the batch, the same for every m, at
    distances that each step draws anew. The second term is a bound of K samples of the model's own posterior of all
    modalities, with the weights of its own bound: IWAE (the variants cI- of [C] Table 2) or CUBO (cC-).

    Of an example that lacks modalities those are exchanged that it has, with examples that have them too, and only where it has
    at least two. With N = 0 there is no second term.

    Attributes:
      estimate: one of `ESTIMATES`. gamma: weight of the first term. negatives: N. samples: K, of each expert where the
        posterior is a mixture of experts and there are no private codes.
      trained: one of `TRAINED`. The published form trains all. But a lower bound is made small by a bad posterior too, and
        encoders that see to that have no end to reach; `decoders` takes the posteriors as they are.
    """

    estimate: str = "iwae"
    gamma: float = 2.0
    negatives: int = 5
    samples: int = 30
    trained: str = "all"

    def __post_init__(self):
        if self.estimate not in ESTIMATES:
            raise ValueError(f"contrast must be one of {', '.join(ESTIMATES)}, not {self.estimate!r}.")
        if self.trained not in TRAINED:
            raise ValueError(f"contrast_trains must be one of {', '.join(TRAINED)}, not {self.trained!r}.")
        if self.gamma <= 0.0 or self.negatives < 0 or self.samples < 1:
            raise ValueError(
                "contrast_gamma must be positive, contrast_negatives 0 or more and importance_samples 1 or more, not "
                f"{self.gamma}, {self.negatives} and {self.samples}."
            )

    def warning(self, log_likelihood: Sequence[float], contrast: Sequence[float]) -> str | None:
        """A sentence where the second term wins: examples get less likely, related ones and others alike.

        Nothing bounds the second term from below, and a model that generates noise makes everything unlikely.

        Args: log_likelihood, contrast: of the examples, and the second term, at the start and after each epoch.
        """
        best, now = max(log_likelihood), log_likelihood[-1]
        lost = best - now
        worse = lost > SHARE_LOST * (best - log_likelihood[0]) and lost > LEAST_LOST * abs(best)
        if not (worse and contrast[-1] < contrast[log_likelihood.index(best)]):
            return None
        return (
            f"The contrast is winning: the likelihood of the examples fell from {best:.1f} to {now:.1f} nats, that of others "
            "fell too, and a model that goes on so generates noise. Raise --contrast_gamma, or lower --contrast_negatives "
            "or --learning_rate."
        )

    def term(
        self,
        model,
        observed: Observed,
        codes: Codes,
        noise,
        weights: Callable[[Observed], Weights],
        drawn: ExpertSamples | None,
    ) -> tf.Tensor:
        """Return the second term, `[B]`; 0 for an example of which nothing can be exchanged.

        Args:
          weights: of the bound's parts, for what is observed.
          drawn: the model's own K samples of its experts, if it has drawn them.

        Raises:
          ValueError: there are not N other examples in the batch.
        """
        names, size = tuple(observed.values), replicas.batch_size(observed.values)
        if not self.negatives or len(names) < 2:
            return tf.zeros([size])
        if isinstance(size, int) and self.negatives >= size:
            raise ValueError(
                f"contrast_negatives={self.negatives} asks for as many other examples, and a batch (or its part on one device, "
                f"or of one microbatch) has {size}: lower the one or raise the other."
            )
        if self.trained == "decoders":
            # Samples that the model drew itself bring gradients to the encoders.
            codes, drawn = _constant(codes), None
        if model.has_mixture_posterior and not codes.private:
            same = drawn is not None and drawn.shared.shape[0] == self.samples
            drawn = drawn if same else sample_experts(model, codes, noise, self.samples)
            own = log_likelihoods(model, observed, drawn)
            log_px = functools.partial(self._from_experts, model, observed, codes, weights, drawn, own)
        else:
            log_px = functools.partial(self._from_posterior, model, observed, codes, noise, weights)
        distances = noise.shifts("contrast/shifts", self.negatives)
        exchanges = [Exchange(name, distances) for name in names]
        if len(names) == 2:
            # An example with another's y is, to the other, an example with another's x: one estimate serves both.
            exchanges[0] = Exchange(names[0], -distances)
            last = log_px(exchanges[1])
            estimates = [exchanges[0].at_others(last), last]
        else:
            estimates = [log_px(exchange) for exchange in exchanges]
        sums = [_log_sum(x, _can_be_exchanged(observed, e)) for x, e in zip(estimates, exchanges, strict=True)]
        terms, counts = (tf.stack(x) for x in zip(*sums, strict=True))
        return tf.math.divide_no_nan(tf.reduce_sum(terms, axis=0), tf.reduce_sum(counts, axis=0))

    # ---- inside: log p of exchanged examples, `[N, B]` ---------------------------------------------------------------

    def _from_posterior(self, model, observed, codes, noise, weights, exchange: Exchange) -> tf.Tensor:
        """By samples of the exchanged examples' own posteriors, all of which are decoded; the encoders are not asked again."""
        gathers = {name: exchange.gathers(name) for name in observed.values}
        observed, codes = observed.gathered(gathers), model.gather_codes(codes, gathers)
        if self.trained == "decoders":
            # A joint encoder has answered just now.
            codes = _constant(codes)
        posterior = model.posterior_of(codes, observed.present, tuple(gathers))
        parts = sampled_elbo(model, observed, codes, posterior, noise, self.samples, f"contrast/{exchange.modality}")
        bound, _ = ESTIMATES[self.estimate]
        return bound(weighted_elbo(parts, model.modalities, weights(observed)))

    def _from_experts(self, model, observed, codes, weights, drawn: ExpertSamples, own, exchange: Exchange) -> tf.Tensor:
        """By the samples of the experts, each of which is the expert of an exchanged example too: only densities are new.

        What is exchanged is one example's x_m for another's. A sample of its expert r is the first one's, or where r is m the
        other one's; so is what the decoders said to it.

        Args: own: the densities of every example's own values, `log_likelihoods`.
        """
        names, log_weights = tuple(observed.values), []
        for r, expert in enumerate(names):
            gathers = {name: exchange.gathers_seen_from(expert, name) for name in names}
            seen, experts = observed.gathered(gathers), model.gather_codes(codes, gathers).shared
            # Everything is repeated to one shape, [K, N, B]: TensorFlow's optimizer of graphs rearranges sums inside of loops
            # as if terms that are broadcast had the shape of the others.
            shared, log_px = _n_times(drawn.shared[:, r], exchange), {}
            for name, value in seen.values.items():
                if gathers[name] == exchange.of_each:
                    log_px[name] = _n_times(own[name][:, r], exchange)
                    continue
                # One decoding `[K, B]`, and N values to weigh under it.
                p = model.decoded(model.modalities[name], drawn.answers[name][:, r, None])
                log_px[name] = seen.masked(name, log_density(model.modalities[name], p, value))
            ratio = mixture_log_density(experts, seen.present, shared) - code_density(model.prior, shared)
            elbo = weighted_elbo(Elbo(log_px, ratio, {}), model.modalities, weights(seen))
            log_weights.append(exchange.at_others(elbo) if expert == exchange.modality else elbo)
        bound, power = ESTIMATES[self.estimate]
        # What an exchanged example has, which its first one may have lacked.
        is_present = {name: exchange.gathers(name)(observed.present[name]) for name in names}
        shares = tf.stack(mixture_weights(codes.shared, is_present))
        return bound(tf.stack(log_weights, axis=1) + log_share(len(names) * shares) / power, (0, 1))


def contrast_of(options: VAEOptions) -> Contrast | None:
    """Return the contrast that a model's options ask for."""
    if options.contrast == "none":
        return None
    samples = options.importance_samples or SAMPLES
    return Contrast(options.contrast, options.contrast_gamma, options.contrast_negatives, samples, options.contrast_trains)


def _constant(codes: Codes) -> Codes:
    """Return codes through which no gradient reaches the encoders."""
    shared, private = ({name: stop_gradient(q) for name, q in part.items()} for part in (codes.shared, codes.private))
    return codes._replace(shared=shared, private=private, joint=None if codes.joint is None else stop_gradient(codes.joint))


def _n_times(x: tf.Tensor, exchange: Exchange) -> tf.Tensor:
    """`[K, B, ...]` -> `[K, N, B, ...]`"""
    return tf.repeat(x[:, None], exchange.distances.shape[0], axis=1)


def _can_be_exchanged(observed: Observed, exchange: Exchange) -> tf.Tensor:
    """Where the example has the modality and one more, and the other example has it too: `[N, B]`."""
    is_present = observed.present[exchange.modality]
    several = tf.cast(sum(observed.present.values()) > 1.0, tf.float32)
    return is_present * several * exchange.of_others(is_present)


def _log_sum(log_px: tf.Tensor, valid: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """log sum_n p, of those that can be exchanged and as if they were all, `[B]`; and whether there are any, 1 or 0."""
    count, number = tf.reduce_sum(valid, axis=0), log_px.shape[0]
    any_there = tf.cast(count > 0.0, tf.float32)
    total = tf.reduce_logsumexp(tf.where(valid > 0.0, log_px, LOWEST), axis=0)
    total += tf.math.log(number / tf.maximum(count, 1.0))
    return tf.where(count > 0.0, total, tf.zeros_like(total)), any_there
