"""Loads an exported model with requests from several threads: python scripts/load_test.py --model_dir=saved_models/first/1

Exits with status 1 where a request failed, or where memory at the end is more than --grown_mb above that after a tenth of them;
without /proc, which says how much it is, memory is not measured.
"""

import sys
from pathlib import Path

from absl import flags

from mmtf.cli import console
from mmtf.errors import UserError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

MODEL_DIR = flags.DEFINE_string("model_dir", None, "A version of an exported model.", required=True)
REQUESTS = flags.DEFINE_integer("requests", 10_000, "Requests, of all signatures in turn.", lower_bound=10)
THREADS = flags.DEFINE_integer("threads", 8, "Threads that ask at the same time.", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "Of sizes, sets of modalities and values.")
GROWN_MB = flags.DEFINE_integer("grown_mb", 100, "Megabytes by which memory may grow.", lower_bound=0)


def main(argv):
    console.refuse_arguments(argv)
    for file, what in (("saved_model.pb", "SavedModel"), ("assets.extra/mmtf.json", "description of its modalities")):
        if not (Path(MODEL_DIR.value) / file).is_file():
            wanted = "name a version that mmtf export wrote, such as NAME/1"
            raise UserError(f"{MODEL_DIR.value} holds no {what} ({file}); {wanted}.")
    console.load_tensorflow()
    import serving

    if GROWN_MB.present and serving.resident_bytes() is None:
        raise UserError("--grown_mb cannot be kept here: there is no /proc that says how much memory is taken; remove it.")
    found = serving.load(MODEL_DIR.value, REQUESTS.value, THREADS.value, SEED.value)
    print(serving.table(found))
    for message in found.errors[:3]:
        print(message, file=sys.stderr)
    if found.errors or (found.growth or 0) > GROWN_MB.value * 2**20:
        sys.exit(1)


if __name__ == "__main__":
    console.run(main)
