"""Trains a model: mmtf train --flagfile=quickstart.cfg --run_dir=runs/first"""

from absl import flags

from mmtf import config
from mmtf.cli import console

RUN_DIR = flags.DEFINE_string("run_dir", None, "Directory that the run is written to.", required=True)
RESUME = flags.DEFINE_bool("resume", False, "Continue the run in --run_dir from its newest checkpoint.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the run in --run_dir.")
config.define_flags()


def main(argv):
    console.refuse_arguments(argv)
    experiment = config.from_flags()
    console.load_tensorflow()  # after the flags: it takes seconds, and a bad flag should not wait for it
    from mmtf.distributed.strategies import is_chief
    from mmtf.verbs.train import train

    run = train(experiment, RUN_DIR.value, resume=RESUME.value, overwrite=OVERWRITE.value)
    if not is_chief():
        return
    record = run.read_json("training.json")
    print(f"Trained {record['steps']} steps in {record['seconds']:.0f} s ({record['steps_per_second']} steps/s): {run.path}")
    print(f"Next: mmtf evaluate --run_dir={run.path}")


if __name__ == "__main__":
    console.run(main)
