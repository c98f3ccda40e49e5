"""MMALI on a toy that is known exactly: python docs/examples/rings.py --out=runs/rings --seeds=0,1,2

Two modalities of two numbers. Both show one of eight classes as a cloud on a ring, but in different orders around it, so that
neighbours in one are none in the other. What they share is the class; what each has of its own is the place inside the cloud.
The game is won where the encoders of both modalities give the same code to both sides of a pair, spread like the prior.
"""

import json
from pathlib import Path

import numpy as np
from absl import app, flags
from matplotlib.figure import Figure
from scipy.stats import energy_distance

OUT = flags.DEFINE_string("out", None, "New folder for the runs, the figure and the numbers.", required=True)
SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds of as many games.")
STEPS = flags.DEFINE_integer("steps", 6000, "Steps of each game.", lower_bound=1)
BATCH = flags.DEFINE_integer("batch_size", 64, "Pairs of each turn.", lower_bound=2)

CLASSES, RADIUS, WIDTH = 8, 2.0, 0.15
ORDER = (0, 3, 6, 1, 4, 7, 2, 5)  # of the second ring: neighbours on the first one lie three places apart
# How near the codes of a pair are to be, as a share of the distance of codes that are no pair: codes that all fell together are
# near one another as well.
ALIGNED = 0.25


def pairs(count, seed):
    """`{"left": [count, 2], "right": [count, 2]}` float32, and the class `[count]`."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, CLASSES, count)
    angles = {"left": label, "right": np.array(ORDER)[label]}
    places = {n: 2 * np.pi * k / CLASSES for n, k in angles.items()}
    centres = {n: RADIUS * np.stack([np.cos(a), np.sin(a)], -1) for n, a in places.items()}
    return {n: (c + WIDTH * rng.normal(size=c.shape)).astype(np.float32) for n, c in centres.items()}, label


def play(seed, folder):
    """Trains one game; what its encoders and decoders do with new pairs."""
    # After the flags: TensorFlow takes seconds to load.
    from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
    from mmtf.data import from_arrays
    from mmtf.evaluate import load_model
    from mmtf.train import train

    values, label = pairs(20_000, 0)
    data = from_arrays(values, labels=label)
    model = ModelConfig("mmali", shared_dim=2, private_dim=2, average_decay=0.999, average_start=STEPS.value // 2)
    how = TrainConfig(batch_size=BATCH.value, learning_rate=2e-4, adam_beta_1=0.5, steps=STEPS.value, seed=seed, panels_every=0)
    run = train(Config(DataConfig("arrays"), model, how), folder, data=data)
    return judged(load_model(run)[0])


def judged(model):
    """Distances of the two encoders, and of what they encode from the prior; and the codes and samples of the figure."""
    values, label = pairs(2_000, 1)
    codes = model.encode(values).shared
    mean, spread = ({n: np.asarray(getattr(q, m)()) for n, q in codes.items()} for m in ("mean", "stddev"))
    # The 2-Wasserstein distance of two diagonal Gaussians, in units of the prior's standard deviation.
    wasserstein = np.sqrt(np.sum((mean["left"] - mean["right"]) ** 2 + (spread["left"] - spread["right"]) ** 2, axis=-1))
    others = np.roll(mean["right"], 1, axis=0)
    rng = np.random.default_rng(2)
    sampled = mean["left"] + spread["left"] * rng.normal(size=mean["left"].shape)
    samples = {n: np.asarray(x) for n, x in model.generate(2_000, (0, 0)).items()}
    crossed = np.asarray(model.translate({"left": values["left"]}, to=["right"], seed=(0, 1))["right"])
    return {
        "distance_of_pairs": float(wasserstein.mean()),
        "distance_of_others": float(np.sqrt(np.sum((mean["left"] - others) ** 2, axis=-1)).mean()),
        "distance_from_prior": float(np.mean([energy_distance(c, rng.normal(size=4000)) for c in sampled.T])),
        "crossed_right": float(np.mean(nearest(crossed, "right") == label)),
        "generated_together": float(np.mean(nearest(samples["left"], "left") == nearest(samples["right"], "right"))),
    }, (values, label, mean, samples)


def nearest(points, name):
    """The class whose cloud a point is nearest to."""
    place = 2 * np.pi * (np.arange(CLASSES) if name == "left" else np.array(ORDER)) / CLASSES
    centres = RADIUS * np.stack([np.cos(place), np.sin(place)], -1)
    return np.argmin(np.sum((points[:, None] - centres) ** 2, axis=-1), axis=-1)


def figure(values, label, mean, samples):
    drawn = Figure((9, 6), layout="constrained")
    axes = drawn.subplots(2, 3)
    for row, name in zip(axes, ("left", "right"), strict=True):
        shown = {"data": values[name], f"codes of {name}": mean[name], "generated": samples[name]}
        for place, (axis, (title, points)) in enumerate(zip(row, shown.items(), strict=True)):
            colour = nearest(samples["left"], "left") if place == 2 else label
            axis.scatter(*points.T, s=2, c=colour, cmap="tab10", vmax=9)
            axis.set(title=f"{name}: {title}" if place != 1 else title, aspect="equal")
    return drawn


def main(_):
    out = Path(OUT.value)
    out.mkdir(parents=True)
    found = {}
    for seed in SEEDS.value:
        found[seed], shown = play(int(seed), out / f"seed{seed}")
        print(f"seed {seed}:", found[seed], flush=True)
        figure(*shown).savefig(out / f"seed{seed}.png", dpi=80)
    aligned = sum(x["distance_of_pairs"] < ALIGNED * x["distance_of_others"] for x in found.values())
    (out / "rings.json").write_text(json.dumps({"steps": STEPS.value, "aligned": aligned, "seeds": found}, indent=2) + "\n")
    print(f"{aligned} of {len(found)} games have pairs whose codes are nearer than {ALIGNED} times those of others.")


if __name__ == "__main__":
    app.run(main)
