"""The classifiers that evaluate CelebA's images and texts, [S] Table 3: values of one modality -> a logit for each attribute.

The table ends in a sigmoid; here the logits come out, and `metrics.classifier` applies it inside the loss. Blocks have the
release's batch normalisation (see `mmtf.networks.residual`). Its dropout, in the blocks and before the last layer, is not in
the table and left out, as in `classifiers.text`.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import keras

from mmtf.modality import Modality
from mmtf.networks import celeba_image, celeba_text, layers, residual
from mmtf.networks.classifiers import FEATURES

TEXT_WIDTHS = (128, 256, 384, 512, 640, 768, 896)


def image(modality: Modality, num_classes: int, *, seed: int | None = None) -> keras.Model:
    """[S] Table 3, left: images `[B, 64, 64, 3]`, float in 0..1 -> logits `[B, num_classes]`; 40 attributes in the table.

    Raises:
      ValueError: the modality's values are not `(64, 64, 3)` real numbers, or num_classes is below 1.
    """
    shape = celeba_image.EVENT_SHAPE
    layers.require(modality, shape, categorical=False, network="CelebA's image classifier ([S] Table 3)")
    return _classifier(modality, shape, celeba_image.ENCODER_WIDTHS, num_classes, seed)


def text(modality: Modality, num_classes: int, *, seed: int | None = None) -> keras.Model:
    """[S] Table 3, right: probabilities of characters (one-hot for a real text) `[B, 256, C]` -> logits `[B, num_classes]`.

    Generated text comes as a decoder's mean, as in the authors' release, so that C = modality.num_classes probabilities
    stand where a real text has a single 1.

    Raises:
      ValueError: the modality's values are not 256 characters, or num_classes is below 1.
    """
    shape = celeba_text.EVENT_SHAPE
    layers.require(modality, shape, categorical=True, network="CelebA's text classifier ([S] Table 3)")
    return _classifier(modality, modality.parameter_shape, TEXT_WIDTHS, num_classes, seed)


def _classifier(modality: Modality, shape, widths, num_classes: int, seed: int | None) -> keras.Model:
    layers.require_positive(num_classes=num_classes)
    init = layers.glorot(seed)
    values = keras.Input(shape)
    features = keras.layers.Flatten(name=FEATURES)(residual.contracting(values, widths, init, residual.batch_norm))
    logits = keras.layers.Dense(num_classes, kernel_initializer=next(init), name="logits")(features)
    return keras.Model(values, logits, name=f"{modality.name}_classifier")
