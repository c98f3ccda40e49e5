"""The classifiers that evaluate coherence, [S] Tables 1 and 2: values of one modality -> class logits.

The tables end in a sigmoid; here the logits come out, and `metrics.classifier` applies it inside the loss. Batch
normalisation has PyTorch's defaults, as in the authors' release: momentum 0.1 (0.9 as Keras counts it), epsilon 1e-5.
Where a table cannot be meant as printed, the docstring says what was taken instead. All randomness comes from `seed`.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

import keras

from mmtf.modality import Modality
from mmtf.networks import layers
from mmtf.networks import mnist as mnist_networks
from mmtf.networks import svhn as svhn_networks
from mmtf.networks import text as text_networks

DROPOUT = 0.5
# Pixels 0..1 to -2..2, about zero mean and unit variance. See `svhn`.
CENTRED = {"scale": 4.0, "offset": -2.0}
FEATURES = "features"


def mnist(modality: Modality, num_classes: int, *, seed: int | None = None) -> keras.Model:
    """[S] Table 1, left: images `[B, 28, 28, 1]`, float in 0..1 -> logits `[B, num_classes]`.

    Sizes 28, 14, 7, 3: "same" would make the last one 4, so padding is explicit there. The table's `linear 128` counts
    channels; flattened there are 3 * 3 * 128 = 1152 features. (The authors' release pads by 0, not by the table's 1, and so
    comes to 1x1x128, and drops out half of it: neither is in the table.)

    Raises:
      ValueError: the modality's values are not `(28, 28, 1)` real numbers, or num_classes is below 1.
    """
    shape = mnist_networks.EVENT_SHAPE
    layers.require(modality, shape, categorical=False, network="the MNIST classifier ([S] Table 1)")
    init = layers.glorot(seed)

    def conv(filters, padding):
        return keras.layers.Conv2D(filters, 4, 2, padding, activation="relu", kernel_initializer=next(init))

    return _sequential(
        modality,
        [
            keras.Input(shape),
            conv(32, "same"),
            conv(64, "same"),
            keras.layers.ZeroPadding2D(1),
            conv(128, "valid"),
        ],
        _logits(num_classes, init),
    )


def svhn(modality: Modality, num_classes: int, *, seed: int | None = None) -> keras.Model:
    """[S] Table 1, right: images `[B, 32, 32, 3]`, float in 0..1 -> logits `[B, num_classes]`.

    Each of four convolutions is followed by dropout, batch normalisation and ReLU, in this order. The table's single
    channel at the input is taken for a misprint of 3.

    Departure: pixels are centred first. Dropout comes before batch normalisation, so its noise grows with the brightness of
    the image, which says nothing of the class; the first convolution could undo this, but has to learn to. With it, seven
    epochs over 8,000 images of SVHN come to 0.70 on others, without it to 0.38.

    Raises:
      ValueError: the modality's values are not `(32, 32, 3)` real numbers, or num_classes is below 1.
    """
    shape = svhn_networks.EVENT_SHAPE
    layers.require(modality, shape, categorical=False, network="the SVHN classifier ([S] Table 1)")
    init, dropout_seeds = layers.glorot(seed), layers.seeds(seed, layers.DROPOUT)
    trunk = [keras.Input(shape), keras.layers.Rescaling(**CENTRED)]
    for filters, padding in ((32, "same"), (64, "same"), (64, "same"), (128, "valid")):
        trunk += [
            keras.layers.Conv2D(filters, 4, 2, padding, kernel_initializer=next(init)),
            keras.layers.Dropout(DROPOUT, seed=next(dropout_seeds)),
            _batch_norm(),
            keras.layers.ReLU(),
        ]
    return _sequential(modality, trunk, _logits(num_classes, init))


def text(modality: Modality, num_classes: int, *, seed: int | None = None) -> keras.Model:
    """[S] Table 2: probabilities of characters (one-hot for a real text) `[B, 8, C]` -> logits `[B, num_classes]`.

    Generated text comes as a decoder's mean, as in the authors' release, so that C = modality.num_classes probabilities
    stand where a real text has a single 1.

    Printed, the table shrinks 8 characters to 10, 5, 2, 1 and then asks for a kernel of 4 without padding: impossible. The
    authors' release has rows 1, 2, 5 and 6 only, with no padding in row 1: lengths 8, 4, 1, channels 128, 192, 128. Taken
    here, with the plain sum of He et al. for the release's `shortcut + 0.3 * residual`, and without its last dropout.

    Raises:
      ValueError: the modality's values are not 8 characters, or num_classes is below 1.
    """
    shape = text_networks.EVENT_SHAPE
    layers.require(modality, shape, categorical=True, network="the text classifier ([S] Table 2)")
    init = layers.glorot(seed)
    probabilities = keras.Input(modality.parameter_shape)
    x = keras.layers.Conv1D(128, 1, kernel_initializer=next(init), name="characters")(probabilities)
    x = _residual(x, 192, "same", init, "block1")
    x = _residual(x, 128, "valid", init, "block2")
    features = keras.layers.Flatten(name=FEATURES)(x)
    return keras.Model(probabilities, _logits(num_classes, init)(features), name=f"{modality.name}_classifier")


def features(classifier: keras.Model) -> keras.Model:
    """The classifier up to its last layer, sharing its weights: values -> features `[B, F]`, for PRD and Frechet distance."""
    return keras.Model(classifier.inputs[0], classifier.get_layer(FEATURES).output, name=f"{classifier.name}_features")


def features_and_logits(classifier: keras.Model) -> keras.Model:
    """The classifier with two outputs, sharing its weights: values -> features `[B, F]` and logits `[B, num_classes]`."""
    outputs = [classifier.get_layer(FEATURES).output, classifier.outputs[0]]
    return keras.Model(classifier.inputs[0], outputs, name=f"{classifier.name}_features_and_logits")


def _residual(x, filters: int, padding: str, init, name: str):
    """Pre-activation block (He et al.) as in the authors' release: a kernel of 1, then one of 4 with stride 2; `[B, T, C]`.

    The shortcut has the strided convolution's kernel and padding: a kernel of 1 would come to another length than a
    kernel of 4 without padding.
    """

    def conv(part, width, kernel, stride):
        return keras.layers.Conv1D(width, kernel, stride, padding, kernel_initializer=next(init), name=f"{name}_{part}")

    def norm(part):
        return _batch_norm(name=f"{name}_{part}_norm")

    inner = conv("inner", x.shape[-1], 1, 1)(keras.ops.relu(norm("inner")(x)))
    strided = conv("strided", filters, 4, 2)(keras.ops.relu(norm("strided")(inner)))
    shortcut = norm("shortcut")(conv("shortcut", filters, 4, 2)(x))
    return keras.layers.Add()([shortcut, strided])


def _batch_norm(**options) -> keras.layers.Layer:
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **options)


def _logits(num_classes: int, init) -> keras.layers.Layer:
    layers.require_positive(num_classes=num_classes)
    return keras.layers.Dense(num_classes, kernel_initializer=next(init), name="logits")


def _sequential(modality: Modality, trunk, logits) -> keras.Model:
    return keras.Sequential([*trunk, keras.layers.Flatten(name=FEATURES), logits], name=f"{modality.name}_classifier")
