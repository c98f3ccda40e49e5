"""How the cost of a training step grows with what a user chooses: modalities, batch, sizes of codes, samples and sets.

Each model trains on vectors of 256 numbers through layers of 512 (`mmtf.networks.vector`), so that all modalities cost the same
and a step is made of matrix products; one axis is changed at a time. An exponent e means that the cost grows as the axis to
the power of e. Of the operations of the convolutions and matrix products it is exact, of CPU time it holds what is not a
matrix product too, such as the fixed cost of many small operations, which is why it is lower on small models.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import comparisons
import floor
import numpy as np

from mmtf.cli import console
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.config.names import MODELS as NAMES
from mmtf.errors import UserError
from mmtf.models.gan.options import AdversarialOptions
from mmtf.models.vae.options import VAEOptions

WIDTH = 256
# Steps before any is counted.
WARM_UP = 2


class Point(NamedTuple):
    """A place on the axes: modalities M, examples B, shared code D, samples K, random sets S of MVAE, contrast's others N."""

    modalities: int = 3
    batch: int = 64
    shared: int = 32
    samples: int = 4
    sets: int = 0
    negatives: int = 2


AXES = {
    "modalities": (2, 4, 8),
    "batch": (32, 64, 128),
    "shared": (16, 64, 256),
    "samples": (1, 4, 16),
    "sets": (1, 2, 4),
    "negatives": (1, 2, 4),
}
# With three or more: of two, one estimate of a contrast serves both exchanges, so that two cost less than half of four.
AXES_OF_CONTRASTS = AXES | {"modalities": (3, 4, 6)}
CONTRASTS = {"ci_mmvae": ("mmvae", "iwae"), "cc_mvae": ("mvae", "cubo")}
VAES, ADVERSARIAL = (
    tuple(NAMES.where(lambda cls, family=family: issubclass(cls, family))) for family in (VAEOptions, AdversarialOptions)
)
# Whose bounds are always importance-weighted.
SAMPLED = tuple(NAMES.where(lambda cls: hasattr(cls, "importance_bound")))
MODELS = (*VAES, *ADVERSARIAL, *CONTRASTS)


def highest_exponent(model: str, axis: str) -> float:
    """By theory, of the operations of matrix products.

    Linear in everything, with two kinds of exceptions. Quadratic in the modalities: the M experts' samples that M decoders
    read (MMVAE's bounds, and the pairs of a contrast), and a game's M discriminators of M + 1 kinds of tuples. Of the codes'
    size only the layers next to them know, so that it is far below 1.
    """
    if axis == "modalities":
        return 2.0 if model in SAMPLED or model in CONTRASTS or model in ADVERSARIAL else 1.0
    return 1.0


def axes_of(model: str) -> list[str]:
    """Return the axes that a model has."""
    axes = ["modalities", "batch", "shared"]
    axes += ["samples"] if model in SAMPLED or model in CONTRASTS else []
    axes += ["sets"] if model == "mvae" else []
    return axes + (["negatives"] if model in CONTRASTS else [])


def points(model: str, axis: str) -> dict[int, Point]:
    """By the axis' values; all else is as it stands in `Point`."""
    values = (AXES_OF_CONTRASTS if model in CONTRASTS else AXES)[axis]
    return {value: Point()._replace(**{axis: value}) for value in values}


def config_of(model: str, at: Point) -> Config:
    """Return the experiment at a point."""
    options: dict = {"shared_dim": at.shared}
    if model in CONTRASTS:
        model, contrast = CONTRASTS[model]
        options |= {"contrast": contrast, "contrast_negatives": at.negatives, "importance_samples": at.samples}
    elif model in SAMPLED:
        options["importance_samples"] = at.samples
    options |= {"mvae_subsets": at.sets} if model == "mvae" and "contrast" not in options else {}
    options |= {"private_dim": 8} if model in (*ADVERSARIAL, "mmvae_plus") else {}
    return Config(DataConfig("arrays"), ModelConfig(model, **options), TrainConfig(batch_size=at.batch))


def step_of(model: str, at: Point) -> tuple[Callable[[], Mapping], float]:
    """Return one training step to be called, on data that are there already, for its terms; and its `floor.graph_products`."""
    import tensorflow as tf

    from mmtf import registry
    from mmtf.modality import Modality
    from mmtf.verbs import train

    config = config_of(model, at)
    names = [f"x{m}" for m in range(at.modalities)]
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        modalities = [Modality(name, (WIDTH,), "normal") for name in names]
        built = registry.build_model(config, registry.configure(modalities, config.model))
        train.compile_model(built, config.train, steps=1, per_epoch=1, strategy=strategy)
    shape = (at.batch, WIDTH) if built.batches_per_step() == 1 else (at.batch, built.batches_per_step(), WIDTH)
    values = {name: tf.random.stateless_normal(shape, (place, 0)) for place, name in enumerate(names)}
    batch = {"values": values} | ({"single": values} if built.uses_unpaired_values() else {})
    step = tf.function(built.train_step).get_concrete_function(batch)
    return lambda: step(batch), floor.graph_products(step.graph)


def measure(model: str, axis: str, rounds: int, steps: int) -> dict[str, list[float]]:
    """Return the axis' `values`, `products` (operations of a step) and `cpu_ms` of a step: medians of rounds in turns."""
    import keras

    made = {value: step_of(model, at) for value, at in points(model, axis).items()}
    for step, _ in made.values():
        _seconds(step, WARM_UP)
    rounds_of_seconds = [{value: _seconds(step, steps) for value, (step, _) in made.items()} for _ in range(rounds)]
    cpu_ms = [round(1000 * statistics.median(turn[value] for turn in rounds_of_seconds), 3) for value in made]
    found = {"values": list(made), "products": [products for _, products in made.values()], "cpu_ms": cpu_ms}
    # What TensorFlow lets go of; what it keeps of all models comes to 11 GB.
    del made, step
    keras.backend.clear_session()
    gc.collect()
    return found


def _seconds(step: Callable[[], Mapping], count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        step()
    return (time.process_time() - start) / count


def exponent(values: Sequence[float], cost: Sequence[float]) -> float:
    """Return slope of the logarithms' line of least squares."""
    return float(np.polyfit(np.log(values), np.log(cost), 1)[0])


def steepest(values: Sequence[float], cost: Sequence[float]) -> float:
    """Return the largest slope between neighbours: where a curve bends upwards, it is above the line's."""
    return float(np.max(np.diff(np.log(cost)) / np.diff(np.log(values))))


def rows(
    models: Iterable[str], rounds: int, steps: int, each: Callable[[str, Mapping], None] = lambda key, row: None
) -> dict[str, dict]:
    """Of each model and axis what `measure` finds, with the exponents; `each` is told as they are found."""
    found = {}
    for model in models:
        for axis in axes_of(model):
            row = measure(model, axis, rounds, steps)
            of = {kind: (row["values"], row[kind]) for kind in ("products", "cpu_ms")}
            slopes = {kind: round(exponent(*pair), 3) for kind, pair in of.items()}
            bends = {kind: round(steepest(*pair), 3) for kind, pair in of.items()}
            key = f"{model}/{axis}"
            found[key] = row | {"exponent": slopes, "steepest": bends}
            each(key, found[key])
    return found


def too_steep(found: Mapping[str, Mapping]) -> list[str]:
    """Sentences: where operations grow faster than theory allows, at any place of an axis."""
    return [
        f"{key}: operations grow with the power {row['steepest']['products']}, not {highest_exponent(*key.split('/'))} at most."
        for key, row in found.items()
        if row["steepest"]["products"] > highest_exponent(*key.split("/")) + 1e-3
    ]


def report(length: comparisons.Length, models: Sequence[str], machine: Mapping, results: Path | None) -> dict[str, dict]:
    """`rows` and `settings` of some models, printed as they come.

    Args: results: a file whose rows of other models are returned beside these, all of them drawn as scaling.png beside it; or
      None. Raises UserError where those were measured otherwise.
    """
    settings = {"rounds": length.rounds, "steps": max(length.steps // 10, 1), "warm_up": WARM_UP}
    written = comparisons.written(results).get("scaling", {}) if results else {}
    kept = others(written, models, settings, machine)
    console.load_tensorflow()
    print(f"\nHow a step's cost grows\n\n{HEAD}", flush=True)
    found = rows(models, settings["rounds"], settings["steps"], lambda key, row: print(line(key, row), flush=True))
    if results:
        found = kept | found
        draw(found, results.with_name("scaling.png"))
    return {"rows": found, "settings": settings}


def others(written: Mapping, models: Sequence[str], settings: Mapping, machine: Mapping) -> dict[str, dict]:
    """Return what was written of other models.

    Raises UserError where that was measured with other settings, or on another machine.
    """
    kept = {key: row for key, row in written.get("rows", {}).items() if key.split("/")[0] not in models}
    before = written.get("machine", {}) | {"load": machine["load"]}
    if kept and (written["settings"], before) != (settings, machine):
        raise UserError(
            f"--write with --model puts rows beside those of other models, which were measured otherwise "
            f"({written['settings']} on {before}, not {settings} on {machine}): measure all models, or leave out --write."
        )
    return kept


HEAD = """| model, axis | at | CPU ms/step | exponent of operations | of CPU time | theory: at most |
|---|---|---|---:|---:|---:|"""


def line(key: str, row: Mapping) -> str:
    """Of a Markdown table: CPU milliseconds along an axis, and both exponents beside what theory allows."""
    at, cost = (", ".join(f"{x:g}" for x in part) for part in (row["values"], np.round(row["cpu_ms"], 1)))
    slopes, limit = row["exponent"], highest_exponent(*key.split("/"))
    return f"| {key} | {at} | {cost} | {slopes['products']:.2f} | {slopes['cpu_ms']:.2f} | {limit:g} |"


def draw(found: Mapping[str, Mapping], path: Path) -> None:
    """A picture: for each axis all models' CPU time against the axis' values, both logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, panels = pyplot.subplots(2, 3, figsize=(14, 7), layout="constrained")
    shown = {}
    for panel, axis in zip(panels.flat, AXES, strict=True):
        ticks = set()
        for key, row in found.items():
            model, of = key.split("/")
            if of == axis:
                ticks |= set(row["values"])
                color, style = f"C{MODELS.index(model) % 10}", "-" if MODELS.index(model) < 10 else "--"
                (shown[model],) = panel.loglog(row["values"], row["cpu_ms"], style, marker="o", markersize=3, color=color)
        panel.set(xlabel=axis, ylabel="CPU ms per step")
        panel.set_xticks(sorted(ticks), sorted(ticks), minor=False)
        panel.minorticks_off()
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        panel.grid(alpha=0.3)
    figure.legend(shown.values(), shown, loc="outside right center")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
