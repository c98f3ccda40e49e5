"""MultimodalVAE: a model that maximises lower bounds on the likelihood, and its training step."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.distributed import random, replicas
from mmtf.distributions.divergence import kl
from mmtf.distributions.family import NORMAL, Family, family_of, parameters, reparameterize
from mmtf.distributions.family import log_density as code_density
from mmtf.distributions.likelihood import likelihood, log_density
from mmtf.distributions.units import to_network
from mmtf.modality import Modality
from mmtf.models import default_networks
from mmtf.models.base import LatentModel
from mmtf.models.default_networks import NetworksOf
from mmtf.models.encoders import Coders, Codes, check_shape
from mmtf.models.inputs import Observed, observe
from mmtf.models.vae.contrastive import SAMPLES, RowGather, contrast_of
from mmtf.models.vae.elbo import Betas, Elbo, Weights, lower_bound
from mmtf.models.vae.importance_sampling import ExpertSamples
from mmtf.models.vae.options import VAEOptions
from mmtf.networks import default

tfd = tfp.distributions

# Terms of a contrastive objective.
PLAIN_LOSS, CONTRAST = "plain_loss", "contrast"


class Objective(NamedTuple):
    """What is minimised and reported, per example `[B]`.

    Attributes:
      loss: minus the weighted bounds. parts: theirs, unweighted, by the names of the terms.
      drawn: samples of the experts that were decoded for it, which a contrast can use again.
    """

    loss: tf.Tensor
    parts: dict[str, tf.Tensor]
    drawn: ExpertSamples | None = None


class MultimodalVAE(LatentModel):
    """A VAE of several modalities.

    A subclass is one paper's objective: it says which posterior a subset has (`fuse`) and which lower bounds are maximised
    (`elbo`, or `elbos` where there are several).
    """

    Options = VAEOptions
    # Whether its lower bounds have `Elbo.kl_experts`.
    aligns_experts = False

    def __init__(
        self,
        modalities: Sequence[Modality],
        encoders: Mapping[str, keras.Model] | None = None,
        decoders: Mapping[str, keras.Model] | None = None,
        *,
        networks_of: NetworksOf = default.networks_of,
        microbatch: int = 0,
        seed: int = 0,
        name: str | None = None,
        **options,
    ):
        """Args:
        modalities: in the data set's order; it is the order of everything that follows.
        encoders: per modality, values `[B, *event_shape]` -> features `[B, F]`.
        decoders: per modality, codes `[B, private_dim + shared_dim]` -> likelihood parameters.
        networks_of: the module with `encoder` and `decoder` for a modality that comes without, by default that for its kind of
          values.
        microbatch: examples whose gradient is found at once, which divides a device's batch; 0 for all.
        seed: of the initial weights and of the training noise; with the step it fixes every draw.
        options: fields of `Options` by name, such as `shared_dim=8`, `beta=2.5`.

        Raises:
          ValueError: a network for a modality that is not there or of other shapes, a repeated name, or an option that the
            model does not have.
        """
        self.options, modalities = self.configured(modalities, options)
        shared_dim = self.options.shared_dim
        encoders = default_networks.encoders(modalities, seed, networks_of, encoders)
        decoders = default_networks.decoders(modalities, shared_dim, seed, networks_of, decoders)
        coders = Coders(modalities, encoders, decoders, shared_dim=shared_dim, seed=seed, family=self.family())
        for m in modalities:
            check_shape(m, "encoder's input", encoders[m.name].input_shape[1:], m.event_shape)
            check_shape(m, "decoder's output", decoders[m.name].output_shape[1:], m.parameter_shape)
        self.betas = Betas(**{f.name: getattr(self.options, f.name) for f in dataclasses.fields(Betas)})
        self.contrast, self.microbatch = contrast_of(self.options), microbatch
        super().__init__(modalities, coders, seed=seed, name=name)

    def build_arguments(self):
        return {"microbatch": self.microbatch}

    def family(self) -> Family:
        """Return the family of the codes' posteriors and priors."""
        return NORMAL

    def importance_samples(self) -> int | None:
        """Return K of the model's own importance-weighted bounds; None for one sample and closed divergences.

        Beside a contrast, whose estimates they are, bounds have the samples of the contrast.
        """
        return self.options.importance_samples or (SAMPLES if self.contrast else None)

    def has_likelihood(self) -> bool:
        return True

    # ---- what its networks read and answer -------------------------------------------------------------------------

    def network_input(self, modality, values):
        return to_network(modality, values)

    def decoded(self, modality, answer):
        """p(x_j|s_j,c)."""
        return likelihood(modality, answer)

    # ---- what an objective is made of ------------------------------------------------------------------------------

    def elbo(self, observed: Observed, codes: Codes, noise: random.Noise) -> Elbo:
        """Return the parts of the lower bound that is maximised."""
        raise NotImplementedError

    def elbos(self, observed: Observed, codes: Codes, noise: random.Noise) -> dict[str, Elbo]:
        """Return the lower bounds whose sum is maximised, by name; by default `elbo` alone, named ""."""
        return {"": self.elbo(observed, codes, noise)}

    def weights_at(self, step: tf.Tensor | int, observed: Observed) -> Weights:
        """Return weights of the lower bounds' parts."""
        return self.betas.at(step)

    def objective(self, observed: Observed, codes: Codes, noise: random.Noise, weights: Weights) -> Objective:
        """Return minus the sum of the lower bounds."""
        elbos = self.elbos(observed, codes, noise)
        loss = -sum(lower_bound(elbo, self.modality_weights(bound), weights) for bound, elbo in elbos.items())
        return Objective(loss, {name: x for bound, elbo in elbos.items() for name, x in named_parts(elbo, bound).items()})

    def gather_codes(self, codes: Codes, gathers: Mapping[str, RowGather]) -> Codes:
        """As `Observed.gathered`: what the encoders would have said of those values."""
        return Codes(*({n: _gathered(q, gathers[n]) for n, q in part.items()} for part in (codes.shared, codes.private)))

    def modality_weights(self, bound: str) -> Mapping[str, Modality]:
        """Return the modalities with the weights that they have in a lower bound."""
        return self.modalities

    def bound_modalities(self) -> dict[str, tuple[str, ...]]:
        """Return the modalities that each lower bound explains, by the name of the bound."""
        return {"": self.names}

    def sample_private(self, codes: Codes, noise: random.Noise) -> dict[str, tf.Tensor]:
        """s_j ~ q(s_j|x_j), reparameterised, `[B, private_dim]`."""
        return {
            name: reparameterize(q, noise.normal(f"private/{name}", self.modalities[name].private_dim))
            for name, q in codes.private.items()
        }

    def gaussian_elbo(self, observed: Observed, codes: Codes, posterior, private, noise, stream: str = "shared") -> Elbo:
        """E[log p(x_j|s_j,c)] by one sample of a Gaussian posterior q(c|X), and closed divergences from the priors."""
        shared = reparameterize(posterior, noise.normal(stream, self.shared_dim))
        return Elbo(self.log_likelihood(observed, shared, private), kl(posterior, self.prior), self.kl_private(observed, codes))

    def log_ratio(self, q: tfd.Distribution, code: tf.Tensor) -> tf.Tensor:
        """log q - log p at a code `[..., B, D]`, p the prior: what one sample says of KL(q || p)."""
        return code_density(q, code) - code_density(self.coders.family.prior(code.shape[-1]), code)

    def log_likelihood(self, observed: Observed, shared: tf.Tensor, private: Mapping[str, tf.Tensor]):
        """log p(x_j|s_j,c) `[..., B]` per modality, 0 where it is missing."""
        log_px = {}
        for name, value in observed.values.items():
            p = self._decode(name, shared, private.get(name))
            log_px[name] = observed.masked(name, log_density(self.modalities[name], p, value))
        return log_px

    def kl_experts(self, observed: Observed, posterior: tfd.MultivariateNormalDiag, codes: Codes) -> dict[str, tf.Tensor]:
        """KL(q(c|X) || q(c|x_j)) `[B]` per modality, 0 where it is missing."""
        return {name: observed.masked(name, kl(posterior, codes.shared[name])) for name in observed.values}

    def kl_private(self, observed: Observed, codes: Codes) -> dict[str, tf.Tensor]:
        """KL(q(s_j|x_j) || p(s_j)) `[B]` per modality with a private code, 0 where it is missing."""
        prior = self.coders.family.prior
        return {
            name: observed.masked(name, kl(codes.private[name], prior(self.modalities[name].private_dim)))
            for name in observed.values
            if name in codes.private
        }

    # ---- training --------------------------------------------------------------------------------------------------

    def terms(self, values, mask, noise: random.Noise, step: tf.Tensor | int) -> dict[str, tf.Tensor]:
        """As `LatentModel.terms`; "loss" is what is minimised."""
        observed = observe(values, mask, self.modalities)
        codes = self._encode(observed)
        plain = self.objective(observed, codes, noise, self.weights_at(step, observed))
        if not self.contrast:
            return {"loss": plain.loss} | plain.parts
        weights = functools.partial(self.weights_at, step)
        contrast = self.contrast.term(self, observed, codes, noise, weights, plain.drawn)
        loss = self.contrast.gamma * plain.loss + contrast
        return {"loss": loss, PLAIN_LOSS: plain.loss, CONTRAST: contrast} | plain.parts

    def term_modalities(self):
        about = {"loss": ()} | (dict.fromkeys((PLAIN_LOSS, CONTRAST), ()) if self.contrast else {})
        for bound, names in self.bound_modalities().items():
            about |= {_term(bound, "log_likelihood", n): (n,) for n in names}
            # Of several modalities any is enough for a posterior.
            about[_term(bound, "divergence")] = names if len(names) == 1 else ()
            about |= {_term(bound, "kl_private", n): (n,) for n in names if self.modalities[n].private_dim}
            about |= {_term(bound, "kl_experts", n): (n,) for n in names if self.aligns_experts}
        return about

    def train_step(self, data):
        """One update: terms, loss, gradients, report."""
        batch = self.batch_of(data)
        values, mask = batch.values, batch.mask
        step = tf.cast(self.optimizer.iterations, tf.int32)
        size = replicas.batch_size(values)
        noise = random.Noise(tf.stack([self.seed, step]), size)
        if self.microbatch:
            find = functools.partial(self._accumulate_gradients, values, mask, noise, step, size)
        else:
            find = functools.partial(self._differentiated, values, mask, noise, step)
        terms, gradients = replicas.compiled(find) if self.compiles_gradients else find()
        self.optimizer.apply(gradients, self.trainable_variables)
        self.term_means.update_state(terms, mask, step)
        return self.get_metrics_result()

    def _differentiated(self, values, mask, noise, step):
        """The terms, and the gradients of their mean loss."""
        with tf.GradientTape() as tape:
            terms = self.terms(values, mask, noise, step)
            loss = self.optimizer.scale_loss(replicas.replica_mean(terms["loss"]))
        return terms, tape.gradient(loss, self.trainable_variables)

    def _accumulate_gradients(self, values, mask, noise, step, size: int | tf.Tensor):
        """As `_differentiated`, of one microbatch after the other, so that memory is that of one."""
        count, names = size // self.microbatch, tuple(self.term_modalities())

        def one(number, accumulated, gradients):
            first = number * self.microbatch
            rows, is_present = (
                {n: _rows(x, first, self.microbatch) for n, x in (part or {}).items()} for part in (values, mask)
            )
            terms, more = self._differentiated(rows, is_present or None, noise.part(first, self.microbatch), step)
            accumulated = accumulated.write(number, tf.stack([terms[name] for name in names]))
            # That of an embedding comes as rows.
            share = 1.0 / tf.cast(count, tf.float32)
            dense = [0.0 if m is None else tf.convert_to_tensor(m) * share for m in more]
            return number + 1, accumulated, [g + m for g, m in zip(gradients, dense, strict=True)]

        accumulated = tf.TensorArray(tf.float32, count, element_shape=[len(names), self.microbatch])
        nothing = [tf.zeros(v.shape, v.dtype) for v in self.trainable_variables]
        _, accumulated, gradients = tf.while_loop(
            lambda number, *_: number < count, one, (0, accumulated, nothing), parallel_iterations=1, maximum_iterations=count
        )
        terms = tf.reshape(tf.transpose(accumulated.stack(), [1, 0, 2]), [len(names), -1])
        return dict(zip(names, tf.unstack(terms), strict=True)), gradients

    def warning(self, history: Sequence[Mapping[str, float]]) -> str | None:
        """See `Contrast.warning`."""
        if not self.contrast:
            return None
        first = next(iter(self.bound_modalities()))
        names = {_term(first, "log_likelihood", n): m.likelihood_weight for n, m in self.modalities.items()}
        return self.contrast.warning(
            [sum(w * terms[name] for name, w in names.items()) for terms in history], [terms[CONTRAST] for terms in history]
        )

    def settled_step(self):
        return self.betas.warmup_steps

    def schedule(self, step: int) -> dict[str, float]:
        """Return what changes with the step: the weights of the divergences."""
        weights = self.betas.at(step)
        return {"shared_weight": float(weights.shared), "private_weight": float(weights.private)}


def named_parts(elbo: Elbo, bound: str = "") -> dict[str, tf.Tensor]:
    """Return the parts of a lower bound by the names of the terms; of K samples their means."""
    parts = {_term(bound, "log_likelihood", n): term for n, term in elbo.log_px.items()}
    parts[_term(bound, "divergence")] = elbo.divergence
    parts |= {_term(bound, "kl_private", n): term for n, term in elbo.kl_private.items()}
    parts |= {_term(bound, "kl_experts", n): term for n, term in elbo.kl_experts.items()}
    return {name: tf.reduce_mean(term, axis=0) if term.shape.rank == 2 else term for name, term in parts.items()}


def _rows(x: tf.Tensor, first: tf.Tensor, size: int) -> tf.Tensor:
    """`size` rows from one on, of a shape that is known."""
    rest = x.shape.rank - 1
    return tf.slice(x, [first] + [0] * rest, [size] + [-1] * rest)


def _gathered(q: tfd.Distribution, gather: RowGather) -> tfd.Distribution:
    return family_of(q).make(*(gather(x) for x in parameters(q)))


def _term(*parts: str) -> str:
    return "/".join(part for part in parts if part)
