"""Networks that Keras has trained on ImageNet, without their last layer; their weights are a file that need not be there."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mmtf import progress
from mmtf.errors import UserError

INCEPTION_SIZE = 299
BATCH_SIZE = 32
SHOWN_AFTER = 10.0  # seconds of work before there is a progress bar


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A network, what it is called, and the file of its weights as Keras names it."""

    title: str
    file: str
    build: Callable[..., keras.Model]

    def weights(self, given: str, *, flag: str, otherwise: str, download: bool | None = None) -> Path:
        """Return the file with the weights.

        Args:
          given: a file, without the last layer: Keras' `...notop.h5`, or what `save_weights` wrote; if empty, the one that
            Keras downloaded to its own folder.
          flag: by which the user names a file.
          otherwise: what can be done without, for the error.
          download: let Keras download it if it is not there; None where it may not.

        Raises:
          UserError: there is none, or the download failed.
        """
        if given:
            if not Path(given).is_file():
                raise UserError(f"--{flag}={given} is no file; name one with the weights of {self.title}, as {self.file} is.")
            return Path(given)
        kept = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models" / self.file
        ways = f"name the file {self.file} with --{flag}, or {otherwise}"
        if not (kept.is_file() or download):
            offer = "" if download is None else "Let Keras download them with --download, "
            ways = f"{offer}{ways}"
            raise UserError(f"The weights of {self.title} are not there ({kept}). {ways[0].upper()}{ways[1:]}.")
        if not kept.is_file():
            try:
                self.build(include_top=False, weights="imagenet")
            # No network, another file than expected, a full disk: each has its own exception.
            except Exception as error:
                raise UserError(f"Keras could not download the weights of {self.title} ({error}); {ways}.") from error
        return kept

    def network(self, weights: Path) -> keras.Model:
        """Return images `[B, H, W, 3]` -> pooled features `[B, 2048]`.

        Raises:
          UserError: the file does not hold the weights of this network.
        """
        try:
            with warnings.catch_warnings():
                # Keras would go on with random weights for each layer that the file does not have.
                warnings.filterwarnings("error", message="Skipping nested container")
                return self.build(include_top=False, weights=str(weights), pooling="avg")
        # HDF5 and Keras have their own exceptions for each way in which a file is none of these weights.
        except Exception as error:
            raise UserError(
                f"{weights} does not hold the weights of {self.title} without its last layer ({type(error).__name__}: "
                f"{error}); name a file such as Keras' {self.file}."
            ) from error


RESNET101 = Pretrained(
    "ResNet-101",
    "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
    lambda **how: keras.applications.ResNet101(**how),
)
INCEPTION = Pretrained(
    "InceptionV3",
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    lambda **how: keras.applications.InceptionV3(**how),
)


def inception_features(network: keras.Model, images: np.ndarray, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """Pooled features of InceptionV3, `[n, 2048]` float32, as Frechet distances of photographs are measured on (Heusel 2017).

    Args: images: `[n, H, W, 1 or 3]`, uint8 or float in 0..1; enlarged to 299 x 299, and grey ones taken three times.
    """
    features = np.empty((len(images), network.output_shape[-1]), np.float32)
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    with progress.bar(len(images), "InceptionV3", "image", delay=SHOWN_AFTER) as bar:
        for start in range(0, len(images), batch_size):
            batch = tf.cast(images[start : start + batch_size], tf.float32) / scale
            batch = tf.image.resize(batch, (INCEPTION_SIZE, INCEPTION_SIZE))
            batch = tf.clip_by_value(tf.repeat(batch, 3 // batch.shape[-1], axis=-1), 0.0, 1.0)
            features[start : start + batch.shape[0]] = network.predict_on_batch(2.0 * batch - 1.0)
            bar.update(batch.shape[0])
    return features
