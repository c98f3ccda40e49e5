"""Networks of the adversarial models [C], a module per kind of values: encoder, decoder, and parts of the discriminators.

Every module has the same four functions. `encoder` and `decoder` are generators: they start at N(0, 0.02^2), and
read and answer *relaxed* values: real numbers in the unit of the networks, and of classes their one-hot codes or probabilities
(`mmtf.models.gan.relaxation`). `discriminator` scores a value beside codes; `tower` is the part of a discriminator of several
modalities that reads the value.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

from types import ModuleType

from mmtf.modality import Modality
from mmtf.networks.adversarial import image, mnist, svhn, tokens, vector
from mmtf.networks.default import is_image, is_sequence
from mmtf.networks.image import filters_of

__all__ = ["default_of", "image", "mnist", "svhn", "tokens", "vector"]


def default_of(modality: Modality) -> ModuleType:
    """Return the module for a modality without networks of its own: `image`, `tokens` or `vector`, by its kind of values."""
    if is_image(modality):
        return image if filters_of(modality) else vector
    return tokens if is_sequence(modality) else vector
