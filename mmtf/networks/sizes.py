"""Sizes of networks that a data set chooses, without the networks.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class JointDiscriminatorSizes:
    """Sizes of a discriminator of all modalities together, by default as [C]'s release has them for MNIST-SVHN.

    Attributes:
      tower: layers over those of each modality's own tower.
      trunk: hidden layers over all towers side by side; None for the inner products of the towers.
      code: layers of the codes' tower, of the joint discriminator.
    """

    tower: tuple[int, ...] = (256, 256)
    trunk: tuple[int, ...] | None = None
    code: tuple[int, ...] = (400, 256)


# Of [C]'s release for MultiMNIST, where several modalities' towers go through a trunk.
WITH_TRUNK = JointDiscriminatorSizes(tower=(256,), trunk=(1024, 1024))
