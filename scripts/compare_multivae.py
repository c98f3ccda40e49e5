"""Compares our models with those of the library `multivae`, what they find and how fast: python scripts/compare_multivae.py"""

import os
import sys
from pathlib import Path

from absl import flags

from mmtf.cli import console
from mmtf.errors import UserError

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import comparisons  # noqa: E402
import interleaved  # noqa: E402
import multivae_experiments  # noqa: E402
import multivae_speed  # noqa: E402

ALL = list(multivae_experiments.MODELS)
MODELS = flags.DEFINE_multi_enum("model", ALL, ALL, "Models; by default all.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Examples per step.", lower_bound=1)
SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds that both libraries train with, two or more; 0 for no training.", lower_bound=0)
EPOCHS = flags.DEFINE_integer("epochs", 2, "Passes over the 28,000 training examples for each seed.", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each contender; 0 for no timing.", lower_bound=0)
STEPS = flags.DEFINE_integer("steps", 20, "Training steps of a turn; a multiple of 10.", lower_bound=10)
WARM_UP = flags.DEFINE_integer("warm_up", 10, "Steps before the first turn; a multiple of 10.", lower_bound=10)
THREADS = flags.DEFINE_integer("threads", 0, "Threads of each library's operations; 0 for its own choice.", lower_bound=0)
WRITE = flags.DEFINE_bool("write", False, "Write what was found of these models to benchmarks/multivae.json.")


def main(argv):
    console.refuse_arguments(argv)
    length = comparisons.Length(ROUNDS.value, STEPS.value, WARM_UP.value, THREADS.value)
    length.check()
    if SEEDS.value == 1:
        raise UserError("--seeds=1 says nothing about the noise between seeds; take 2 or more, or 0.")
    try:
        machine = interleaved.machine() | {"multivae": interleaved.metadata.version("multivae")}
    except interleaved.metadata.PackageNotFoundError as error:
        raise UserError(f"The comparison needs {error.name}: run pip install -e '.[bench]'.") from error
    print(", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
    if SEEDS.value:
        _bounds(machine)
    if ROUNDS.value:
        _speed(machine, length)


def _bounds(machine: dict) -> None:
    # Before PyTorch is loaded, whose waiting threads would else keep TensorFlow's from the processor.
    os.environ |= interleaved.ENVIRONMENT
    console.load_tensorflow()
    import multivae_bounds

    found = {}
    for model in MODELS.value:
        found[model] = multivae_bounds.compare(model, BATCH_SIZE.value, range(SEEDS.value), EPOCHS.value)
        _keep("bounds", model, found[model], machine, (BATCH_SIZE, SEEDS, EPOCHS))
    print(f"\nTerms on the test split after training, batch {BATCH_SIZE.value}\n\n{multivae_bounds.report(found)}", flush=True)


def _speed(machine: dict, length: comparisons.Length) -> None:
    found = {}
    for model in MODELS.value:
        found[model] = multivae_speed.compare(model, BATCH_SIZE.value, length)
        _keep("speed", model, found[model], machine, (BATCH_SIZE, ROUNDS, STEPS, WARM_UP, THREADS))
    print(f"\nTraining steps per second of CPU time, batch {BATCH_SIZE.value}, data feeding included\n")
    print(multivae_speed.table(found))


def _keep(part: str, model: str, found: dict, machine: dict, settings: tuple) -> None:
    if WRITE.value:
        conditions = {"machine": machine, "settings": {flag.name: flag.value for flag in settings}}
        comparisons.keep(BENCHMARKS / "multivae.json", part, model, {"conditions": conditions, "found": found})


if __name__ == "__main__":
    console.run(main)
