"""Evaluates a trained run, or samples that any program made.

mmtf evaluate --run_dir=runs/first
mmtf evaluate --samples=FOLDER --dataset=digits
"""

from absl import flags

from mmtf import config
from mmtf.cli import console
from mmtf.errors import UserError

RUN_DIR = flags.DEFINE_string("run_dir", None, "Directory of the run.")
SAMPLES = flags.DEFINE_string("samples", None, "In place of a run: folder with random/NAME.npy and from_A,B/NAME.npy.")
OUTPUT = flags.DEFINE_string("output", None, "Of --samples: folder for metrics.json; by default that of the samples.")
AGAIN = flags.DEFINE_bool("again", False, "Measure once more what was measured with the same settings.")
CHECKPOINT = flags.DEFINE_string("checkpoint", "latest", "Of a run: latest, best (of --validation_examples), or a step.")
config.define_flags([config.EvaluateConfig])
# Both have --data_dir.
OF_SAMPLES = config.define_flags([config.DataConfig], leave_out=["data_dir"])


def main(argv):
    console.refuse_arguments(argv)
    if (RUN_DIR.value is None) == (SAMPLES.value is None):
        raise UserError("Wanted --run_dir=RUN, or --samples=FOLDER with --dataset: one of them, and not both.")
    evaluate_run = of_run if SAMPLES.value is None else of_samples
    how = config.read_flags(config.EvaluateConfig)
    which = config.read_flags(config.DataConfig)
    evaluate_run(how, which)


def of_run(how, which):
    for name in ("output", *OF_SAMPLES):
        if flags.FLAGS[name].present:
            raise UserError(f"--{name} does nothing with --run_dir: a run knows its data. Remove it, or evaluate --samples.")
    console.load_tensorflow()
    from mmtf.report import tables
    from mmtf.verbs.evaluate import evaluate

    print(tables.metrics_table(evaluate(RUN_DIR.value, how, again=AGAIN.value, checkpoint=CHECKPOINT.value)))
    print(f"Numbers: {RUN_DIR.value}/metrics.json. Pictures: {RUN_DIR.value}/figures/. All: {RUN_DIR.value}/report.html")


def of_samples(how, which):
    if CHECKPOINT.present:
        raise UserError("--checkpoint does nothing with --samples; remove it.")
    console.load_tensorflow()
    from mmtf.report import tables
    from mmtf.verbs.evaluate_samples import evaluate_samples

    print(tables.metrics_table(evaluate_samples(SAMPLES.value, which, how, output=OUTPUT.value, again=AGAIN.value)))
    print(f"Numbers: {OUTPUT.value or SAMPLES.value}/metrics.json")


if __name__ == "__main__":
    console.run(main)
