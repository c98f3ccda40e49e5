"""Judges a trained run: python scripts/evaluate.py --run_dir=runs/first"""

from absl import flags

from mmtf import config, console

RUN_DIR = flags.DEFINE_string("run_dir", None, "Directory of the run.", required=True)
AGAIN = flags.DEFINE_bool("again", False, "Measure once more what was measured with the same settings.")
config.define_flags([config.EvaluateConfig])


def main(argv):
    console.refuse_arguments(argv)
    how = config.read_flags(config.EvaluateConfig)
    console.load_tensorflow()
    from mmtf.evaluate import evaluate
    from mmtf.report import tables

    print(tables.metrics_table(evaluate(RUN_DIR.value, how, again=AGAIN.value)))
    print(f"Numbers: {RUN_DIR.value}/metrics.json. Pictures: {RUN_DIR.value}/figures/. All: {RUN_DIR.value}/report.html")


if __name__ == "__main__":
    console.run(main)
