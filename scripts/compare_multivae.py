"""Compares our models with those of the library `multivae`, what they find and how fast: python scripts/compare_multivae.py

Both libraries train the same networks from the same weights on the same data with the same objective; see benchmarks/README.md.
"""

import json
import os
import sys
from pathlib import Path

from absl import flags

from mmtf import console
from mmtf.errors import UserError
from mmtf.rundir import write_atomically

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import comparisons  # noqa: E402
import interleaved  # noqa: E402
import multivae_experiments  # noqa: E402
import multivae_speed  # noqa: E402

RESULTS = BENCHMARKS / "multivae.json"

MODELS = flags.DEFINE_multi_enum(
    "model", [*multivae_experiments.MODELS], [*multivae_experiments.MODELS], "Models; by default all."
)
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
    for flag in (STEPS, WARM_UP):
        if flag.value % 10:
            raise UserError(f"--{flag.name} must be a multiple of 10, the steps per execution, not {flag.value}.")
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
        _speed(machine)


def _bounds(machine: dict) -> None:
    # Before PyTorch is loaded, whose waiting threads would else keep TensorFlow's from the processor.
    os.environ |= interleaved.ENVIRONMENT
    console.load_tensorflow()
    import multivae_bounds

    found = {}
    for model in MODELS.value:
        found[model] = multivae_bounds.compare(model, BATCH_SIZE.value, range(SEEDS.value), EPOCHS.value)
        _keep("bounds", model, found[model], machine, (BATCH_SIZE, SEEDS, EPOCHS))
    rare, terms = multivae_bounds.rare(found)
    print(f"\nTerms on the test split after training, batch {BATCH_SIZE.value}\n\n{multivae_bounds.table(found)}\n")
    print(f"{rare} of all {terms} terms have p < {multivae_bounds.RARE}.")
    print(f"\nLoss at the weights of multivae\n\n{multivae_bounds.table_of_losses(found)}", flush=True)


def _speed(machine: dict) -> None:
    length = comparisons.Length(ROUNDS.value, STEPS.value, WARM_UP.value, THREADS.value)
    found = {}
    for model in MODELS.value:
        found[model] = multivae_speed.compare(model, BATCH_SIZE.value, length)
        _keep("speed", model, found[model], machine, (BATCH_SIZE, ROUNDS, STEPS, WARM_UP, THREADS))
    print(f"\nTraining steps per second of CPU time, batch {BATCH_SIZE.value}, data feeding included\n")
    print(multivae_speed.table(found))


def _keep(part: str, model: str, found: dict, machine: dict, settings: tuple) -> None:
    """Puts a model's figures into the file, with their conditions; those of other models stay."""
    if not WRITE.value:
        return
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    conditions = {"machine": machine, "settings": {flag.name: flag.value for flag in settings}}
    results.setdefault(part, {})[model] = {"conditions": conditions, "found": found}
    write_atomically(RESULTS, (json.dumps(results, indent=2) + "\n").encode())


if __name__ == "__main__":
    console.run(main)
