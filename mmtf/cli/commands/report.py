"""Makes the page of an evaluated run, or draws what several runs come to over one of their parameters:

mmtf report --run_dir=runs/first
mmtf report --runs=runs/a,runs/b,runs/c --over=beta --output=sweep.png

[S]: Sutter, Daunhawer, Vogt 2020.
"""

from pathlib import Path

from absl import flags

from mmtf.cli import console
from mmtf.errors import UserError
from mmtf.report import curves, figures, page
from mmtf.runs import RunDirectory

RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Directory of a run that mmtf evaluate has evaluated; its report.html is written."
)
RUNS = flags.DEFINE_list("runs", None, "Directories of evaluated runs that differ in --over, and in their seeds.")
OVER = flags.DEFINE_string("over", "beta", "Parameter that --runs differ in, such as beta, private_dim or prior_weight.")
ENTRIES = flags.DEFINE_list(
    "entries",
    [],
    "Entries of metrics.json to draw for --runs, such as probe,test_terms/loss; by default those of [S]'s figures.",
)
OUTPUT = flags.DEFINE_string("output", "sweep.png", "PNG file for the curves of --runs.")


def main(argv):
    console.refuse_arguments(argv)
    if (RUN_DIR.value is None) == (RUNS.value is None):
        raise UserError("Give --run_dir for the page of one run, or --runs for curves over several.")
    if RUNS.value:
        _draw_curves()
        return
    for flag in (OVER, ENTRIES, OUTPUT):
        if flag.present:
            raise UserError(f"--{flag.name} does nothing with --run_dir; it belongs to --runs. Remove it.")
    print(f"Page: {page.write(RunDirectory.open(RUN_DIR.value))}")


def _draw_curves() -> None:
    if Path(OUTPUT.value).suffix != ".png":
        raise UserError(f"--output={OUTPUT.value} must end in .png.")
    opened = [RunDirectory.open(path) for path in RUNS.value]
    runs = [(run.config(), run.read_json("metrics.json")) for run in opened]
    try:
        figures.save(curves.sweep_curves(runs, OVER.value, ENTRIES.value), OUTPUT.value)
    except ValueError as error:
        raise UserError(f"--runs, --over={OVER.value}: {error}") from error
    except OSError as error:
        raise UserError(f"Cannot write --output={OUTPUT.value}: {error.strerror}.") from error
    print(f"Curves: {OUTPUT.value}")


if __name__ == "__main__":
    console.run(main)
