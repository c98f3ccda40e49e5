"""MultimodalVAE: a model that maximises lower bounds on the likelihood, and its training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from mmtf import runtime
from mmtf.latent.coders import Coders, Codes, check_shape
from mmtf.latent.model import LatentModel
from mmtf.latent.observed import Observed, observe
from mmtf.modality import Modality
from mmtf.probability.divergence import kl
from mmtf.probability.gaussian import standard_normal, stddev
from mmtf.probability.likelihood import likelihood, log_density
from mmtf.probability.units import to_network
from mmtf.vae.elbo import Betas, Elbo, Weights, weighted_elbo

tfd = tfp.distributions


class MultimodalVAE(LatentModel):
    """A VAE of several modalities.

    A subclass is one paper's objective: it says which posterior a subset has (`fuse`) and which lower bounds are maximised
    (`elbos`).
    """

    # Whether its lower bounds have `Elbo.kl_experts`.
    draws_experts = False

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
        coders = Coders(modalities, encoders, decoders, shared_dim=shared_dim, seed=seed)
        for m in modalities:
            check_shape(m, "encoder's input", encoders[m.name].input_shape[1:], m.event_shape)
            check_shape(m, "decoder's output", decoders[m.name].output_shape[1:], m.parameter_shape)
        super().__init__(modalities, coders, shared_dim=shared_dim, seed=seed, name=name)
        self.betas = betas or Betas()

    # ---- what its networks read and answer -------------------------------------------------------------------------

    def network_input(self, modality, values):
        return to_network(modality, values)

    def decoded(self, modality, answer):
        """p(x_j|s_j,c)."""
        return likelihood(modality, answer)

    # ---- what an objective is made of ------------------------------------------------------------------------------

    def elbos(self, observed: Observed, codes: Codes, noise: runtime.Noise) -> dict[str, Elbo]:
        """The lower bounds whose sum is maximised, by name; one named "" where there is only one."""
        raise NotImplementedError

    def weights_at(self, step: tf.Tensor | int, observed: Observed) -> Weights:
        """Weights of the lower bounds' parts."""
        return self.betas.at(step)

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
            p = self._decode(name, shared, private.get(name))
            found[name] = observed.masked(name, log_density(self.modalities[name], p, value))
        return found

    def kl_experts(self, observed: Observed, posterior: tfd.MultivariateNormalDiag, codes: Codes) -> dict[str, tf.Tensor]:
        """KL(q(c|X) || q(c|x_j)) `[B]` per modality, 0 where it is missing."""
        return {name: observed.masked(name, kl(posterior, codes.shared[name])) for name in observed.values}

    def kl_private(self, observed: Observed, codes: Codes) -> dict[str, tf.Tensor]:
        """KL(q(s_j|x_j) || N(0, I)) `[B]` per modality with a private code, 0 where it is missing."""
        return {
            name: observed.masked(name, kl(codes.private[name], standard_normal(self.modalities[name].private_dim)))
            for name in observed.values
            if name in codes.private
        }

    # ---- training --------------------------------------------------------------------------------------------------

    def terms(self, values, mask, noise: runtime.Noise, step: tf.Tensor | int) -> dict[str, tf.Tensor]:
        """As `LatentModel.terms`; "loss" is what is minimised."""
        observed = observe(values, mask, self.modalities)
        elbos = self.elbos(observed, self._encode(observed), noise)
        weights = self.weights_at(step, observed)
        loss = -sum(weighted_elbo(elbo, self.modalities, weights) for elbo in elbos.values())
        return {"loss": loss} | {name: term for bound, elbo in elbos.items() for name, term in named_parts(elbo, bound).items()}

    def terms_about(self):
        about = {"loss": ()}
        for bound, names in self.explained().items():
            about |= {_term(bound, "log_likelihood", n): (n,) for n in names}
            # Of several modalities any is enough for a posterior.
            about[_term(bound, "divergence")] = names if len(names) == 1 else ()
            about |= {_term(bound, "kl_private", n): (n,) for n in names if self.modalities[n].private_dim}
            about |= {_term(bound, "kl_experts", n): (n,) for n in names if self.draws_experts}
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

    def schedule(self, step: int) -> dict[str, float]:
        """What changes with the step: the weights of the divergences."""
        weights = self.betas.at(step)
        return {"shared_weight": float(weights.shared), "private_weight": float(weights.private)}


def named_parts(elbo: Elbo, bound: str = "") -> dict[str, tf.Tensor]:
    """The parts of a lower bound by the names of the terms."""
    found = {_term(bound, "log_likelihood", n): term for n, term in elbo.log_px.items()}
    found[_term(bound, "divergence")] = elbo.divergence
    found |= {_term(bound, "kl_private", n): term for n, term in elbo.kl_private.items()}
    return found | {_term(bound, "kl_experts", n): term for n, term in elbo.kl_experts.items()}


def _term(*parts: str) -> str:
    return "/".join(part for part in parts if part)
