"""Features that are prepared once, before any training on them: of images and of captions ([C], CUB Image-Captions).

[C]: Chen, Zhu 2022.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from mmtf import progress


def train(
    model: keras.Model,
    batches: tf.data.Dataset,
    epochs: int,
    per_epoch: int,
    learning_rate: float,
    loss: Callable,
    subject: str,
) -> None:
    """Train with Adam: the rate rises linearly over a twentieth of the steps, and falls along a cosine to 0.

    Args:
      model: changed in place; it is left without an optimizer.
      batches: (value, target), `epochs * per_epoch` of them.
      loss: of targets and the model's output, `[B]`.
      subject: what is trained, for the progress bar, which shows the mean loss of the epoch so far.
    """
    steps = epochs * per_epoch
    warm = steps // 20
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warm else learning_rate, steps - warm, warmup_target=learning_rate if warm else None, warmup_steps=warm
    )
    # A second model around the same layers: the given one is not left with an optimizer.
    trainer = keras.Model(model.inputs[0], model.outputs[0])
    # Without the limit, the LSTM's early gradients can throw the weights far off.
    trainer.compile(keras.optimizers.Adam(rate, global_clipnorm=5.0), loss, jit_compile=False)
    with progress.bar(steps, subject, "step") as bar:
        shown = [progress.of_steps(bar)]
        trainer.fit(batches, epochs=epochs, steps_per_epoch=per_epoch, shuffle=False, verbose=0, callbacks=shown)
