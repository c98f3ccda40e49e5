"""MMALI on a toy that is known exactly: python docs/examples/curves.py --out=runs/curves --seeds=0,1,2

Two modalities of two numbers, points beside an arc and beside a wave. They share how far along its curve a point is, which is
c ~ N(0, 1); of its own each has how far from the curve it is. The game is won where the encoders of both modalities give the
same code to both points of a pair, a code that tells c.
"""

import json
from pathlib import Path

import numpy as np
from absl import app, flags
from matplotlib.figure import Figure

OUT = flags.DEFINE_string("out", None, "New folder for the runs, the figures and the numbers.", required=True)
SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds of as many games.")
STEPS = flags.DEFINE_integer("steps", 5000, "Steps of each game.", lower_bound=1)
BATCH = flags.DEFINE_integer("batch_size", 32, "Pairs of each turn.", lower_bound=2)

RADIUS, ANGLE = 2.0, 0.8
PERIOD, HEIGHT, STRETCH = 2.0, 1.2, 1.5
OFF = 0.25  # standard deviation of the distance from the curve
# How near the codes of a pair are to be, as a share of the distance of codes that are no pair: codes that all fell together are
# near one another as well.
ALIGNED = 0.25


def pairs(count, seed):
    """`{"arc": [count, 2], "wave": [count, 2]}` float32, and c `[count]`."""
    rng = np.random.default_rng(seed)
    c, off_arc, off_wave = rng.normal(size=(3, count))
    radius = RADIUS + OFF * off_arc
    arc = np.stack([radius * np.sin(ANGLE * c), radius * np.cos(ANGLE * c)], -1)
    wave = np.stack([STRETCH * c, HEIGHT * np.sin(PERIOD * c) + OFF * off_wave], -1)
    return {"arc": arc.astype(np.float32), "wave": wave.astype(np.float32)}, c


def along(points, name):
    """c of points on a curve, `[N]`."""
    if name == "arc":
        return np.arctan2(points[:, 0], points[:, 1]) / ANGLE
    return points[:, 0] / STRETCH


def play(seed, folder):
    """Trains one game; what its encoders and decoders do with new pairs."""
    # After the flags: TensorFlow takes seconds to load.
    from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
    from mmtf.data import from_arrays
    from mmtf.verbs.load import load_model
    from mmtf.verbs.train import train

    data = from_arrays(pairs(20_000, 0)[0])
    model = ModelConfig("mmali", shared_dim=1, private_dim=1, average_decay=0.998, average_start=STEPS.value // 2)
    how = TrainConfig(batch_size=BATCH.value, learning_rate=4e-4, adam_beta_1=0.5, steps=STEPS.value, seed=seed, panels_every=0)
    run = train(Config(DataConfig("arrays"), model, how), folder, data=data)
    return judged(load_model(run)[0])


def judged(model):
    """How near the two encoders are, whether what goes from one modality to the other keeps c, and what the figure shows."""
    values, c = pairs(2_000, 1)
    codes = model.encode(values).shared
    mean, spread = ({n: np.asarray(getattr(q, m)())[:, 0] for n, q in codes.items()} for m in ("mean", "stddev"))
    # The 2-Wasserstein distance of two Gaussians, in units of the prior's standard deviation.
    wasserstein = np.hypot(mean["arc"] - mean["wave"], spread["arc"] - spread["wave"])
    samples = {n: np.asarray(x) for n, x in model.generate(2_000, (0, 0)).items()}
    crossed = np.asarray(model.translate({"arc": values["arc"]}, to=["wave"], seed=(0, 1))["wave"])
    return {
        "distance_of_pairs": float(wasserstein.mean()),
        "distance_of_others": float(np.abs(mean["arc"] - np.roll(mean["wave"], 1)).mean()),
        "correlation_with_c": {n: float(abs(np.corrcoef(mean[n], c)[0, 1])) for n in mean},
        "crossed_correlation": float(np.corrcoef(along(crossed, "wave"), c)[0, 1]),
        "generated_correlation": float(np.corrcoef(along(samples["arc"], "arc"), along(samples["wave"], "wave"))[0, 1]),
    }, (values, c, mean, samples)


def figure(values, c, mean, samples):
    drawn = Figure((9, 6), layout="constrained")
    colours = {"c": c, "vmin": -2.5, "vmax": 2.5, "cmap": "viridis", "s": 2}
    for row, name in zip(drawn.subplots(2, 3), ("arc", "wave"), strict=True):
        row[0].scatter(*values[name].T, **colours)
        row[0].set(title=f"{name}: data")
        row[1].scatter(c, mean[name], **colours)
        row[1].set(title=f"{name}: shared code", xlabel="c")
        # One colour for both of a generated pair: where its point on the wave is.
        row[2].scatter(*samples[name].T, **colours | {"c": along(samples["wave"], "wave")})
        row[2].set(title=f"{name}: generated", xlim=row[0].get_xlim(), ylim=row[0].get_ylim())
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
    (out / "curves.json").write_text(json.dumps({"steps": STEPS.value, "aligned": aligned, "seeds": found}, indent=2) + "\n")
    print(f"{aligned} of {len(found)} games have pairs whose codes are nearer than {ALIGNED} times those of others.")


if __name__ == "__main__":
    app.run(main)
