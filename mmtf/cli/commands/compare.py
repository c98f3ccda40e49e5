"""Prints evaluated runs side by side, as Markdown: mmtf compare --runs=runs/first,runs/second"""

from absl import flags

from mmtf.cli import console
from mmtf.report import tables
from mmtf.runs import RunDirectory

RUNS = flags.DEFINE_list("runs", None, "Directories of runs that mmtf evaluate has evaluated.", required=True)


def main(argv):
    console.refuse_arguments(argv)
    print(tables.comparison_table([RunDirectory.open(path).read_json("metrics.json") for path in RUNS.value]))


if __name__ == "__main__":
    console.run(main)
