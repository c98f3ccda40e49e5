"""How long work shows that it goes on: a bar with the rate and the remaining time, or lines where there is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import tqdm

BAR_PAUSE, LINE_PAUSE = 0.5, 20.0  # seconds from one display to the next
# A bar below this width says less than a further term does.
NARROWEST_BAR = 12
# Of the words in the names of terms.
SHORT = {
    "log_likelihood": "ll",
    "divergence": "div",
    "kl_private": "kl_s",
    "kl_experts": "kl_q",
    "plain_loss": "plain",
    "discriminator": "d",
    "generator": "g",
    "reconstruction": "rec",
    "accuracy": "acc",
    "gradient_norm": "grad",
    "discriminators": "d",
    "generators": "g",
}


class _Lines(tqdm.tqdm):
    """A bar for log files, which have no cursor that could go back: a line of its own for each display, without the bar."""

    def display(self, msg=None, pos=None):
        if self.n > self.initial:
            print(str(self) if msg is None else msg, file=self.fp, flush=True)

    def clear(self, nolock=False):
        """Nothing: what is written stays."""

    def close(self):
        if self.disable:
            return
        self.disable = True
        self._decr_instances(self)
        if self.leave and self.n > self.last_print_n:
            self.display()


def bar(total: int | None, description: str, unit: str, *, first: int = 0, delay: float = 0.0) -> tqdm.tqdm:
    """A bar on standard error, or lines every `LINE_PAUSE` seconds where that is a file; a context manager, which ends it.

    Args:
      total: how many units there are; None if that is not known.
      description: the words before the bar.
      first: units done before.
      delay: seconds of work before there is a bar, so that short work shows none.
    """
    # With miniters every update looks at the clock; else a thread of tqdm's decides when to show, and shows old terms.
    how = {
        "total": total,
        "desc": description,
        "unit": unit,
        "initial": first,
        "delay": delay,
        "leave": not delay,
        "miniters": 1,
    }
    if sys.stderr.isatty():
        return tqdm.tqdm(**how, mininterval=BAR_PAUSE, dynamic_ncols=True)
    return _Lines(**how, mininterval=LINE_PAUSE, ncols=0)


def of_steps(shown: tqdm.tqdm):
    """A Keras callback that advances a bar with each step of `fit`, and shows the mean loss of the epoch so far."""
    import keras  # here: data sets show bars too, and flags are read before TensorFlow is loaded

    def advance(step, logs):
        if shown.update():
            shown.set_postfix(loss=f"{float(logs['loss']):.2f}", refresh=False)

    return keras.callbacks.LambdaCallback(on_train_batch_end=advance)


def show_terms(shown: tqdm.tqdm, terms: Mapping[str, float]) -> None:
    """Has a bar end in as many terms, in their order, as its line has room for, from its next display on."""
    state = shown.format_dict
    # By the clock that tqdm takes.
    if time.time() - shown.last_print_t < shown.mininterval:
        return  # reading terms that nobody sees would wait for the device
    room = None
    if state["ncols"]:
        without = tqdm.tqdm.format_meter(**state | {"ncols": 0, "postfix": None})
        room = state["ncols"] - len(without) - NARROWEST_BAR
    shown.set_postfix_str(fitting(terms, room), refresh=False)


def fitting(terms: Mapping[str, float], room: int | None = None) -> str:
    """`loss=512.3 ll.word=-23.1` and so on: the first terms, under short names, that fit in so many characters."""
    text = ""
    for name, value in _loss_first(terms):
        longer = f"{text} {short_name(name)}={float(value):.5g}".strip()
        if room is not None and len(longer) > room:
            break
        text = longer
    return text


def _loss_first(terms: Mapping[str, float]) -> list[tuple[str, float]]:
    """Keras has them in the order of the alphabet."""
    return sorted(terms.items(), key=lambda term: term[0] != "loss")


def short_name(term: str) -> str:
    """`ll.word` of `log_likelihood/word`."""
    return ".".join(SHORT.get(word, word) for word in term.split("/"))


def epoch_line(done: int, total: int, steps: int, seconds: float, terms: Mapping[str, float]) -> str:
    """Return what stays of an epoch: step, its seconds and rate, how long the rest takes at that rate, and all terms.

    Args: done: steps in all, of `total`. steps, seconds: of the epoch.
    """
    rate = steps / seconds
    rest = tqdm.tqdm.format_interval((total - done) / rate)
    shown = ", ".join(f"{name} {float(value):.5g}" for name, value in _loss_first(terms))
    return f"step {done}/{total}: {seconds:.1f} s, {rate:.4g} steps/s, {rest} remaining; {shown}"


def say(shown: tqdm.tqdm, line: str) -> None:
    """Write a line above a bar; among lines, in place of the next one."""
    if isinstance(shown, _Lines):
        shown.display(line)
        shown.last_print_n, shown.last_print_t = shown.n, time.time()
    else:
        shown.write(line, file=shown.fp)
