"""LatentModel: a shared code and private ones between several modalities, and everything that one does with a trained model."""

from __future__ import annotations

import dataclasses
import difflib
import numbers
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.config import ModelConfig
from mmtf.config.names import name_of
from mmtf.distributed import random, replicas, strategies
from mmtf.distributions.family import family_of, parameters, reparameterize
from mmtf.distributions.likelihood import mean_value, shown_value
from mmtf.distributions.mixture import component_at, sample
from mmtf.errors import UserError
from mmtf.modality import Modality, check_subset, subsets
from mmtf.models import fusion
from mmtf.models.encoders import Coders, Codes
from mmtf.models.inputs import Observed, as_codes, given, observe
from mmtf.models.keras_model import KerasModel
from mmtf.models.term_means import TermMeans

tfd = tfp.distributions

Subset = tuple[str, ...]


class FromSubsets(NamedTuple):
    """Holds what `LatentModel.from_subsets` generates from every set K of modalities: E[x_j] of every modality j.

    Of each example there are U samples of shared codes, one for each K; or, of a mixture of experts, one for each expert, and
    that of K is one of those. Attributes:
      code: by K, which of the U codes of an example is the sample of q(c|X_K): `[B]` int32.
      values: by modality, decoded from these codes and s_j ~ p(s_j): `[U, B, ...]`.
      own: of modalities with a private code the same, with s_j ~ q(s_j|x_j): `[V, B, ...]`, from those of the codes that serve
        sets with the modality.
      own_code: by modality j and K, j in K, which of those V: `[B]`.
    """

    code: dict[Subset, tf.Tensor]
    values: dict[str, tf.Tensor]
    own: dict[str, tf.Tensor]
    own_code: dict[tuple[str, Subset], tf.Tensor]


class LatentModel(KerasModel):
    """A generative model of several modalities with a shared code c and, where a modality has one, a private code s_j.

    Here are its verbs, from encoding to translating; evaluation, pictures and serving know nothing else of it. A family of
    models (`mmtf.models.vae`, `mmtf.models.gan`) says what its networks read and answer, and how it is trained; a model of
    the family says which posterior a set of modalities has (`fuse`).
    """

    # The dataclass of the model's options; a model declares its own.
    Options = ModelConfig
    # Whether the posterior of a set of modalities is the even mixture of the experts of those that are there.
    has_mixture_posterior = False

    def __init__(self, modalities: Sequence[Modality], coders: Coders, *, seed: int, name: str | None = None):
        """Args:
        modalities: in the data set's order; it is the order of everything that follows.
        coders: what the verbs use.
        seed: of the training noise; with the step it fixes every draw.
        """
        super().__init__(name=name)
        self.modalities = {m.name: m for m in modalities}
        self.shared_dim, self.seed = self.options.shared_dim, seed
        self.coders = coders
        self.term_means = TermMeans(self.reported())
        self.compiles_gradients = False
        self.built = True

    @classmethod
    def configured(cls, modalities: Sequence[Modality], options: Mapping) -> tuple[ModelConfig, tuple[Modality, ...]]:
        """Return a model's options, and the modalities with the sizes and weights that they say.

        Args:
          options: fields of the model's `Options`, by name. Without `private_dim` each modality keeps its own.

        Raises:
          UserError: an option that the model does not have, a value out of its limits, or options that contradict one another.
        """
        own = {name: value for name, value in options.items() if name != "private_dim"}
        names = [field.name for field in dataclasses.fields(cls.Options) if field.name != "model"]
        for option in own:
            if option not in names:
                near = difflib.get_close_matches(option, names, n=1)
                hint = f" Did you mean {near[0]}?" if near else f" It has {', '.join(names)}."
                raise UserError(f"{cls.__name__} has no option {option!r}.{hint}")
        if "private_dim" in options:
            modalities = [dataclasses.replace(m, private_dim=options["private_dim"]) for m in modalities]
        largest = max((m.private_dim for m in modalities), default=0)
        chosen = cls.Options(model=name_of(cls), private_dim=largest, **own)
        chosen.check()
        return chosen, chosen.weighted(modalities)

    @property
    def networks(self) -> dict[str, dict[str, keras.Layer]]:
        """The networks that the model was built with, by the constructor's argument and by name."""
        return {"encoders": self.coders.encoders, "decoders": self.coders.decoders}

    # ---- the verbs -------------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.modalities)

    @property
    def prior(self) -> tfd.Distribution:
        """p(c) = N(0, I); beside Laplace posteriors the Laplace distribution of location 0 and scale 1."""
        return self.coders.family.prior(self.shared_dim)

    def encode(self, values: Mapping[str, tf.Tensor], mask: Mapping[str, tf.Tensor] | None = None) -> Codes:
        """q(c|x_j) and q(s_j|x_j) of every modality given.

        Args:
          values: any non-empty subset of the modalities, `[B, *event_shape]` each.
          mask: per modality `[B]` booleans; an expert of a missing value is meaningless but finite.
        """
        return self._encode_checked(observe(values, mask, self.modalities))

    def posterior(self, values, subset: Sequence[str] | None = None, mask=None) -> tfd.Distribution:
        """q(c|X_K) of the modalities in `subset` (all that are given, by default); batch `[B]`, event `[shared_dim]`."""
        values, mask = given(values, mask)
        chosen = check_subset(values.keys() if subset is None else subset, self.names)
        observed = observe(_only(values, chosen), mask, self.modalities)
        _check_something_is_there(observed)
        return self.posterior_of(self._encode_checked(observed), observed.present, tuple(observed.values))

    def posteriors(self, values, mask=None) -> dict[tuple[str, ...], tfd.Distribution]:
        """q(c|X_K) of every non-empty subset K of the given modalities, each modality encoded once."""
        observed = observe(values, mask, self.modalities)
        _check_something_is_there(observed)
        codes = self._encode_checked(observed)
        return {subset: self.posterior_of(codes, observed.present, subset) for subset in subsets(tuple(codes.shared))}

    def decode(self, shared: tf.Tensor, private: Mapping[str, tf.Tensor] | None = None, to: Sequence[str] | None = None):
        """p(x_j|s_j,c) of the modalities in `to` (all by default), as distributions over `[*event_shape]`.

        Args:
          shared: `[B, shared_dim]`.
          private: `[B, private_dim]` per modality; a modality left out gets its prior's mean, 0.
        """
        names = check_subset(self.names if to is None else to, self.names)
        own = {}
        if private:
            check_subset(private, self.names)
            own = {n: as_codes(f"private code of {n}", x, self.modalities[n].private_dim) for n, x in private.items()}
        shared = as_codes("shared", shared, self.shared_dim)
        return {name: self._decode(name, shared, own.get(name)) for name in names}

    def reconstruct(self, values, mask=None, seed=None, mean: bool = False) -> dict[str, tf.Tensor]:
        """Return every given modality decoded from q(c|X) of all of them and its own q(s_j|x_j).

        Where it is missing, from p(s_j).

        Args:
          seed: `[2]` integers to sample the codes; None takes the means.
          mean: return E[x], which for a categorical modality are its probabilities, and not its likeliest classes.
        """
        observed = observe(values, mask, self.modalities)
        _check_something_is_there(observed)
        codes = self._encode_checked(observed)
        shared = _draw(self.posterior_of(codes, observed.present, tuple(observed.values)), seed, "shared")
        private = {n: _draw(_or_prior(q, observed.present[n]), seed, f"private/{n}") for n, q in codes.private.items()}
        return self._values(self.decode(shared, private, to=tuple(observed.values)), mean)

    def generate(self, n: int | tf.Tensor, seed=(0, 0), mean: bool = False) -> dict[str, tf.Tensor]:
        """Return n examples from the priors: one c for all modalities, one s_j each. `mean` as for `reconstruct`.

        Raises:
          UserError: n is no whole number of 1 or more, or the seed is not two integers.
        """
        check_seed(seed)
        if not tf.is_tensor(n) and (isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1):
            raise UserError(f"generate wants a number of samples, 1 or more, not {n!r}.")
        shared = _draw(self.prior, seed, "shared", n)
        return self._values(self.decode(shared, self.sample_private_prior(n, seed)), mean)

    def translate(
        self, values, to: Sequence[str] | None = None, mask=None, seed=None, mean: bool = False
    ) -> dict[str, tf.Tensor]:
        """Return the modalities in `to` from those in `values`: c from q(c|X_K), private codes from their priors.

        Args:
          values: the given modalities, `[B, ...]`.
          to: what to generate; by default all modalities that are not given (all, if none is left out).
          seed: `[2]` integers to sample; None takes the means of posterior and priors.
          mean: as for `reconstruct`.
        """
        values, mask = given(values, mask)
        known = check_subset(values, self.names)
        to = to if to is not None else ([n for n in self.names if n not in known] or self.names)
        shared = _draw(self.posterior(values, mask=mask), seed, "shared")
        private = {} if seed is None else self.sample_private_prior(tf.shape(shared)[0], seed)
        return self._values(self.decode(shared, private, to=to), mean)

    def from_subsets(self, values, mask=None, seed=(0, 0)) -> FromSubsets:
        """Return E[x_j] of all modalities from every set of those given; each value is encoded and each code decoded once.

        The same as `translate` and `reconstruct` of each set under this seed and with `mean`, where the example has all of it.

        Args:
          values: the given modalities, `[B, ...]`.
          seed: `[2]` integers.
        """
        check_seed(seed)
        observed = observe(values, mask, self.modalities)
        codes, private = self._encode_checked(observed), self.sample_private_prior(replicas.batch_size(observed.values), seed)
        shared, code = self._samples_of_subsets(codes, observed.present, seed)
        generated = {n: self._means(n, shared, private.get(n)) for n in self.names}
        own, own_code = {}, {}
        for name, q in codes.private.items():
            sets = [subset for subset in code if name in subset]
            at = range(len(shared)) if self.has_mixture_posterior else [list(code).index(subset) for subset in sets]
            drawn = _draw(_or_prior(q, observed.present[name]), seed, f"private/{name}")
            own[name] = self._means(name, tf.gather(shared, list(at)), drawn)
            own_code |= {
                (name, subset): code[subset] if self.has_mixture_posterior else tf.fill(tf.shape(code[subset]), i)
                for i, subset in enumerate(sets)
            }
        return FromSubsets(code, generated, own, own_code)

    def sample_private_prior(self, n: int | tf.Tensor, seed) -> dict[str, tf.Tensor]:
        """s_j ~ p(s_j), of the shared prior's family, `[n, private_dim]`, for each modality that has a private code."""
        noise, family = random.Noise(seed, n), self.coders.family
        return {
            m.name: family.sample_standard(noise, f"private/{m.name}", m.private_dim)
            for m in self.modalities.values()
            if m.private_dim
        }

    # ---- what a family of models says ------------------------------------------------------------------------------

    def fuse(self, experts: dict[str, tfd.MultivariateNormalDiag], present: dict[str, tf.Tensor]) -> tfd.Distribution:
        """q(c|X_K) from the experts of K: the model's posterior family."""
        raise NotImplementedError

    def posterior_of(self, codes: Codes, present: Mapping[str, tf.Tensor], subset: Sequence[str]) -> tfd.Distribution:
        """q(c|X_K) from what the encoders said, K a non-empty subset of theirs."""
        return self.fuse({n: codes.shared[n] for n in subset}, {n: present[n] for n in subset})

    def network_input(self, modality: Modality, values: tf.Tensor) -> tf.Tensor:
        """Return what the modality's encoder reads of values in their own unit, `[B, *event_shape]`."""
        raise NotImplementedError

    def decoded(self, modality: Modality, answer: tf.Tensor) -> tfd.Distribution:
        """Return the distribution over `[*event_shape]` that a decoder's answer means."""
        raise NotImplementedError

    def terms(self, values, mask, noise: random.Noise, step: tf.Tensor | int) -> dict[str, tf.Tensor]:
        """Return every term of the objective by name, per example `[B]`; "loss" is the one that a progress bar shows.

        A term is 0 for examples that lack a modality that it is about.
        """
        raise NotImplementedError

    def term_modalities(self) -> dict[str, tuple[str, ...]]:
        """Return names of `terms`, in order, with the modalities without which an example has no such term."""
        raise NotImplementedError

    def reported(self) -> dict[str, tuple[str, ...]]:
        """Return what training reports: the terms, and what else its steps find out."""
        return self.term_modalities()

    def warning(self, history: Sequence[Mapping[str, float]]) -> str | None:
        """What went wrong with training, and what to change: from the means of all terms at its start and after each epoch."""
        return None

    def schedule(self, step: int) -> dict[str, float]:
        """Return what changes with the step, for TensorBoard."""
        raise NotImplementedError

    # ---- what training needs ---------------------------------------------------------------------------------------

    def settled_step(self) -> int:
        """Return the step from which on the objective does not change with the step."""
        return 0

    @classmethod
    def batches_per_step(cls) -> int:
        """Return how many batches of the data a training step takes: one for each of its phases."""
        return 1

    def uses_unpaired_values(self) -> bool:
        """Return whether a training step also takes batches of single values, paired with nothing."""
        return False

    def has_likelihood(self) -> bool:
        """Return whether p(x_j|s_j,c) has a density, so that there is `log_likelihood`."""
        return False

    def test_step(self, data):
        """The terms of a batch with noise of its own; no update."""
        batch = self.batch_of(data)
        noise = random.Noise(tf.stack([self.seed, -1]), replicas.batch_size(batch.values))
        step = tf.cast(self.optimizer.iterations, tf.int32)
        terms = self.terms(batch.values, batch.mask, noise, step)
        self.term_means.update_state(terms, batch.mask, step)
        return self.get_metrics_result()

    @property
    def metrics(self):
        return [self.term_means]

    def learned(self) -> dict[str, list[keras.Variable]]:
        """Return what is learned by which optimizer, by the name of the optimizer's argument of `compile`."""
        return {"optimizer": self.trainable_variables}

    def named_weights(self) -> dict[str, keras.Variable]:
        """Return every weight under a name that depends on the model alone, for checkpoints."""
        return self.coders.named_weights()

    def served_weights(self) -> dict[str, keras.Variable]:
        """Return those of them that the verbs use."""
        return self.named_weights()

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Leave out Keras' building from a first batch: every variable exists, and averaging booleans over replicas fails.

        Nothing public turns it off.
        """

    def make_train_function(self, force=False):
        """Make Keras' own training function; on several workers `strategies.train_function`."""
        if not strategies.several_workers(self.distribute_strategy):
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = strategies.train_function(self)
        return self.train_function

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _encode_checked(self, observed: Observed) -> Codes:
        """Encode for a verb. Raises UserError for a value from which the encoder makes no distribution."""
        codes = self._encode(observed)
        if tf.executing_eagerly():
            for name, q in [*codes.shared.items(), *codes.private.items()]:
                loc, scale = parameters(q)
                fits = tf.reduce_all(tf.math.is_finite(loc) & tf.math.is_finite(scale) & (scale > 0.0), axis=-1)
                broken = np.flatnonzero(~fits.numpy() & (observed.present[name].numpy() > 0))
                if len(broken):
                    raise UserError(
                        f"{name}: the encoder's answer to example {broken[0]} is beyond the range of float32. Is the value in "
                        "the unit that the model was trained on, and was training sound?"
                    )
        return codes

    def _encode(self, observed: Observed) -> Codes:
        return self.coders.encode({n: self.network_input(self.modalities[n], x) for n, x in observed.values.items()})

    def _samples_of_subsets(self, codes: Codes, present: Mapping[str, tf.Tensor], seed) -> tuple[tf.Tensor, dict]:
        """Return samples of shared codes `[U, B, D]`, and by set which of them is its own, `[B]`.

        They are those of `_draw(posterior, seed, "shared")`: one seed, so that an expert's sample is the same in every mixture.
        """
        names = tuple(codes.shared)
        if not self.has_mixture_posterior:
            drawn = [_draw(self.posterior_of(codes, present, subset), seed, "shared") for subset in subsets(names)]
            size = tf.shape(drawn[0])[:1]
            return tf.stack(drawn), {subset: tf.fill(size, i) for i, subset in enumerate(subsets(names))}
        which, noise = tf.unstack(tf.random.experimental.stateless_split(random.stream_seed(seed, "shared"), 2))
        size = tf.shape(next(iter(present.values())))[0]
        standard = self.coders.family.draw([size, self.shared_dim], noise)
        strata = tf.random.stateless_uniform([size], which)
        code = {}
        for subset in subsets(names):
            weights = fusion.mixture_weights(subset, present)
            code[subset] = tf.gather([names.index(n) for n in subset], component_at(weights, strata))
        return tf.stack([reparameterize(q, standard) for q in codes.shared.values()]), code

    def _means(self, name: str, shared: tf.Tensor, private: tf.Tensor | None) -> tf.Tensor:
        """E[x_j] from codes `[U, B, D]` beside private ones `[B, D_j]`: one row of U at a time, which bounds the memory."""
        return tf.map_fn(
            lambda c: mean_value(self.modalities[name], self._decode(name, c, private)),
            shared,
            parallel_iterations=1,
            fn_output_signature=tf.float32,
        )

    def _decode(self, name: str, shared: tf.Tensor, private: tf.Tensor | None) -> tfd.Distribution:
        return self.decoded(self.modalities[name], self.coders.decode(name, shared, private))

    def _values(self, decoded: Mapping[str, tfd.Distribution], mean: bool) -> dict[str, tf.Tensor]:
        value = mean_value if mean else shown_value
        return {name: value(self.modalities[name], p) for name, p in decoded.items()}


def _only(mapping: Mapping, names: Sequence[str]) -> dict:
    missing = [name for name in names if name not in mapping]
    if missing:
        raise UserError(f"The subset names {missing[0]!r}, but only {', '.join(mapping)} were given.")
    return {name: mapping[name] for name in names}


def _check_something_is_there(observed: Observed) -> None:
    """Outside of graphs: a posterior of nothing is a mistake in the mask."""
    count = sum(observed.present.values())
    if tf.executing_eagerly() and not tf.reduce_all(count > 0.0):
        raise UserError(f"The mask says that example {int(tf.argmin(count))} has none of the modalities given; leave it out.")


def _or_prior(q: tfd.Distribution, present: tf.Tensor) -> tfd.Distribution:
    """q where the value is there, `[B]`; the prior, of location 0 and scale 1, where its encoder saw nothing."""
    is_present, (loc, scale) = present[:, None] > 0.0, parameters(q)
    return family_of(q).make(tf.where(is_present, loc, 0.0), tf.where(is_present, scale, 1.0))


def check_seed(seed) -> None:
    """Raise UserError where a seed is not two integers; a tensor of that shape is taken as it is."""
    if tf.is_tensor(seed) and seed.shape == (2,) and seed.dtype.is_integer:
        return
    values = np.asarray(seed) if not tf.is_tensor(seed) else None
    if values is None or values.shape != (2,) or values.dtype.kind not in "iu":
        raise UserError(f"A seed is two integers, such as seed=(0, 1), not {seed!r}.")


def _draw(distribution: tfd.Distribution, seed, stream: str, n: int | tf.Tensor | None = None) -> tf.Tensor:
    """A sample `[B, D]` (or `[n, D]`) under a stateless seed and the stream's name; the mean where the seed is None."""
    if seed is None:
        return distribution.mean()
    check_seed(seed)
    seed = random.stream_seed(seed, stream)
    return sample(distribution, seed) if n is None else distribution.sample([n], seed=seed)
