"""Two choices of MMALI on the embedded digits, scored on held-out training examples: its unimodal terms, and Adam's epsilon.

    python benchmarks/alignment_forms.py --out=runs/alignment_forms --seeds=0,1,2 --steps=3000

Plays configs/digits/mmali.cfg with each form of the unimodal terms (`--unimodal_form`), and with Adam as Keras has it beside
Adam as in the release. 500 training examples leave training and take the place of the test split, at which no choice looks.
What is there goes on where it stopped. Prints a row for each run, and keeps all of them in OUT/rows.json.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from absl import app, flags

from mmtf import registry
from mmtf.config import Config, EvaluateConfig, define_flags, flag_files, from_flags
from mmtf.data.dataset import MultimodalData
from mmtf.data.holdout import held_out
from mmtf.errors import UserError
from mmtf.verbs import evaluate, train

FLAGS = flags.FLAGS
flags.DEFINE_string("out", "runs/alignment_forms", "Folder of the runs.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the runs.")
flags.DEFINE_integer("steps", 3000, "Steps of each run.")
flags.DEFINE_integer("held_out", 500, "Training examples to score on.")

FORMS = ("classes", "ratio")
# Where Adam adds its epsilon, and which: [C]'s release, and Keras' defaults.
OPTIMIZERS = {"release": ("paper", 1e-8), "keras": ("keras", 1e-7)}
PARTS = "probe,coherence"


def experiment(form: str, optimizer: str, seed: int, steps: int) -> Config:
    """Return the config of the flag file, with another form and another length."""
    values = flags.FlagValues()
    define_flags(flag_values=values)
    flagfile = flag_files.find("digits/mmali.cfg")
    values(flag_files.expanded(["", f"--flagfile={flagfile}", f"--unimodal_form={form}", f"--steps={steps}", f"--seed={seed}"]))
    config = from_flags(values)
    adam_form, epsilon = OPTIMIZERS[optimizer]
    train = dataclasses.replace(config.train, panels_every=0, adam_form=adam_form, adam_epsilon=epsilon)
    return dataclasses.replace(config, train=train)


def scored_on_training(data: MultimodalData, count: int) -> MultimodalData:
    """Return the data set with `count` of its training examples in place of the test split."""
    rest, scored = held_out(data, count, seed=0)
    return dataclasses.replace(rest, test=scored)


def rows(out: Path, seeds: list[int], steps: int, count: int) -> Iterator[dict]:
    """Play every game, seed by seed, and yield what it scored."""
    for seed in seeds:
        for optimizer in OPTIMIZERS:
            for form in FORMS:
                config = experiment(form, optimizer, seed, steps)
                data = scored_on_training(registry.load_data(config.data), count)
                run = out / f"{form}-{optimizer}-{seed}"
                if not (run / "metrics.json").exists():
                    try:
                        train.train(config, run, data=data, resume=run.exists())
                    except UserError as error:
                        # Trained to its end before, and stopped while it was evaluated.
                        if "already has" not in str(error):
                            raise
                found = evaluate.evaluate(run, EvaluateConfig(parts=PARTS, cache_dir=str(out / "cache")), data=data)
                scores = {key: found[key] for key in ("probe", "coherence")}
                yield {"form": form, "epsilon": optimizer, "seed": seed, "steps": steps} | scores


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected argument {argv[1]!r}.")
    out, found = Path(FLAGS.out), []
    for row in rows(out, [int(seed) for seed in FLAGS.seeds], FLAGS.steps, FLAGS.held_out):
        found.append(row)
        print(json.dumps(row), flush=True)
        (out / "rows.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
