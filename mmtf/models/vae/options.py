"""Options that several VAEs share. A model's own stand in its file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mmtf.config import ModelConfig, TrainConfig, declare, named_numbers, option
from mmtf.config.names import MODELS
from mmtf.errors import UserError
from mmtf.modality import Modality

# Departures of the release of Sutter et al. 2020, which --quirks repeats.
QUIRKS = ("log_softmax_as_probabilities", "unit_weights_of_single_bounds", "raw_experts_of_single_bounds")
LOG_SOFTMAX, UNIT_WEIGHTS, RAW_EXPERTS = QUIRKS
# What does nothing without private codes, and without a contrast.
PRIVATE = ("private_beta", "private_beta_start", "private_weights")
CONTRASTIVE = ("contrast_gamma", "contrast_negatives", "contrast_trains")


@declare
class VAEOptions(ModelConfig):
    """Options of every VAE: weights as in Sutter et al. 2020, C.3.2, and the contrast of Shi et al. 2021."""

    beta: float = option(5.0, "Weight of all divergences.", low=0)
    shared_beta: float = option(1.0, "Weight of the shared code's divergence, times --beta.", low=0)
    private_beta: float = option(1.0, "Weight of the private codes' divergences, times --beta.", low=0)
    private_weights: str = option("", "Further weights of single modalities' private divergences, such as 'word=5'.")
    likelihood_weights: str = option("", "Likelihood weights, such as 'digit=3.9,word=384'; by default size(largest)/size.")
    beta_start: float | None = option(None, "--beta at step 0, changing linearly over --warmup_steps.", low=0)
    private_beta_start: float | None = option(None, "--private_beta at step 0, changing likewise.", low=0)
    warmup_steps: int = option(0, "Steps over which the weights go from their start to their end.", low=0)
    importance_samples: int | None = option(
        None,
        "Samples K of importance-weighted bounds: those of mmvae_iw and mmvae_plus, K from each expert; those of mvae and "
        "jmvae, which take one sample and closed divergences without it; and those of --contrast. 30 by default.",
        low=1,
    )
    contrast: str = option(
        "none",
        "Make the objective contrastive: examples are to be likelier than with one modality of another example, whose "
        "likelihood is estimated by iwae (the variants cI-) or cubo (cC-).",
        choices=("none", "iwae", "cubo"),
    )
    contrast_gamma: float = option(2.0, "Weight of the plain loss in a contrastive one.", above=0)
    contrast_negatives: int = option(
        5, "Other examples N whose modalities each example gets in turn in a contrastive loss.", low=0
    )
    contrast_trains: str = option(
        "all",
        "What the second term of a contrastive loss trains: all, as published, or the decoders alone, which keeps encoders "
        "from making bad posteriors of what does not belong together.",
        choices=("all", "decoders"),
    )
    quirks: str = option(
        "",
        "Departures of the papers' releases from their papers, to compare with their tables: log_softmax_as_probabilities (of "
        "texts), unit_weights_of_single_bounds and raw_experts_of_single_bounds (of mvae).",
    )

    # Departures that the model can repeat.
    known_quirks = (LOG_SOFTMAX,)
    # Weights that may start elsewhere than they end.
    starts = ("beta_start", "private_beta_start")
    # Whether its bounds can be importance-weighted without a contrast.
    importance_weighted = False

    def check(self, train: TrainConfig | None = None) -> None:
        """Raise UserError for options that do nothing, or more other examples of a contrast than a batch has."""
        super().check(train)
        starts = [f"--{name}" for name in self.starts if getattr(self, name) is not None]
        if bool(starts) != bool(self.warmup_steps):
            asked = "--beta_start or --private_beta_start"
            given, missing = (starts[0], "--warmup_steps") if starts else ("--warmup_steps", asked)
            raise UserError(f"{given} does nothing without {missing}; give both or neither.")
        if not self.private_dim:
            self._refuse_others_than_defaults("with --private_dim=0; set --private_dim,", *PRIVATE)
        self.quirk_names()
        if self.contrast == "none":
            self._refuse_others_than_defaults("without --contrast; set --contrast=iwae,", *CONTRASTIVE)
            if self.importance_samples and not self.importance_weighted:
                weighted = ", ".join(MODELS.where(lambda cls: getattr(cls, "importance_weighted", False)))
                raise UserError(
                    f"--importance_samples does nothing for --model={self.model} without --contrast; importance-weighted "
                    f"bounds have {weighted}."
                )
        elif train is not None:
            flag = "microbatch" if train.microbatch else "batch_size"
            size = getattr(train, flag)
            if self.contrast_negatives >= size:
                raise UserError(
                    f"--contrast_negatives={self.contrast_negatives} other examples must come from a batch, but --{flag} is "
                    f"{size}; lower the one or raise the other."
                )

    def other_examples(self) -> int:
        """As `ModelConfig.other_examples`: those of a contrast."""
        return 0 if self.contrast == "none" else self.contrast_negatives

    def weighted(self, modalities: Sequence[Modality]) -> tuple[Modality, ...]:
        """As `ModelConfig.weighted`: with the weights of likelihoods and divergences, and the departures of a release."""
        names = tuple(m.name for m in modalities)
        likelihood = named_numbers(self.likelihood_weights, "likelihood_weights", names)
        private = named_numbers(self.private_weights, "private_weights", names)
        inverted = LOG_SOFTMAX in self.quirk_names()
        if inverted and not any(m.likelihood == "categorical" for m in modalities):
            raise UserError(f"--quirks={LOG_SOFTMAX} does nothing here: none of {', '.join(names)} is categorical. Remove it.")
        return tuple(
            dataclasses.replace(
                m,
                private_weight=private.get(m.name, m.private_weight),
                likelihood_weight=likelihood.get(m.name, m.likelihood_weight),
                log_softmax_as_probabilities=inverted and m.likelihood == "categorical",
            )
            for m in modalities
        )

    def quirk_names(self) -> tuple[str, ...]:
        """Return the departures that are asked for.

        Raises:
          UserError: there is none of that name, or the model does not have it.
        """
        names = tuple(name.strip() for name in self.quirks.split(",")) if self.quirks else ()
        for name in names:
            users = MODELS.where(lambda cls, name=name: name in getattr(cls, "known_quirks", ()))
            if not users:
                raise UserError(f"--quirks names {name!r}, but there are {', '.join(QUIRKS)}.")
            if name not in self.known_quirks:
                raise UserError(
                    f"--quirks={name} does nothing for --model={self.model}; it belongs to {', '.join(users)}. Remove it."
                )
        return names

    def _refuse_others_than_defaults(self, why: str, *names: str) -> None:
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name in names:
            if getattr(self, name) != defaults[name]:
                raise UserError(f"--{name} does nothing {why} or remove --{name}.")


@declare
class AlignedOptions(VAEOptions):
    """Options of a VAE that draws the experts to the joint posterior."""

    alpha: float | None = option(
        None,
        "jmvae, mvtcae: weight of KL(q(c|X) || q(c|x_j)), which draws single modalities' posteriors to the joint one; "
        "0.1 by default.",
        low=0,
    )
