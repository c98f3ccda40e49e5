"""Holds runs beside the papers' tables: mmtf reproduce --table=mmjsd/10 --runs=runs/first,runs/second

With --run it trains and evaluates first what the table lacks, below the folder of --runs; stopped, it goes on where it was.
"""

import shlex
import sys

from absl import flags

from mmtf.cli import console
from mmtf.cli.sweeps import rerun
from mmtf.cli.sweeps.processes import Commands, ends_as_interrupts
from mmtf.config import flag_files
from mmtf.errors import UserError
from mmtf.report import formats, published, reproduce, runs
from mmtf.report.protocols import PROTOCOLS
from mmtf.runs import write_atomically
from mmtf.runs.paths import of_user

LIST = flags.DEFINE_bool("list", False, "Print all tables with their rows, flag files and costs.")
TABLE = flags.DEFINE_list("table", [], "Tables, such as mmjsd/9,mmjsd/10; --list shows them all.")
ROWS = flags.DEFINE_list("rows", [], "Rows of the tables; by default all.")
RUNS = flags.DEFINE_list(
    "runs", ["runs/reproduce"], "Evaluated runs, folders of runs or patterns; with --run the folder for runs."
)
PROTOCOL = flags.DEFINE_enum("protocol", "corrected", [*PROTOCOLS, "both"], "How ours are measured; see docs/metrics.md.")
OUTPUT = flags.DEFINE_string("output", "", "Folder that gets each table as Markdown, LaTeX and CSV.")
RUN = flags.DEFINE_bool("run", False, "Train and evaluate what is missing first.")
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "With --run: seeds of every row.")
TRAIN_FLAGS = flags.DEFINE_string(
    "train_flags", "", "With --run: further flags of mmtf train, as '--steps=20 --batch_size=16'."
)
EVALUATE_FLAGS = flags.DEFINE_string("evaluate_flags", "", "With --run: further flags of mmtf evaluate.")


def main(argv):
    console.refuse_arguments(argv)
    if LIST.value:
        print(published.listing(flag_files.folder()))
        return
    if not TABLE.value:
        raise UserError(f"Name a table in --table, of {', '.join(published.tables())}; --list shows their rows.")
    tables = [published.table(name) for name in TABLE.value]
    tables = [table.only(ROWS.value) if ROWS.value else table for table in tables]
    lost = [sentence for table in tables for sentence in _run(table)] if RUN.value else []
    evaluated, problems = runs.find_runs(RUNS.value) if RUNS.present or of_user(RUNS.value[0]).exists() else ([], [])
    for table in tables:
        for protocol in PROTOCOLS if PROTOCOL.value == "both" else [PROTOCOL.value]:
            _show(reproduce.compare(table, evaluated, protocol, flag_files.folder(), problems))
    if lost:
        sys.exit("Not to the end:\n" + "\n".join(dict.fromkeys(lost)))


def _run(table: published.Table) -> list[str]:
    if len(RUNS.value) != 1:
        raise UserError(f"With --run, --runs names the one folder that runs are made in, not {','.join(RUNS.value)}.")
    if not all(seed.isdecimal() for seed in SEEDS.value) or not SEEDS.value:
        raise UserError(f"--seeds wants numbers such as 0,1,2, not {','.join(SEEDS.value)!r}.")
    seeds, further = [int(s) for s in SEEDS.value], shlex.split(TRAIN_FLAGS.value)
    todo = rerun.jobs(table, of_user(RUNS.value[0]), seeds, further, flag_files.folder())
    commands, evaluation = Commands(), shlex.split(EVALUATE_FLAGS.value)
    try:
        with ends_as_interrupts():
            return rerun.carry_out(todo, commands, lambda text: print(text, flush=True), evaluation)
    except KeyboardInterrupt:
        sys.exit("\nStopped; what was trained is kept. The same command goes on from there.")


def _show(comparison: reproduce.Comparison) -> None:
    print(formats.markdown(comparison))
    for suffix, form in formats.FORMATS.items() if OUTPUT.value else ():
        path = of_user(OUTPUT.value) / f"{formats.file_stem(comparison)}.{suffix}"
        write_atomically(path, form(comparison).encode())
        print(f"Written: {path}")


if __name__ == "__main__":
    console.run(main)
