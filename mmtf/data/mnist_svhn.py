"""MNIST-SVHN-Text [S] 5.2 and MNIST-SVHN [C]: images of one digit, and its English word, paired by class.

[S]: Sutter, Daunhawer, Vogt 2020. [C]: Chen, Zhu 2022.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mmtf import text
from mmtf.config import DataConfig, declare
from mmtf.data import pairing, sources
from mmtf.data.dataset import MultimodalData
from mmtf.data.entry import DatasetEntry
from mmtf.data.options import PairedOptions
from mmtf.data.sources import MNIST_LICENCE, SVHN_LICENCE
from mmtf.modality import Modality, weighted_by_size
from mmtf.networks import adversarial, classifiers
from mmtf.networks import mnist as mnist_networks
from mmtf.networks import svhn as svhn_networks
from mmtf.networks import text as text_networks


@declare
class Options(PairedOptions):
    """Options of MNIST-SVHN and MNIST-SVHN-Text: those of every data set that is paired by class."""


MNIST = Modality("mnist", (28, 28, 1))
SVHN = Modality("svhn", (32, 32, 3))
TEXT = Modality("text", (8,), "categorical", num_classes=len(text.ALPHABET), alphabet=text.ALPHABET)
# Every test image of SVHN is used: there are 26,032, and 10,000 of MNIST.
TEST_PAIRINGS = 5


def load_with_text(config: DataConfig) -> MultimodalData:
    """MNIST-SVHN-Text: each MNIST image with 20 (by default) SVHN images and words of its class.

    Returns:
      `mnist` uint8 `[28, 28, 1]` and `svhn` uint8 `[32, 32, 3]`, Laplace; `text` uint8 `[8]`, the English word at a random
      start, spaces elsewhere, categorical over 71 symbols; labels 0..9. Likelihood weights size(largest)/size, [S] C.3.2.

    Raises:
      UserError: files or TFDS data cannot be used, see `sources`; or MNIST has a class that SVHN lacks, or SVHN one that
        MNIST lacks.
    """
    words, digit = text.digit_word_pool()
    return _load("mnist_svhn_text", config, (MNIST, SVHN, TEXT), {"text": (words.astype(np.uint8), digit)}, pairings=20)


def load(config: DataConfig) -> MultimodalData:
    """MNIST-SVHN [C]: each MNIST image with 30 (by default) SVHN images of its class. Otherwise as `load_with_text`."""
    return _load("mnist_svhn", config, (MNIST, SVHN), {}, pairings=30)


def _load(name: str, config: DataConfig, modalities: tuple[Modality, ...], made_up, pairings: int) -> MultimodalData:
    """Args: made_up: per modality without a source, values and labels; the same for both parts, never cut down."""
    mnist, svhn = sources.mnist(config), sources.svhn(config)
    return MultimodalData(
        name=name,
        modalities=weighted_by_size(modalities),
        **pairing.paired_splits(
            {"mnist": mnist.train, "svhn": svhn.train, **made_up},
            {"mnist": mnist.test, "svhn": svhn.test, **made_up},
            config,
            pairings=config.pairings or pairings,
            test_pairings=TEST_PAIRINGS,
            whole=tuple(made_up),
        ),
        class_names=text.DIGIT_WORDS,
        sources={"mnist": mnist.origin, "svhn": svhn.origin},
        paired_by_class=True,
    )


# Half of the features of SVHN's classifier are dropped while it learns: on 8,000 images, 15 epochs come to 0.82 on others and
# 40 to 0.87.
MNIST_SVHN = DatasetEntry(
    load,
    licence=(MNIST_LICENCE, SVHN_LICENCE),
    networks={"mnist": mnist_networks, "svhn": svhn_networks},
    classifiers={"mnist": classifiers.mnist, "svhn": classifiers.svhn},
    classifier_epochs={"svhn": 40},
    adversarial={"mnist": adversarial.mnist, "svhn": adversarial.svhn},
)
MNIST_SVHN_TEXT = dataclasses.replace(
    MNIST_SVHN,
    load=load_with_text,
    networks={**MNIST_SVHN.networks, "text": text_networks},
    classifiers={**MNIST_SVHN.classifiers, "text": classifiers.text},
    adversarial={**MNIST_SVHN.adversarial, "text": adversarial.tokens},
)
