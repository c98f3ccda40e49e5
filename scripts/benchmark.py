"""Times training steps beside PyTorch's and multivae's, input, scaling and serving: python scripts/benchmark.py --rounds=5

Exits with status 1 where --require is given and one of our steps takes more CPU time than that multiple of PyTorch's.
"""

import os
import sys
from pathlib import Path

from absl import flags

from mmtf.cli import console
from mmtf.errors import UserError

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import comparisons  # noqa: E402
import conditions  # noqa: E402
import interleaved  # noqa: E402
import parts  # noqa: E402
import scaling  # noqa: E402
import step  # noqa: E402

PARTS = flags.DEFINE_multi_enum(
    "part",
    parts.USUAL,
    list(parts.PARTS),
    "What to measure: training steps; feeding alone; how a step's cost grows with modalities, batch, codes and samples; "
    "requests to a served model; and, where it is named, how soon a model is good, which takes most of an hour.",
)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each contender.", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 30, "Training steps of a turn; a multiple of 10.", lower_bound=10)
WARM_UP = flags.DEFINE_integer("warm_up", 20, "Steps before the first turn; a multiple of 10.", lower_bound=10)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Examples per step of mmJSD; MMALI's are as [C] has them.", lower_bound=1)
THREADS = flags.DEFINE_integer("threads", 0, "Threads of each library's operations; 0 for its own choice.", lower_bound=0)
ALSO = flags.DEFINE_multi_enum(
    "also", [], list(step.ALSO), "Further contenders: " + "; ".join(f"{k}, {v}" for k, v in step.ALSO.items()) + "."
)
WITHOUT_AVX512 = flags.DEFINE_bool(
    "without_avx512",
    False,
    "Keep TensorFlow and PyTorch from instructions beyond AVX2: what a processor without AVX-512 does, as far as this one can "
    "stand in for it. Results are kept beside those with all instructions.",
)
MODELS = flags.DEFINE_multi_enum("model", scaling.MODELS, scaling.MODELS, "Whose growth to measure; rows of others stay.")
REQUESTS = flags.DEFINE_integer("requests", 2_000, "Requests to a served model.", lower_bound=10)
SEEDS = flags.DEFINE_integer("seeds", 3, "Runs until a model is good, of each contender.", lower_bound=1)
REQUIRE = flags.DEFINE_float("require", None, "Highest CPU time accepted, as a multiple of PyTorch's.")
WRITE = flags.DEFINE_bool("write", False, "Write what was measured into benchmarks/results.json, and the picture of scaling.")


def main(argv):
    console.refuse_arguments(argv)
    length = comparisons.Length(ROUNDS.value, STEPS.value, WARM_UP.value, THREADS.value)
    length.check()
    comparisons.check_read([name for name in comparisons.READ_BY if flags.FLAGS[name].present], PARTS.value)
    if WITHOUT_AVX512.value:
        os.environ |= conditions.WITHOUT_AVX512
    try:
        machine = interleaved.machine()
    except interleaved.metadata.PackageNotFoundError as error:
        raise UserError(f"The benchmark needs {error.name}: run make benchmark, or pip install -e '.[bench]'.") from error
    print(", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
    os.environ |= interleaved.ENVIRONMENT
    how = {name: flags.FLAGS[name].value for name in (*comparisons.READ_BY, "write")}
    problems = []
    for part in PARTS.value:
        found, wrong = parts.PARTS[part](how, length, machine)
        problems += wrong
        if WRITE.value:
            # Each with its conditions: parts need not be measured together.
            comparisons.write(parts.RESULTS, {name: rows | {"machine": machine} for name, rows in found.items()})
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    console.run(main)
