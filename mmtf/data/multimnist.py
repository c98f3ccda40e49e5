"""MultiMNIST [C]: a digit in two to four directions, each modality one rotation of MNIST, paired by class.

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import numpy as np

from mmtf import text
from mmtf.config import DataConfig, declare, option
from mmtf.data import pairing, sources
from mmtf.data.dataset import MultimodalData
from mmtf.data.entry import DatasetEntry
from mmtf.data.options import PairedOptions
from mmtf.data.sources import MNIST_LICENCE
from mmtf.modality import Modality, weighted_by_size
from mmtf.networks import adversarial, classifiers, mnist
from mmtf.networks.sizes import WITH_TRUNK


@declare
class Options(PairedOptions):
    """Options of MultiMNIST."""

    num_modalities: int = option(2, "multimnist: rotations, each by 90 degrees more.", low=2, high=4)


# Degrees counterclockwise, in the order in which `--num_modalities` takes them.
ROTATIONS = (0, 90, 180, 270)
# All modalities have the same test images: one pairing uses each of them exactly once in each modality.
TEST_PAIRINGS = 1


def load(config: DataConfig) -> MultimodalData:
    """Return each MNIST image with 30 (by default) other-way-up images of its class in each further modality.

    Partners are drawn from the whole class: in about one of 6,000 the partner shows the anchor's own image.

    Returns:
      `mnist_0`, `mnist_90` and on to `config.num_modalities` of them, uint8 `[28, 28, 1]`, Laplace: MNIST turned by so many
      degrees counterclockwise; row n of every pool shows the same image. Labels 0..9; likelihood weights 1.

    Raises:
      UserError: files or TFDS data cannot be used, see `sources`.
    """
    mnist = sources.mnist(config)
    directions = ROTATIONS[: config.num_modalities]
    return MultimodalData(
        name="multimnist",
        modalities=weighted_by_size([Modality(name(degrees), (28, 28, 1)) for degrees in directions]),
        **pairing.paired_splits(
            {name(degrees): (rotated(mnist.train.images, degrees), mnist.train.label) for degrees in directions},
            {name(degrees): (rotated(mnist.test.images, degrees), mnist.test.label) for degrees in directions},
            config,
            pairings=config.pairings or 30,
            test_pairings=TEST_PAIRINGS,
        ),
        class_names=text.DIGIT_WORDS,
        sources={"mnist": mnist.origin},
        paired_by_class=True,
    )


def rotated(images: np.ndarray, degrees: int) -> np.ndarray:
    """Return images `[N, H, W, C]` turned counterclockwise by a multiple of 90 degrees; a copy unless they stay as they are."""
    return np.ascontiguousarray(np.rot90(images, degrees // 90, axes=(1, 2)))


def name(degrees: int) -> str:
    """Return what the modality of a rotation is called: mnist_90."""
    return f"mnist_{degrees}"


NAMES = tuple(name(degrees) for degrees in ROTATIONS)
MULTIMNIST = DatasetEntry(
    load,
    licence=(MNIST_LICENCE,),
    networks=dict.fromkeys(NAMES, mnist),
    classifiers=dict.fromkeys(NAMES, classifiers.mnist),
    adversarial=dict.fromkeys(NAMES, adversarial.mnist),
    joint_sizes=WITH_TRUNK,
)
