"""AdversarialModel: generators against discriminators, two phases a step, and the moving average that is served.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from mmtf.distributed import random, replicas
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.models import default_networks, fusion
from mmtf.models.base import LatentModel
from mmtf.models.default_networks import NetworksOf
from mmtf.models.encoders import Coders, Codes, check_shape
from mmtf.models.gan import regularisers
from mmtf.models.gan.options import AdversarialOptions
from mmtf.models.gan.regularisers import AdversarialWeights, sampled
from mmtf.models.gan.relaxation import output_distribution, relax
from mmtf.models.gan.tuples import Tuples
from mmtf.models.inputs import observe
from mmtf.models.keras_model import Batch
from mmtf.networks import adversarial
from mmtf.networks.layers import ADVERSARIAL_STDDEV
from mmtf.networks.sizes import JointDiscriminatorSizes

log = logging.getLogger(__name__)

# The two phases of a step, in order, and what is minimised in each.
LOSSES = {"discriminators": "discriminator/loss", "generators": "generator/loss"}
PHASES = tuple(LOSSES)
# Nothing in adversarial training keeps encoders from becoming deterministic. Below this, which discriminators cannot see any
# more, variances fell until their logarithms were infinite, and the experts' precisions with them.
SMALLEST_VARIANCE = 1e-4


class AdversarialModel(LatentModel):
    """Unimodal encoders and deterministic decoders, trained against discriminators of tuples (X, S, c) [C].

    A subclass says what its discriminators are and what both sides' losses are. The encoders and decoders that learn are
    `generators`. `coders`, which every verb uses, are their moving average ([C]: decay 0.9999 from step 50,000 on).
    """

    Options = AdversarialOptions

    def __init__(
        self,
        modalities: Sequence[Modality],
        encoders: Mapping[str, keras.Model] | None = None,
        decoders: Mapping[str, keras.Model] | None = None,
        *,
        discriminators: Mapping[str, keras.Layer] | None = None,
        networks_of: NetworksOf = adversarial.default_of,
        joint_sizes: JointDiscriminatorSizes | None = None,
        seed: int = 0,
        name: str | None = None,
        **options,
    ):
        """Args:
        encoders: per modality, relaxed values `[B, *relaxed_shape]` -> features `[B, F]`.
        decoders: per modality, codes `[B, private_dim + shared_dim]` -> relaxed values.
        discriminators: by name, which fixes the names of their weights in checkpoints; see `default_discriminators`.
        networks_of: the module with `encoder`, `decoder`, `discriminator` and `tower` for a modality that comes without.
        joint_sizes: of a discriminator of all modalities that is not given.
        seed: of the initial weights and of the training noise; with the step it fixes every draw.
        options: fields of `Options` by name. average_decay, average_start: of the moving average; before the start it is the
          generators themselves. subset_posterior: mean of the experts that a set of modalities has: geometric, arithmetic (a
          mixture), or product.

        Raises:
          ValueError: one modality only, one without a private code or with missing cells, parts that do not fit together, or an
            option that the model does not have.
        """
        _check_modalities(modalities, options.get("private_dim"))
        # Before Keras' own initialisation, which asks for the names of the terms.
        self.options, modalities = self.configured(modalities, options)
        chosen, shared_dim = self.options, self.options.shared_dim
        self.loss_weights = AdversarialWeights(
            unimodal=getattr(chosen, "unimodal_weight", 0.0),
            reconstruction=chosen.reconstruction_weight,
            content=chosen.content_weight,
            style=chosen.style_weight,
            joint_reconstruction=chosen.joint_reconstruction,
        )
        encoders = default_networks.encoders(modalities, seed, networks_of, encoders)
        decoders = default_networks.decoders(modalities, shared_dim, seed, networks_of, decoders)
        head = {"stddev": ADVERSARIAL_STDDEV, "floor": math.log(SMALLEST_VARIANCE)}
        generators = Coders(modalities, encoders, decoders, shared_dim=shared_dim, seed=seed, head=head, name="players")
        for m in modalities:
            check_shape(m, "encoder's input", encoders[m.name].input_shape[1:], m.relaxed_shape)
            check_shape(m, "decoder's output", decoders[m.name].output_shape[1:], m.relaxed_shape)
        super().__init__(modalities, generators.copied("average"), seed=seed, name=name)
        self.generators = generators
        self.coders.trainable = False
        makers = self.default_discriminators(seed, networks_of, joint_sizes or JointDiscriminatorSizes())
        self.discriminators = _given_or_made(discriminators or {}, makers)
        self.average_decay, self.average_start = chosen.average_decay, chosen.average_start
        self.subset_posterior = subset_posterior = chosen.subset_posterior
        if subset_posterior == "product":
            log.warning(
                "A product of experts is sharper than the experts, which training made equal to one another: [C] advises "
                "against it. --subset_posterior=geometric has the width of one expert."
            )

    # ---- what a subclass says --------------------------------------------------------------------------------------

    def default_discriminators(
        self, seed: int, networks_of: NetworksOf, sizes: JointDiscriminatorSizes
    ) -> dict[str, Callable[[], keras.Layer]]:
        """Return what makes each discriminator, by its name."""
        raise NotImplementedError

    def terms_of(self, phase: str) -> list[str]:
        """Return names of a phase's terms, in order, the loss first."""
        raise NotImplementedError

    def discriminator_terms(
        self, real: Tuples, fake: Tuples, single: Tuples | None, single_fake: Tuples | None, advance: bool
    ) -> dict[str, tf.Tensor]:
        """The discriminators' losses `discriminator/...`, whose sum is minimised, and accuracies `accuracy/...`: `[B]` each.

        Args:
          real: tuples of paired values and what the generators encode of them. fake: tuples that they generate.
          single, single_fake: the same of values that are no pairs; None where there are no unimodal terms.
          advance: whether the discriminators' spectral norms make a step, as they do once in training.
        """
        raise NotImplementedError

    def generator_terms(self, real: Tuples, fake: Tuples, single: Tuples | None, single_fake: Tuples | None) -> dict:
        """Return the generators' adversarial losses `generator/...`, weighted, and accuracies. Arguments as above."""
        raise NotImplementedError

    # ---- what its networks read and answer -------------------------------------------------------------------------

    def network_input(self, modality, values):
        return relax(modality, values)

    def decoded(self, modality, answer):
        return output_distribution(modality, answer)

    @property
    def has_mixture_posterior(self):
        return self.subset_posterior == "arithmetic"

    def fuse(self, experts, present):
        if self.subset_posterior == "geometric":
            return fusion.geometric_posterior(experts, present)
        if self.subset_posterior == "arithmetic":
            return fusion.mixture_posterior(experts, present)
        return fusion.product_posterior(experts, present, self.prior)

    def log_likelihood(self, *_, **__):
        """Raise UserError: there is none."""
        raise UserError(
            "An adversarial model has no likelihood: its decoders are deterministic functions of the codes ([C] eq. 9). Ask "
            "for coherence, probes or sample quality, or train a VAE."
        )

    # ---- training --------------------------------------------------------------------------------------------------

    def train_step(self, data):
        """Update the discriminators, the generators on fresh values, and the moving average; report.

        Args:
          data: `values`, and `single` where there are unimodal terms, `[B, 2, ...]` per modality: a batch for each phase. Or
            a plain dict of values, see `in_phases`.
        """
        parts = self.in_phases(self.batch_of(data))
        step = tf.cast(self.optimizer.iterations, tf.int32)
        noise = random.Noise(tf.stack([self.seed, step]), replicas.batch_size(parts.values))
        terms = {}
        for place, (phase, (optimizer, variables)) in enumerate(zip(PHASES, self.learned().items(), strict=True)):
            batch, single = (_of_phase(part, place) for part in (parts.values, parts.single))
            find = functools.partial(self._differentiated, phase, batch, single, noise, variables)
            phase_terms, gradients = replicas.compiled(find) if self.compiles_gradients else find()
            getattr(self, optimizer).apply(gradients, variables)
            norm = tf.linalg.global_norm(replicas.replica_sum(gradients))
            terms |= phase_terms | {f"gradient_norm/{phase}": norm * tf.ones_like(phase_terms[LOSSES[phase]])}
        self._update_average(step)
        self.term_means.update_state(terms | {"loss": terms["generator/loss"]}, None, step)
        return self.get_metrics_result()

    def _differentiated(self, phase: str, batch, single, noise, variables):
        """The terms of one side, and the gradients of its mean loss."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            terms = self._phase_terms(phase, batch, single, noise, advance=phase == "discriminators")
            loss = replicas.replica_mean(terms[LOSSES[phase]])
        return terms, tape.gradient(loss, variables)

    def terms(self, values, mask, noise, step):
        """As `LatentModel.terms`, of both phases on the same examples; "loss" is the generators'.

        Incomplete examples have none: discriminators see whole tuples. (In training they take part in the unimodal terms.)
        """
        if mask:
            present = observe(values, mask, self.modalities).present
            whole = tf.reduce_all([present[n] > 0.0 for n in self.names], axis=0)
            values = {n: tf.boolean_mask(x, whole) for n, x in values.items()}
            terms = self.terms(values, None, _NoiseOfRows(noise, whole), step)
            zeros = tf.zeros_like(whole, tf.float32)
            return {name: tf.tensor_scatter_nd_update(zeros, tf.where(whole), term) for name, term in terms.items()}
        terms = {}
        for phase in PHASES:
            terms |= self._phase_terms(phase, values, values if self.loss_weights.unimodal else None, noise, advance=False)
        return {"loss": terms["generator/loss"]} | terms

    def term_modalities(self):
        return dict.fromkeys(["loss", *self.terms_of("discriminators"), *self.terms_of("generators")], self.names)

    def reported(self):
        return super().reported() | {f"gradient_norm/{phase}": () for phase in PHASES}

    @classmethod
    def batches_per_step(cls):
        return len(PHASES)

    def uses_unpaired_values(self):
        return bool(self.loss_weights.unimodal)

    def in_phases(self, batch: Batch) -> Batch:
        """Return a batch whose values are `[B, phases, ...]`: of plain values the first and the second half of the examples.

        The unimodal terms, which look at no pairs, then take the same values.

        Raises:
          ValueError: incomplete examples, or an odd number of them.
        """
        if batch.phased:
            return batch
        if batch.mask:
            raise ValueError(
                f"{type(self).__name__} learns from complete examples; leave incomplete ones out of the data set, or train "
                "with mmtf.train, which uses their values without pairing them."
            )
        values = {name: _halves(x) for name, x in batch.values.items()}
        return Batch(values, single=values if self.uses_unpaired_values() else None, phased=True)

    @property
    def networks(self):
        own = {"encoders": self.generators.encoders, "decoders": self.generators.decoders}
        return own | {"discriminators": self.discriminators}

    def learned(self):
        against = [v for discriminator in self.discriminators.values() for v in discriminator.trainable_variables]
        return {"discriminator_optimizer": against, "optimizer": self.generators.trainable_variables}

    def named_weights(self):
        generators = {f"player.{key}": v for key, v in self.generators.named_weights().items()}
        against = {
            f"discriminator.{key}.{i}.{v.name}": v
            for key, network in self.discriminators.items()
            for i, v in enumerate(network.weights)
        }
        return self.coders.named_weights() | generators | against

    def served_weights(self):
        return self.coders.named_weights()

    def schedule(self, step: int):
        return {"average_decay": self.average_decay if step > self.average_start + 1 else 0.0}

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _phase_terms(self, phase: str, values, single, noise, *, advance: bool) -> dict[str, tf.Tensor]:
        """Return all terms of one side."""
        real, posteriors = self._encoded(values, noise, f"{phase}/paired")
        fake = self._generated(real, noise, f"{phase}/paired")
        alone = alone_fake = None
        if single is not None:
            alone, _ = self._encoded(single, noise, f"{phase}/single")
            alone_fake = self._generated(alone, noise, f"{phase}/single")
        if phase == "discriminators":
            terms = self.discriminator_terms(real, fake, alone, alone_fake, advance)
        else:
            terms = self.generator_terms(real, fake, alone, alone_fake)
            both = real, fake, alone or real, posteriors
            terms |= regularisers.terms(self.generators, self.loss_weights, *both, noise) | _entropies(posteriors)
        side = LOSSES[phase].split("/")[0]
        terms[LOSSES[phase]] = tf.add_n([term for name, term in terms.items() if name.startswith(side)])
        return {name: terms[name] for name in self.terms_of(phase)}

    def _encoded(self, values: Mapping, noise, stream: str) -> tuple[Tuples, Codes]:
        """Return real values with codes that the generators sample for them, and the Gaussians that these come from."""
        x = {n: relax(self.modalities[n], v) for n, v in observe(values, None, self.modalities).values.items()}
        posteriors = self.generators.encode(x)
        return Tuples(x, *(sampled(q, noise, f"{stream}/{kind}") for kind, q in _kinds(posteriors))), posteriors

    def _generated(self, like: Tuples, noise, stream: str) -> Tuples:
        """As many tuples from the priors: one c for all modalities, [C] eq. 9."""
        c = noise.normal(f"{stream}/prior/shared", self.shared_dim)
        private = {n: noise.normal(f"{stream}/prior/private/{n}", self.modalities[n].private_dim) for n in like.x}
        x = {n: self.generators.decode(n, c, private[n]) for n in like.x}
        return Tuples(x, private, dict.fromkeys(like.x, c))

    def _reported_beside(self) -> list[str]:
        """Return the names of the terms that every adversarial model has in the generators' phase."""
        entropies = [f"entropy/{kind}/{n}" for kind in ("shared", "private") for n in self.modalities]
        return regularisers.names(self.loss_weights, self.names) + entropies

    def _update_average(self, step: tf.Tensor) -> None:
        """average <- average + (1 - decay) (generator - average); up to the start decay is 0, as in [C]'s release."""
        decay = tf.where(step <= self.average_start, 0.0, self.average_decay)
        generators, averages = self.generators.named_weights(), self.coders.named_weights()
        moved = [average + (1.0 - decay) * (generators[key] - average) for key, average in averages.items()]
        replicas.assign_equal(list(averages.values()), moved)


class _NoiseOfRows:
    """Noise for some rows of a batch."""

    def __init__(self, noise, rows: tf.Tensor):
        self._noise, self._rows = noise, rows

    def normal(self, stream: str, dim: int) -> tf.Tensor:
        return tf.boolean_mask(self._noise.normal(stream, dim), self._rows)


def _given_or_made(given: Mapping[str, keras.Layer], makers: Mapping[str, Callable[[], keras.Layer]]) -> dict:
    unknown = sorted(set(given) - set(makers))
    if unknown:
        raise ValueError(f"There is no discriminator {unknown[0]!r} here; there are {', '.join(makers)}.")
    return {name: given[name] if name in given else make() for name, make in makers.items()}


def _of_phase(values: Mapping | None, place: int) -> dict[str, tf.Tensor] | None:
    """Return the batch of one phase, from `[B, phases, ...]`."""
    return None if values is None else {n: x[:, place] for n, x in values.items()}


def _halves(x: tf.Tensor) -> tf.Tensor:
    """Return the two halves of a batch `[2B, ...]`, side by side: `[B, 2, ...]`."""
    size = x.shape[0]
    if size is not None and size % 2:
        raise ValueError(
            f"A training step takes the two halves of a batch, and {size} examples have none; choose an even batch size, and "
            "drop_remainder=True."
        )
    return tf.stack(tf.split(x, 2), axis=1)


def _kinds(posteriors: Codes) -> tuple[tuple[str, Mapping], ...]:
    """In the order of `Tuples`."""
    return ("private", posteriors.private), ("shared", posteriors.shared)


def _entropies(posteriors: Codes) -> dict[str, tf.Tensor]:
    return {f"entropy/{kind}/{n}": q.entropy() for kind, part in _kinds(posteriors) for n, q in part.items()}


def _check_modalities(modalities: Sequence[Modality], private_dim: int | None) -> None:
    if len(modalities) < 2:
        raise ValueError(f"An adversarial model aligns several modalities; {len(modalities)} was given. Train a VAE instead.")
    for m in modalities:
        if not (m.private_dim if private_dim is None else private_dim):
            raise ValueError(
                f"{m.name}: an adversarial model needs a private code for each modality ([C] 'Latent Space Factorization': its "
                "decoders are deterministic, and what modalities do not share would have no place); set --private_dim=10 or so."
            )
        if m.missing_cells:
            raise ValueError(
                f"{m.name}: an adversarial model has no likelihood that could leave out single missing cells; fill them in, or "
                "make the whole value missing."
            )
