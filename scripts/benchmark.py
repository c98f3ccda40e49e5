"""Times our training steps, of mmJSD and of MMALI, against plain PyTorch's: python scripts/benchmark.py --rounds=5

Exits with status 1 where --require is given and one of our steps takes more CPU time than that multiple of PyTorch's.
"""

import json
import sys
from pathlib import Path

from absl import flags

from mmtf import console
from mmtf.errors import UserError

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import comparisons  # noqa: E402
import contenders  # noqa: E402
import interleaved  # noqa: E402

GAME_BATCH_SIZE = contenders.game().train.batch_size

ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each contender.", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 30, "Training steps of a turn; a multiple of 10.", lower_bound=10)
WARM_UP = flags.DEFINE_integer("warm_up", 20, "Steps before the first turn; a multiple of 10.", lower_bound=10)
BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 256, f"Examples per step of mmJSD; MMALI's are {GAME_BATCH_SIZE}, as [C] has them.", lower_bound=1
)
THREADS = flags.DEFINE_integer("threads", 0, "Threads of each library's operations; 0 for its own choice.", lower_bound=0)
ALSO = flags.DEFINE_multi_enum(
    "also",
    [],
    ["mmtf_xla", "torch_channels_last", "torch_mmali_cached"],
    "Further contenders: ours under XLA, slower on a CPU; another layout; spectral norms taken once a turn.",
)
REQUIRE = flags.DEFINE_float("require", None, "Highest CPU time accepted, as a multiple of PyTorch's.")
WRITE = flags.DEFINE_bool("write", False, "Write benchmarks/results.json.")


def main(argv):
    console.refuse_arguments(argv)
    for flag in (STEPS, WARM_UP):
        if flag.value % 10:
            raise UserError(f"--{flag.name} must be a multiple of 10, the steps per execution, not {flag.value}.")
    try:
        machine = interleaved.machine()
    except interleaved.metadata.PackageNotFoundError as error:
        raise UserError(f"The benchmark needs {error.name}: run make benchmark, or pip install -e '.[bench]'.") from error
    print(", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
    length = comparisons.Length(ROUNDS.value, STEPS.value, WARM_UP.value, THREADS.value)
    also = {game: [name for name in ALSO.value if ("mmali" in name) == game] for game in (False, True)}
    training = comparisons.side_by_side(["mmtf", "torch", *also[False]], BATCH_SIZE.value, length)
    print(f"\nmmJSD with subspaces, batch {BATCH_SIZE.value}, data feeding included\n\n{interleaved.table(training, 'torch')}")
    mmali = comparisons.side_by_side(["mmali", "torch_mmali", *also[True]], GAME_BATCH_SIZE, length)
    print(f"\nMMALI, both turns, batch {GAME_BATCH_SIZE} as in [C], data feeding included\n")
    print(interleaved.table(mmali, "torch_mmali"))
    feeding = comparisons.side_by_side(["mmtf_input", "torch_input"], BATCH_SIZE.value, length)
    print(f"\nInput pipelines alone\n\n{interleaved.table(feeding, 'torch_input')}\n")
    supply, demand = 1000 / feeding["mmtf_input"]["wall_ms"], 1000 / training["mmtf"]["wall_ms"]
    print(f"Ours supplies {supply:.0f} batches/s, {supply / demand:.0f} times the {demand:.1f} that training takes.")
    paper = comparisons.paper_input(BATCH_SIZE.value, length)
    print(
        f"On data of the size of MNIST-SVHN-Text: {paper['batches_per_second']:.0f} batches/s, "
        f"{paper['batches_per_second'] / demand:.0f} times, with {paper['peak_mb']:.0f} MB of memory at most."
    )
    if WRITE.value:
        settings = {flag.name: flag.value for flag in (BATCH_SIZE, ROUNDS, STEPS, WARM_UP, THREADS)}
        results = {"machine": machine, "settings": settings, "training": training, "input": feeding, "paper_input": paper}
        results["mmali"] = {"batch_size": GAME_BATCH_SIZE, "training": mmali}
        (BENCHMARKS / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    for model, row in (("mmJSD", training["mmtf"]), ("MMALI", mmali["mmali"])):
        if REQUIRE.value is not None and row["cpu_ratio"] > REQUIRE.value:
            sys.exit(f"Our step of {model} takes {row['cpu_ratio']} times PyTorch's CPU time; {REQUIRE.value} is allowed.")


if __name__ == "__main__":
    console.run(main)
