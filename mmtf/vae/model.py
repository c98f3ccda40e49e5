"""MultimodalVAE: encoders and decoders around a shared and private latent space, its verbs, and its training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from mmtf import runtime
from mmtf.modality import Modality, check_subset, subsets
from mmtf.networks.heads import GaussianHead
from mmtf.probability.divergence import kl
from mmtf.probability.gaussian import diagonal_normal, sample, standard_normal, stddev
from mmtf.probability.likelihood import likelihood, log_density, mean_value, shown_value
from mmtf.probability.units import to_network
from mmtf.terms import TermMeans
from mmtf.vae.elbo import Betas, Elbo, weighted_elbo
from mmtf.vae.observed import Observed, observe

tfd = tfp.distributions


class Codes(NamedTuple):
    """What the encoders say: per modality q(c|x_j), and q(s_j|x_j) for those with a private code; batch `[B]`."""

    shared: dict[str, tfd.MultivariateNormalDiag]
    private: dict[str, tfd.MultivariateNormalDiag]


class MultimodalVAE(keras.Model):
    """A VAE of several modalities with a shared code c and, where a modality has one, a private code s_j.

    A subclass is one paper's objective: it says which posterior a subset has (`fuse`) and which lower bounds are maximised
    (`elbos`). Everything else, from masks to serving, is here.
    """

    def __init__(
        self,
        modalities: Sequence[Modality],
        encoders: Mapping[str, keras.Model],
        decoders: Mapping[str, keras.Model],
        *,
        shared_dim: int,
        betas: Betas | None = None,
        seed: int = 0,
        name: str | None = None,
    ):
        """Args:
        modalities: in the data set's order; it is the order of everything that follows.
        encoders: per modality, values `[B, *event_shape]` -> features `[B, F]`.
        decoders: per modality, codes `[B, private_dim + shared_dim]` -> likelihood parameters.
        shared_dim: size of c.
        betas: weights of the divergences.
        seed: of the heads' initial weights and of the training noise; with the step it fixes every draw.

        Raises:
          ValueError: a modality without networks, a repeated name, or a shared size below 1.
        """
        super().__init__(name=name)
        self.modalities = {m.name: m for m in modalities}
        _check_parts(modalities, encoders, decoders, shared_dim)
        self.shared_dim, self.seed, self.betas = shared_dim, seed, betas or Betas()
        self.encoders = dict(encoders)
        self.decoders = dict(decoders)
        self.heads = {
            m.name: GaussianHead(shared_dim, m.private_dim, seed=runtime.derived_seed(seed, m.name), name=f"{m.name}_head")
            for m in self.modalities.values()
        }
        for m in self.modalities.values():
            self.heads[m.name].build(self.encoders[m.name].output_shape)
        self.term_means = TermMeans(self.terms_about())
        self.built = True

    # ---- the verbs -------------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.modalities)

    @property
    def prior(self) -> tfd.MultivariateNormalDiag:
        """p(c) = N(0, I)."""
        return standard_normal(self.shared_dim)

    def encode(self, values: Mapping[str, tf.Tensor], mask: Mapping[str, tf.Tensor] | None = None) -> Codes:
        """q(c|x_j) and q(s_j|x_j) of every modality given.

        Args:
          values: any non-empty subset of the modalities, `[B, *event_shape]` each.
          mask: per modality `[B]` booleans; an expert of a missing value is meaningless but finite.
        """
        return self._encode(observe(values, mask, self.modalities))

    def posterior(self, values, subset: Sequence[str] | None = None, mask=None) -> tfd.Distribution:
        """q(c|X_K) of the modalities in `subset` (all that are given, by default); batch `[B]`, event `[shared_dim]`."""
        chosen = check_subset(values.keys() if subset is None else subset, self.names)
        observed = observe(_only(values, chosen), mask, self.modalities)
        _check_something_is_there(observed)
        return self.fuse(self._encode(observed).shared, observed.present)

    def posteriors(self, values, mask=None) -> dict[tuple[str, ...], tfd.Distribution]:
        """q(c|X_K) of every non-empty subset K of the given modalities, each modality encoded once."""
        observed = observe(values, mask, self.modalities)
        _check_something_is_there(observed)
        experts = self._encode(observed).shared
        return {
            subset: self.fuse({n: experts[n] for n in subset}, {n: observed.present[n] for n in subset})
            for subset in subsets(tuple(experts))
        }

    def decode(self, shared: tf.Tensor, private: Mapping[str, tf.Tensor] | None = None, to: Sequence[str] | None = None):
        """p(x_j|s_j,c) of the modalities in `to` (all by default), as distributions over `[*event_shape]`.

        Args:
          shared: `[B, shared_dim]`.
          private: `[B, private_dim]` per modality; a modality left out gets its prior's mean, 0.
        """
        names = check_subset(self.names if to is None else to, self.names)
        if private:
            check_subset(private, self.names)
        return {name: self._likelihood(name, shared, (private or {}).get(name)) for name in names}

    def reconstruct(self, values, mask=None, seed=None, mean: bool = False) -> dict[str, tf.Tensor]:
        """Every given modality decoded from q(c|X) of all of them and its own q(s_j|x_j).

        Args:
          seed: `[2]` integers to sample the codes; None takes the means.
          mean: return E[x], which for a categorical modality are its probabilities, and not its likeliest classes.
        """
        observed = observe(values, mask, self.modalities)
        _check_something_is_there(observed)
        codes = self._encode(observed)
        shared = _draw(self.fuse(codes.shared, observed.present), seed, "shared")
        private = {name: _draw(q, seed, f"private/{name}") for name, q in codes.private.items()}
        return self._values(self.decode(shared, private, to=tuple(observed.values)), mean)

    def generate(self, n: int | tf.Tensor, seed=(0, 0), mean: bool = False) -> dict[str, tf.Tensor]:
        """n examples from the priors: one c for all modalities, one s_j each. `mean` as for `reconstruct`.

        Raises:
          ValueError: n is below 1, or there is no seed: a sample is random.
        """
        if seed is None or (isinstance(n, int) and n < 1):
            raise ValueError(f"generate wants a number of samples of 1 or more and a seed of two integers, not {n} and {seed}.")
        shared = _draw(self.prior, seed, "shared", n)
        return self._values(self.decode(shared, self.sample_private_prior(n, seed)), mean)

    def translate(
        self, values, to: Sequence[str] | None = None, mask=None, seed=None, mean: bool = False
    ) -> dict[str, tf.Tensor]:
        """The modalities in `to` from those in `values`: c from q(c|X_K), private codes from their priors.

        Args:
          values: the given modalities, `[B, ...]`.
          to: what to generate; by default all modalities that are not given (all, if none is left out).
          seed: `[2]` integers to sample; None takes the means of posterior and priors.
          mean: as for `reconstruct`.
        """
        given = check_subset(values, self.names)
        to = to if to is not None else ([n for n in self.names if n not in given] or self.names)
        shared = _draw(self.posterior(values, mask=mask), seed, "shared")
        private = {} if seed is None else self.sample_private_prior(tf.shape(shared)[0], seed)
        return self._values(self.decode(shared, private, to=to), mean)

    def sample_private_prior(self, n: int | tf.Tensor, seed) -> dict[str, tf.Tensor]:
        """s_j ~ p(s_j) = N(0, I), `[n, private_dim]`, for each modality that has a private code."""
        noise = runtime.Noise(seed, n)
        return {m.name: noise.normal(f"private/{m.name}", m.private_dim) for m in self.modalities.values() if m.private_dim}

    # ---- what an objective is made of ------------------------------------------------------------------------------

    def fuse(self, experts: dict[str, tfd.MultivariateNormalDiag], present: dict[str, tf.Tensor]) -> tfd.Distribution:
        """q(c|X_K) from the experts of K: the subclass's posterior family."""
        raise NotImplementedError

    def elbos(self, observed: Observed, codes: Codes, noise: runtime.Noise) -> dict[str, Elbo]:
        """The lower bounds whose sum is maximised, by name; one named "" where there is only one."""
        raise NotImplementedError

    def explained(self) -> dict[str, tuple[str, ...]]:
        """The modalities that each lower bound explains, by the name of the bound."""
        return {"": self.names}

    def sample_private(self, codes: Codes, noise: runtime.Noise) -> dict[str, tf.Tensor]:
        """s_j ~ q(s_j|x_j), reparameterised, `[B, private_dim]`."""
        return {
            name: q.loc + stddev(q) * noise.normal(f"private/{name}", self.modalities[name].private_dim)
            for name, q in codes.private.items()
        }

    def log_likelihood(self, observed: Observed, shared: tf.Tensor, private: Mapping[str, tf.Tensor]):
        """log p(x_j|s_j,c) `[B]` per modality, 0 where it is missing."""
        found = {}
        for name, value in observed.values.items():
            p = self._likelihood(name, shared, private.get(name))
            found[name] = observed.masked(name, log_density(self.modalities[name], p, value))
        return found

    def kl_private(self, observed: Observed, codes: Codes) -> dict[str, tf.Tensor]:
        """KL(q(s_j|x_j) || N(0, I)) `[B]` per modality with a private code, 0 where it is missing."""
        return {
            name: observed.masked(name, kl(codes.private[name], standard_normal(self.modalities[name].private_dim)))
            for name in observed.values
            if name in codes.private
        }

    # ---- training --------------------------------------------------------------------------------------------------

    def terms(self, values, mask, noise: runtime.Noise, step: tf.Tensor | int) -> dict[str, tf.Tensor]:
        """Every term of the objective by name, per example `[B]`; "loss" is what is minimised.

        A term about a modality is 0 for examples that lack it.
        """
        observed = observe(values, mask, self.modalities)
        elbos = self.elbos(observed, self._encode(observed), noise)
        shared_weight, private_weight = self.betas.at(step)
        loss = -sum(weighted_elbo(elbo, self.modalities, shared_weight, private_weight) for elbo in elbos.values())
        named = {"loss": loss}
        for bound, elbo in elbos.items():
            named |= {_term(bound, "log_likelihood", n): term for n, term in elbo.log_px.items()}
            named[_term(bound, "divergence")] = elbo.divergence
            named |= {_term(bound, "kl_private", n): term for n, term in elbo.kl_private.items()}
        return named

    def terms_about(self) -> dict[str, str | None]:
        """Names of `terms`, in order, with the one modality that a term is about, or None."""
        about = {"loss": None}
        for bound, names in self.explained().items():
            alone = names[0] if len(names) == 1 else None
            about |= {_term(bound, "log_likelihood", n): n for n in names}
            about[_term(bound, "divergence")] = alone
            about |= {_term(bound, "kl_private", n): n for n in names if self.modalities[n].private_dim}
        return about

    def train_step(self, data):
        """One update: terms, loss, gradients, report."""
        values, mask = data["values"], data.get("mask")
        step = tf.cast(self.optimizer.iterations, tf.int32)
        noise = runtime.Noise(tf.stack([self.seed, step]), runtime.batch_size(values))
        with tf.GradientTape() as tape:
            terms = self.terms(values, mask, noise, step)
            loss = self.optimizer.scale_loss(runtime.replica_mean(terms["loss"]))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.term_means.update_state(terms, mask, step)
        return self.get_metrics_result()

    def test_step(self, data):
        """The terms of a batch with noise of its own; no update."""
        noise = runtime.Noise(tf.stack([self.seed, -1]), runtime.batch_size(data["values"]))
        step = tf.cast(self.optimizer.iterations, tf.int32)
        terms = self.terms(data["values"], data.get("mask"), noise, step)
        self.term_means.update_state(terms, data.get("mask"), step)
        return self.get_metrics_result()

    @property
    def metrics(self):
        return [self.term_means]

    def named_weights(self) -> dict[str, keras.Variable]:
        """Every weight under a name that depends on the model alone, for checkpoints."""
        roles = {"encoder": self.encoders, "head": self.heads, "decoder": self.decoders}
        networks = {f"{role}.{name}": network for role, part in roles.items() for name, network in part.items()}
        return {f"{key}.{i}.{v.name}": v for key, network in networks.items() for i, v in enumerate(network.weights)}

    def schedule(self, step: int) -> dict[str, float]:
        """What changes with the step: the weights of the divergences."""
        shared, private = self.betas.at(step)
        return {"shared_weight": float(shared), "private_weight": float(private)}

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Leaves out Keras' building from a first batch: every variable exists, and averaging booleans over replicas fails."""

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _encode(self, observed: Observed) -> Codes:
        heads = {n: self.heads[n](self.encoders[n](to_network(self.modalities[n], x))) for n, x in observed.values.items()}
        shared = {name: diagonal_normal(h[0], h[1]) for name, h in heads.items()}
        private = {name: diagonal_normal(h[2], h[3]) for name, h in heads.items() if self.modalities[name].private_dim}
        return Codes(shared, private)

    def _likelihood(self, name: str, shared: tf.Tensor, private: tf.Tensor | None) -> tfd.Distribution:
        modality = self.modalities[name]
        if modality.private_dim:
            if private is None:
                private = tf.zeros([*tf.unstack(tf.shape(shared))[:-1], modality.private_dim])
            shared = tf.concat([private, shared], axis=-1)
        return likelihood(modality, self.decoders[name](shared))

    def _values(self, decoded: Mapping[str, tfd.Distribution], mean: bool) -> dict[str, tf.Tensor]:
        value = mean_value if mean else shown_value
        return {name: value(self.modalities[name], p) for name, p in decoded.items()}


def _term(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _only(mapping: Mapping, names: Sequence[str]) -> dict:
    missing = [name for name in names if name not in mapping]
    if missing:
        raise ValueError(f"The subset names {missing[0]!r}, but only {', '.join(mapping)} were given.")
    return {name: mapping[name] for name in names}


def _check_shape(modality: Modality, what: str, found: tuple, wanted: tuple) -> None:
    if tuple(found) != tuple(wanted):
        raise ValueError(f"{modality.name}: the {what} must have the shape {tuple(wanted)} per example, not {tuple(found)}.")


def _check_something_is_there(observed: Observed) -> None:
    """Outside of graphs: a posterior of nothing is a mistake in the mask."""
    there = sum(observed.present.values())
    if tf.executing_eagerly() and not tf.reduce_all(there > 0.0):
        raise ValueError(f"The mask says that example {int(tf.argmin(there))} has none of the modalities given; leave it out.")


def _draw(distribution: tfd.Distribution, seed, stream: str, n: int | tf.Tensor | None = None) -> tf.Tensor:
    """A sample `[B, D]` (or `[n, D]`) under a stateless seed and the stream's name; the mean where the seed is None."""
    if seed is None:
        return distribution.mean()
    seed = runtime.stream_seed(seed, stream)
    return sample(distribution, seed) if n is None else distribution.sample([n], seed=seed)


def _check_parts(modalities, encoders, decoders, shared_dim: int) -> None:
    names = [m.name for m in modalities]
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"A model needs modalities with distinct names, not {names}.")
    for kind, networks in (("encoder", encoders), ("decoder", decoders)):
        if set(networks) != set(names):
            raise ValueError(f"One {kind} per modality is needed: modalities are {names}, {kind}s are {sorted(networks)}.")
    for m in modalities:
        if not (encoders[m.name].built and decoders[m.name].built):
            raise ValueError(f"{m.name}: encoder and decoder must be built; begin each with keras.Input(shape).")
        _check_shape(m, "encoder's input", encoders[m.name].input_shape[1:], m.event_shape)
        _check_shape(m, "decoder's input", decoders[m.name].input_shape[1:], (m.private_dim + shared_dim,))
        _check_shape(m, "decoder's output", decoders[m.name].output_shape[1:], m.parameter_shape)
    if shared_dim < 1:
        raise ValueError(f"shared_dim must be at least 1, not {shared_dim}.")
