"""Trains systems for the same time each and tells what they came to: python scripts/contest.py --max_seconds=300

Every system is a flag file; all get as much time, at constant learning rates, in epochs of 50 steps. A run that is there
and was evaluated is taken as it is, so that a contest that was stopped goes on; one that was not is left alone, and named.
"""

from pathlib import Path

from absl import flags

from mmtf.cli import console
from mmtf.cli.sweeps import processes
from mmtf.config import flag_files
from mmtf.errors import UserError
from mmtf.report import tables
from mmtf.runs import RunDirectory, write_atomically

SYSTEMS = flags.DEFINE_list("systems", None, "Flag files; by default all of configs/digits.")
MAX_SECONDS = flags.DEFINE_float("max_seconds", 300.0, "Seconds of training that each system gets.", lower_bound=1)
CLOCK = flags.DEFINE_enum("clock", "wall", ["wall", "cpu"], "Which seconds; cpu ones where other work shares the machine.")
JOBS = flags.DEFINE_integer("jobs", 1, "Systems at once; several share the processors.", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "Seed of all of them.", lower_bound=0)
RUN_DIR = flags.DEFINE_string("run_dir", "runs/contest", "Directory of the runs.")
TABLE = flags.DEFINE_string("table", "", "Markdown file for the table, which is printed too.")

MOST_STEPS = 10_000_000


def main(argv):
    console.refuse_arguments(argv)
    files = [Path(f) for f in SYSTEMS.value or sorted((flag_files.folder() / "digits").glob("*.cfg"))]
    missing = [str(f) for f in files if not f.is_file()]
    if missing or len({f.stem for f in files}) < len(files):
        raise UserError(
            f"--systems wants flag files of different names that are there, not {', '.join(missing or map(str, files))}."
        )
    commands = processes.Commands(JOBS.value)
    rows = processes.in_turn(commands, lambda file: _compete(file, commands), files, JOBS.value)
    table = tables.contest_table({f.stem: row for f, row in zip(files, rows, strict=True) if row})
    lost = [f.stem for f, row in zip(files, rows, strict=True) if not row]
    table += f"\n\nNot to the end: {', '.join(lost)}." if lost else ""
    print(table)
    if TABLE.value:
        write_atomically(Path(TABLE.value), (table + "\n").encode())


def _compete(file: Path, commands: processes.Commands) -> dict | None:
    """metrics.json of one system, trained and evaluated unless it is there; None if that failed, with the reason printed."""
    run = Path(RUN_DIR.value) / file.stem
    if not (run / "metrics.json").is_file():
        print(f"{file.stem}: training", flush=True)
        train = [f"--flagfile={file}", f"--max_seconds={MAX_SECONDS.value}", f"--clock={CLOCK.value}", f"--seed={SEED.value}"]
        train += [f"--steps={MOST_STEPS}", "--steps_per_epoch=50", "--learning_rate_schedule=constant", "--panels_every=0"]
        if not (_call(commands, "train", run, train) and _call(commands, "evaluate", run, [])):
            return None
    found = RunDirectory.open(run).read_json("metrics.json")
    print(f"{file.stem}: {found['training']['steps']} steps in {found['training']['seconds']:.0f} s", flush=True)
    return found


def _call(commands: processes.Commands, name: str, run: Path, arguments: list[str]) -> bool:
    output = run.parent / "output" / f"{run.name}.txt"
    status = commands(name, [f"--run_dir={run}", *arguments], output)
    if status:
        print(f"{run.name}: mmtf {name} ended with {status}: {' '.join(processes.last_lines(output, 1))}", flush=True)
    return status == 0


if __name__ == "__main__":
    console.run(main)
