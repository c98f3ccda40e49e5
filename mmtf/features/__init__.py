"""Features that are prepared once, before any training on them: of images and of captions ([C], CUB Image-Captions)."""

from __future__ import annotations

import sys
from collections.abc import Callable

import keras
import tensorflow as tf
import tqdm


def progress(total: int | None, what: str, unit: str) -> tqdm.tqdm:
    """A bar with the rate and the remaining time, for long work on features."""
    # Where the output is a file, a line every 20 seconds is enough.
    pause = 0.5 if sys.stderr.isatty() else 20.0
    return tqdm.tqdm(total=total, desc=what, unit=unit, mininterval=pause, dynamic_ncols=True)


def train(
    model: keras.Model, batches: tf.data.Dataset, epochs: int, per_epoch: int, learning_rate: float, loss: Callable, what: str
) -> None:
    """Trains with Adam: the rate rises linearly over a twentieth of the steps, and falls along a cosine to 0.

    Args:
      model: changed in place; it is left without an optimizer.
      batches: (value, target), `epochs * per_epoch` of them.
      loss: of targets and the model's output, `[B]`.
      what: what is trained, for the progress bar, which shows the mean loss of the epoch so far.
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
    with progress(steps, what, "step") as bar:
        shown = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: _advance(bar, logs))
        trainer.fit(batches, epochs=epochs, steps_per_epoch=per_epoch, shuffle=False, verbose=0, callbacks=[shown])


def _advance(bar: tqdm.tqdm, logs) -> None:
    if bar.update():
        bar.set_postfix(loss=f"{float(logs['loss']):.2f}", refresh=False)
