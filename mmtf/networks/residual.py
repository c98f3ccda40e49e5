"""The residual blocks of CelebA's networks, [S] Tables 3, 13 and 14, along one axis (text) or two (images).

A block is 2.0 * shortcut + 0.3 * branch, the factors of the authors' release. The branch is that of He et al. 2016, activation
first: norm, ReLU, a convolution of kernel 1 (`inner`), norm, ReLU, the convolution of the table (`outer`). The shortcut is
another convolution of the table's specification, with a norm behind it. The release also drops out half of the branch, twice,
and has no bias in an image's branch; the tables print neither.

The norm is the caller's choice. The release has batch normalisation throughout, which the tables leave out and Table 3 implies
by citing He et al.; the classifiers have it here. Encoders and decoders have group normalisation (Wu, He 2018) in its place:
with statistics of the batch, an example's terms would depend on its neighbours and on what they lack, two replicas would not
update as one device does, and a decoder trained on codes of posteriors would read those of the prior with the wrong statistics.

Behind the last block of an encoder or classifier stand a norm and a ReLU, as in He et al.; tables and release have neither.
Without them features are unbounded, and one update of Adam moved log-variances to 60 and more: mmJSD's loss on CelebA (batch 8)
was NaN at the second step, at the paper's learning rate of 1e-3 and at the release's of 2.5e-4. With them the divergence began
at 20 nats instead of 131,728, and at 1e-3 log-variances stayed within 6 while the loss fell.

Specifications in the tables are PyTorch's (kernel, stride, padding, dilation). On even sizes (4, 2, 1) is Keras' "same" and
halves or doubles the size; (4, 2, 0) from size 4 to 1, and (4, 1, 0) from 1 to 4, are `layers.Whole...`. (3, 2, 1) is not
"same", which would pad behind the value instead of before it. `tests/networks/test_residual.py` checks the numbers.

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import keras

from mmtf.networks import layers

SKIP, BRANCH = 2.0, 0.3
KERNEL = 4
# Wu and He's number of groups, and PyTorch's constants of either norm.
GROUPS, EPSILON, MOMENTUM = 32, 1e-5, 0.9

CONV = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}
WHOLE_CONV = {1: layers.WholeConv1D, 2: layers.WholeConv2D}
TRANSPOSED = {1: keras.layers.Conv1DTranspose, 2: keras.layers.Conv2DTranspose}
WHOLE_TRANSPOSED = {1: layers.WholeConv1DTranspose, 2: layers.WholeConv2DTranspose}
PADDING = {1: keras.layers.ZeroPadding1D, 2: keras.layers.ZeroPadding2D}
CROPPING = {1: keras.layers.Cropping1D, 2: keras.layers.Cropping2D}
# One position before the value and none behind it, along each axis.
ONE_BEFORE = {1: (1, 0), 2: ((1, 0), (1, 0))}

Norm = Callable[..., keras.layers.Layer]


def group_norm(**options) -> keras.layers.Layer:
    """Return each example's 32 groups of channels, over all positions, to mean 0 and variance 1.

    Then a scale and offset a channel.
    """
    return keras.layers.GroupNormalization(GROUPS, epsilon=EPSILON, **options)


def batch_norm(**options) -> keras.layers.Layer:
    """Return each channel to mean 0 and variance 1 over the batch, in inference over what training saw.

    Then scale and offset.
    """
    return keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, **options)


def contracting(x, widths: Sequence[int], init: Iterator, norm: Norm):
    """A convolution (3, 2, 1) to widths[0] channels, a block for each further width down to a single position, norm and ReLU.

    Args:
      x: `[B, N, C]` or `[B, N, N, C]`, N = 2 ** (len(widths) + 1).
      init: initialisers, one for each kernel.
      norm: makes a norm of a given name.

    Returns:
      `[B, 1, widths[-1]]` or `[B, 1, 1, widths[-1]]`, 0 or more.
    """
    axes = len(x.shape) - 2
    x = PADDING[axes](ONE_BEFORE[axes], name="padding")(x)
    x = CONV[axes](widths[0], 3, 2, kernel_initializer=next(init), name="first")(x)
    for k, filters in enumerate(widths[1:], start=1):
        x = halving(x, filters, init, norm, f"block{k}")
    return keras.ops.relu(norm(name="last_norm")(x))


def expanding(x, widths: Sequence[int], channels: int, init: Iterator, norm: Norm):
    """A transposed block for each width, the first one to 4 positions, then a transposed convolution (3, 2, 1) to `channels`.

    That convolution needs an output padding of 1, which the tables do not print: without it 32 would become 63.

    Args:
      x: `[B, 1, C]` or `[B, 1, 1, C]`.
      init, norm: as in `contracting`.

    Returns:
      `[B, N, channels]` or `[B, N, N, channels]`, N = 2 ** (len(widths) + 2), linear.
    """
    axes = len(x.shape) - 2
    for k, filters in enumerate(widths, start=1):
        x = doubling(x, filters, init, norm, f"block{k}")
    x = TRANSPOSED[axes](channels, 3, 2, kernel_initializer=next(init), name="last")(x)
    return CROPPING[axes](ONE_BEFORE[axes], name="cropping")(x)


def halving(x, filters: int, init: Iterator, norm: Norm, name: str):
    """Block (4, 2, 1): `[B, N, (N,) C]` -> `[B, N/2, (N/2,) filters]`; from size 4 it is (4, 2, 0), to size 1."""
    if x.shape[1] == KERNEL:
        return _block(x, filters, WHOLE_CONV, (KERNEL,), init, norm, name)
    return _block(x, filters, CONV, (KERNEL, 2, "same"), init, norm, name)


def doubling(x, filters: int, init: Iterator, norm: Norm, name: str):
    """Transposed block (4, 2, 1): `[B, N, (N,) C]` -> `[B, 2N, (2N,) filters]`; from size 1 it is (4, 1, 0), to size 4."""
    if x.shape[1] == 1:
        return _block(x, filters, WHOLE_TRANSPOSED, (KERNEL,), init, norm, name)
    return _block(x, filters, TRANSPOSED, (KERNEL, 2, "same"), init, norm, name)


def _block(x, filters: int, kinds, specification, init: Iterator, norm: Norm, name: str):
    axes = len(x.shape) - 2

    def activated(part, x):
        return keras.ops.relu(norm(name=f"{name}_{part}_norm")(x))

    def conv(part, x, kind, width, *specification):
        return kind(width, *specification, kernel_initializer=next(init), name=f"{name}_{part}")(x)

    # A transposed convolution of kernel 1 is a plain one.
    inner = conv("inner", activated("inner", x), CONV[axes], x.shape[-1], 1)
    branch = conv("outer", activated("outer", inner), kinds[axes], filters, *specification)
    shortcut = norm(name=f"{name}_shortcut_norm")(conv("shortcut", x, kinds[axes], filters, *specification))
    return SKIP * shortcut + BRANCH * branch
