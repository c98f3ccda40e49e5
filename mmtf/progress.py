"""How long work shows that it goes on: a bar with the rate and the remaining time."""

from __future__ import annotations

import sys

import tqdm


def bar(total: int | None, what: str, unit: str, *, first: int = 0, delay: float = 0.0) -> tqdm.tqdm:
    """A bar on standard error; a context manager, which ends the bar's line.

    Args:
      total: how many units there are; None if that is not known.
      what: the words before the bar.
      first: units done before.
      delay: seconds of work before there is a bar, so that short work shows none.
    """
    # Where the output is a file, a line every 20 seconds is enough.
    pause = 0.5 if sys.stderr.isatty() else 20.0
    return tqdm.tqdm(
        total=total, desc=what, unit=unit, initial=first, delay=delay, mininterval=pause, dynamic_ncols=True, leave=not delay
    )


def of_steps(shown: tqdm.tqdm):
    """A Keras callback that advances a bar with each step of `fit`, and shows the mean loss of the epoch so far."""
    import keras  # here: data sets show bars too, and flags are read before TensorFlow is loaded

    def advance(step, logs):
        if shown.update():
            shown.set_postfix(loss=f"{float(logs['loss']):.2f}", refresh=False)

    return keras.callbacks.LambdaCallback(on_train_batch_end=advance)
