"""Kills a training run again and again, and tells whether it ends as the uninterrupted one does, bit for bit.

python scripts/kill_test.py --kills=20 --work_dir=FOLDER -- --flagfile=digits/mmjsd.cfg --checkpoint_every=10
"""

import random
import subprocess
import sys
import time
from pathlib import Path

from absl import flags

from mmtf.cli import console
from mmtf.errors import UserError

KILLS = flags.DEFINE_integer("kills", 20, "How often the run is killed, and resumed.", lower_bound=0)
SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")
WORK_DIR = flags.DEFINE_string("work_dir", None, "New folder for the two runs: whole and killed.", required=True)


def main(argv):
    folder = Path(WORK_DIR.value)
    if folder.exists():
        raise UserError(f"--work_dir={folder} is there already; name a new one.")
    folder.mkdir(parents=True)
    train = [sys.executable, str(Path(__file__).with_name("train.py")), *argv[1:], "--deterministic", "--resume"]
    start, whole, _ = session(train, folder / "whole")
    moments, kills = random.Random(SEED.value), 0
    for number in range(1, KILLS.value + 1):
        if at_end(folder):
            break
        # Every fourth while it starts; the others after a first new checkpoint, and so early that the run does not end before.
        starting = number % 4 == 0
        delay = moments.uniform(0.0, start if starting else 1.2 * (whole - start) / KILLS.value)
        killed = session(train, folder / "killed", delay, at_once=starting)[2]
        how = f"killed {delay:.1f} s after its {'start' if starting else 'first checkpoint'}" if killed else "ended by itself"
        kills += killed
        print(f"{number}: {how}; checkpoints {checkpoints(folder / 'killed')}", flush=True)
    if not at_end(folder):
        session(train, folder / "killed")
    console.load_tensorflow()
    from mmtf.runs.same_run import differences

    differing = differences(folder / "whole", folder / "killed")
    print("\n".join(differing) or f"After {kills} kills: all weights, optimizer states and scalars equal, bit for bit.")
    sys.exit(1 if differing else 0)


def session(train: list[str], run: Path, delay: float | None = None, at_once: bool = False) -> tuple[float, float, bool]:
    """Return one process: the seconds until it made a checkpoint, and until its end; and whether it was killed.

    Args: delay: seconds until it is killed, after its first checkpoint or `at_once`; None to let it end.
    """
    begun, before, log = time.monotonic(), checkpoints(run)[-1:], run.with_suffix(".log")
    with open(log, "ab") as said, subprocess.Popen([*train, f"--run_dir={run}"], stdout=said, stderr=said) as process:
        while not at_once and process.poll() is None and checkpoints(run)[-1:] == before:
            time.sleep(0.02)
        start = time.monotonic() - begun
        try:
            if process.wait(delay):
                raise UserError(f"Training failed; see {log}.")
        except subprocess.TimeoutExpired:
            process.kill()
            return start, time.monotonic() - begun, True
    return start, time.monotonic() - begun, False


def at_end(folder: Path) -> bool:
    """Return whether the killed run has the last checkpoint of the whole one, after which mmtf train refuses to go on."""
    return checkpoints(folder / "killed")[-1:] == checkpoints(folder / "whole")[-1:]


def checkpoints(run: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in run.glob("checkpoints/step-*"))


if __name__ == "__main__":
    console.run(main)
