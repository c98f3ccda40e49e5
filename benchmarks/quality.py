"""Measure how soon a model is good: CPU seconds of training until held-out coherence reaches a level, beside multivae's.

As a process of its own, `python benchmarks/quality.py mmtf --learning_rate=0.001 --seed=0`, it trains one contender on one
thread and prints a line of JSON after every so many steps: steps, CPU seconds of training so far, and coherence of words and
scenes from digits, on examples held out of the training split. Evaluation takes no part in the seconds; building graphs does.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import interleaved

from mmtf.cli import console
from mmtf.config import Config, DataConfig, EvaluateConfig, ModelConfig, TrainConfig

# What is compared: our mmJSD, and what multivae has nearest to it (`multivae_peer.build`).
CONTENDERS = ("mmtf", "multivae")
RATES = (0.0005, 0.001, 0.002, 0.004, 0.008)
LEVELS = (0.8, 0.9)
TARGETS = ("word<-digit", "scene<-digit")
BATCH, BETA, HELD_OUT = 128, 2.5, 500
EVERY, MOST = 25, 1500  # steps from one evaluation to the next, and until a run is given up
CLASSIFIER = "classifiers"

Curve = list[dict]


def experiment(rate: float, seed: int) -> Config:
    """mmJSD on the embedded data, without what multivae's model does not know: no warm-up, no weights of private codes."""
    model = ModelConfig("mmjsd", shared_dim=20, beta=BETA)
    train = TrainConfig(batch_size=BATCH, learning_rate=rate, seed=seed)
    return Config(DataConfig("digits", pairings=20), model, train)


# ---- a contender's process -------------------------------------------------------------------------------------------


class Judge:
    """Held-out coherence, and the clock of training, which stands still meanwhile."""

    def __init__(self, model, data, held_out):
        from mmtf import evaluation

        how = EvaluateConfig(random_samples=1)
        self._coherence = evaluation.Coherence(model, held_out, evaluation.train_classifiers(data, how), how)
        self._coherence.measure()  # its graphs are built now
        self._seconds, self._start, self._steps = 0.0, time.process_time(), 0

    def begin(self) -> None:
        self._start = time.process_time()

    def after(self, steps: int) -> bool:
        """Tell how good the model is after further steps; whether every level is reached."""
        self._seconds += time.process_time() - self._start
        self._steps += steps
        shares = self._coherence.measure()["coherence"]
        told = {target: shares[target] for target in TARGETS}
        print(json.dumps({"steps": self._steps, "seconds": round(self._seconds, 3), "coherence": told}), flush=True)
        self.begin()
        return min(told.values()) >= max(LEVELS)


def train(contender: str, config: Config) -> None:
    console.load_tensorflow()
    from mmtf import registry
    from mmtf.data import holdout

    data, held_out = holdout.held_out(registry.load_data(config.data), HELD_OUT, config.data.data_seed)
    modalities = registry.configure(data.modalities, config.model)
    model = registry.build_model(config, modalities)
    judge = Judge(model, data, held_out)
    {"mmtf": _mmtf, "multivae": _multivae}[contender](model, modalities, data.train, config, judge)


def _mmtf(model, modalities, split, config: Config, judge: Judge) -> None:
    import tensorflow as tf

    from mmtf.data import pipeline
    from mmtf.verbs.train import compile_model

    judge.begin()
    compile_model(model, config.train, MOST, EVERY, tf.distribute.OneDeviceStrategy("/cpu:0"))
    for first in range(0, MOST, EVERY):
        batches = pipeline.batches(split, BATCH, config.train.seed, first_step=first, num_steps=EVERY)
        model.fit(batches, epochs=1, steps_per_epoch=EVERY, shuffle=False, verbose=0)
        if judge.after(EVERY):
            return


def _multivae(model, modalities, split, config: Config, judge: Judge) -> None:
    import multivae_peer
    import torch

    class Done(Exception):  # noqa: N818 - no error
        pass

    # Its own initial weights, as its users have them.
    torch.manual_seed(config.train.seed)
    peer, steps = multivae_peer.build(config, modalities), 0
    data = multivae_peer.dataset(split)

    def each_step():
        nonlocal steps
        steps += 1
        if steps % EVERY == 0:
            multivae_peer.copy_from(peer, model)
            if judge.after(EVERY) or steps == MOST:
                raise Done

    judge.begin()
    try:
        multivae_peer.train(peer, data, config, math.ceil(MOST / (len(split) // BATCH)), each_step)
    except Done:
        return


# ---- the comparison --------------------------------------------------------------------------------------------------


def report(seeds: Sequence[int]) -> dict:
    """Return `quality`: by contender the rate taken and, by level, the seconds of each seed; and all curves; printed.

    Both contenders train at the same time, on one thread each. The rate is the one that has both targets at the highest level
    soonest, under the first seed.
    """
    _prepare()
    curves = {contender: {} for contender in CONTENDERS}
    for rate in RATES:
        _run(curves, dict.fromkeys(CONTENDERS, rate), seeds[0])
    best = {contender: min(RATES, key=lambda r, c=contender: reached(curves[c][r, seeds[0]])) for contender in CONTENDERS}
    for seed in seeds[1:]:
        _run(curves, best, seed)
    found = {contender: summary(curves[contender], best[contender], seeds) for contender in CONTENDERS}
    return {"settings": settings(seeds), "found": found}


def settings(seeds: Sequence[int]) -> dict:
    return {
        "rates": list(RATES),
        "levels": list(LEVELS),
        "batch": BATCH,
        "held_out": HELD_OUT,
        "every": EVERY,
        "seeds": list(seeds),
    }


def summary(curves: Mapping[tuple[float, int], Curve], rate: float, seeds: Sequence[int]) -> dict:
    """Return what there is to say of a contender; seconds are None where a run did not come to the level."""
    by_level = {
        str(level): {
            "both": [_or_none(reached(curves[rate, seed], level)) for seed in seeds],
            **{t: [_or_none(reached(curves[rate, seed], level, (t,))) for seed in seeds] for t in TARGETS},
        }
        for level in LEVELS
    }
    tried = {str(r): _or_none(reached(curves[r, seeds[0]])) for r in RATES}
    kept = {f"{r} {seed}": curve for (r, seed), curve in curves.items()}
    return {"rate": rate, "seconds_by_rate": tried, "seconds": by_level, "curves": kept}


def reached(curve: Curve, level: float = max(LEVELS), targets: Sequence[str] = TARGETS) -> float:
    """Return CPU seconds until all targets first are at the level together; infinity where they never are."""
    return next((p["seconds"] for p in curve if min(p["coherence"][t] for t in targets) >= level), math.inf)


def ratios(found: Mapping[str, Mapping], level: float, what: str = "both") -> list[float]:
    """Return multivae's seconds over ours, by seed; infinity where it did not come to the level, NaN where neither did."""
    ours, theirs = ([math.inf if x is None else x for x in found[c]["seconds"][str(level)][what]] for c in CONTENDERS)
    return [math.nan if math.isinf(a) and math.isinf(b) else b / a for a, b in zip(ours, theirs, strict=True)]


def table(found: Mapping[str, Mapping]) -> str:
    """Markdown: seconds to each level, median and range, and how many times as soon ours is."""
    lines = ["| level of | | mmtf | multivae | multivae / mmtf |", "|---|---:|---:|---:|---:|"]
    for level in LEVELS:
        for what in (*TARGETS, "both"):
            cells = [_median_and_range(found[c]["seconds"][str(level)][what]) for c in CONTENDERS]
            lines.append(f"| {what} | {level} | {cells[0]} | {cells[1]} | {_median_and_range(ratios(found, level, what), 2)} |")
    return "\n".join(lines)


def draw(found: Mapping[str, Mapping], path: Path) -> None:
    """Draw the lesser of both coherences over CPU seconds, of every seed at the best rate."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((7.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, contender in enumerate(CONTENDERS):
        of = found[contender]
        own = [curve for key, curve in of["curves"].items() if float(key.split()[0]) == of["rate"]]
        for k, curve in enumerate(own):
            label = f"{contender}, rate {of['rate']}" if k == 0 else None
            axes.plot(
                [p["seconds"] for p in curve], [min(p["coherence"].values()) for p in curve], color=f"C{place}", label=label
            )
    for level in LEVELS:
        axes.axhline(level, color="0.7", linewidth=0.8, zorder=0)
    axes.set(
        xlabel="CPU seconds of training", ylabel="held-out coherence, the lesser of\nword<-digit and scene<-digit", ylim=(0, 1)
    )
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)


def _prepare() -> None:
    """Train the classifiers, once for all processes."""
    subprocess.run([sys.executable, __file__, CLASSIFIER], env=os.environ | interleaved.ENVIRONMENT, check=True)


def _run(curves: dict, rates: Mapping[str, float], seed: int) -> None:
    """Have the contenders train at the same time, and add their curves."""
    limits = dict.fromkeys(interleaved.THREAD_LIMITS, "1")
    environment = os.environ | interleaved.ENVIRONMENT | limits
    arguments = {c: [sys.executable, __file__, c, f"--learning_rate={rates[c]}", f"--seed={seed}"] for c in CONTENDERS}
    running = {c: subprocess.Popen(told, stdout=subprocess.PIPE, text=True, env=environment) for c, told in arguments.items()}
    for contender, process in running.items():
        output, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{contender} ended early, with status {process.returncode}.")
        curve = [json.loads(line) for line in output.splitlines() if line.startswith('{"steps"')]
        curves[contender][rates[contender], seed] = curve
        seconds = ", ".join(f"{level}: {reached(curve, level):.0f} s" for level in LEVELS)
        print(f"{contender}, rate {rates[contender]}, seed {seed}: {curve[-1]['steps']} steps; {seconds}", flush=True)


def _median_and_range(values: Iterator[float | None], digits: int = 0) -> str:
    known = [math.inf if x is None else x for x in values]
    median, low, high = (f"{x:.{digits}f}" for x in (statistics.median(known), min(known), max(known)))
    return f"{median} [{low}, {high}]".replace("inf", "not reached")


def _or_none(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=(*CONTENDERS, CLASSIFIER))
    parser.add_argument("--learning_rate", type=float, default=0.001)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = experiment(arguments.learning_rate, arguments.seed)
    if arguments.name != CLASSIFIER:
        train(arguments.name, config)
        return
    console.load_tensorflow()
    from mmtf import evaluation, registry
    from mmtf.data import holdout

    data, _ = holdout.held_out(registry.load_data(config.data), HELD_OUT, config.data.data_seed)
    evaluation.train_classifiers(data, EvaluateConfig())


if __name__ == "__main__":
    main()
