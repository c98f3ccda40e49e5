"""Options that adversarial models share (Chen & Zhu 2022, release). A model's own stand in its file."""

from __future__ import annotations

from mmtf.config import ModelConfig, TrainConfig, declare, option
from mmtf.errors import UserError


@declare
class AdversarialOptions(ModelConfig):
    """Options of every adversarial model."""

    reconstruction_weight: float = option(0.0, "Adversarial models: weight of |decode(encode(x)) - x|^2.", low=0)
    content_weight: float = option(0.0, "Adversarial models: weight of |encode(decode(z)) - z|^2 for shared codes.", low=0)
    style_weight: float = option(0.0, "Adversarial models: the same for private codes.", low=0)
    joint_reconstruction: bool = option(
        False, "Adversarial models: reconstruct from the geometric mean of all modalities' shared codes, not from each one's."
    )
    average_decay: float = option(0.9999, "Adversarial models: decay of the weights' moving average.", low=0, high=1)
    average_start: int = option(
        50_000, "Adversarial models: step at which the moving average starts; before, it equals the weights.", low=0
    )
    subset_posterior: str = option(
        "geometric",
        "Adversarial models: mean of the experts that a set of modalities has.",
        choices=("geometric", "arithmetic", "product"),
    )

    needs_complete_examples = True

    def check(self, train: TrainConfig | None = None) -> None:
        """Raise UserError where options of training or weights do nothing, or there is no private code."""
        super().check(train)
        if train is not None and train.microbatch:
            raise UserError(f"--microbatch does nothing for --model={self.model}, an adversarial model; remove it.")
        if train is not None and train.validation_examples:
            raise UserError(
                f"--validation_examples does nothing for --model={self.model}: the loss of generators or discriminators is "
                "low where the other is weak, and tells no checkpoint from another. Remove it; --coherence_every measures what "
                "a model has learned."
            )
        if not self.private_dim:
            raise UserError(f"--model={self.model} needs a private code for each modality; set --private_dim, such as 10.")
        if train is not None and train.batch_size < 2:
            raise UserError(f"--batch_size=1 leaves --model={self.model} nothing to exchange between examples; [C] takes 64.")
        if self.joint_reconstruction and not (self.reconstruction_weight or self.content_weight):
            raise UserError("--joint_reconstruction does nothing without --reconstruction_weight or --content_weight; add one.")
