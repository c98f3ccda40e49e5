"""Trains, and evaluates, a run for every combination of some flags' values; stopped, it goes on where it was:

mmtf sweep --flagfile=digits/mmjsd.cfg --sweep=beta=1,5 --sweep=seed=0,1 --sweep_dir=runs/beta --evaluate
"""

import sys

from absl import flags

from mmtf import config
from mmtf.cli import console
from mmtf.cli.sweeps import processes, sweep, sweep_results
from mmtf.errors import UserError
from mmtf.runs.paths import of_user

SWEEP = flags.DEFINE_multi_string("sweep", [], "A flag of mmtf train and its values: beta=1,2.5,5. Several make a grid.")
SWEEP_DIR = flags.DEFINE_string("sweep_dir", None, "Folder of the runs.", required=True)
JOBS = flags.DEFINE_integer("jobs", 1, "Runs at once; several share the processors.", lower_bound=1)
EVALUATE = flags.DEFINE_bool("evaluate", False, "Evaluate each run after it was trained; flags of mmtf evaluate say how.")
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Say what would be done, and do nothing.")
OF_TRAINING = config.define_flags()
# Both have these; evaluation takes those of the run.
OF_EVALUATION = config.define_flags([config.EvaluateConfig], leave_out=["data_dir", "plugin"])


def main(argv):
    console.refuse_arguments(argv)
    todo = sweep.points(_given(OF_TRAINING), [sweep.axis(text) for text in SWEEP.value], of_user(SWEEP_DIR.value))
    evaluation = _evaluation()
    _check_names(todo)
    if DRY_RUN.value:
        whole = sweep.Sweep.claim(of_user(SWEEP_DIR.value), todo)
        for point in todo:
            state, why = sweep.needs(point, whole.runs.get(point.name, {}), evaluation)
            print(f"{point.name}: {sweep.SAYINGS[state]}{f' ({why})' if why else ''}")
        return
    with sweep.Sweep.held(of_user(SWEEP_DIR.value), todo) as whole:
        commands = processes.Commands(JOBS.value)
        try:
            lost = sweep.carry_out(whole, todo, commands, JOBS.value, evaluation, lambda text: print(text, flush=True))
        except KeyboardInterrupt:
            sys.exit("\nStopped; what was trained is kept. The same command goes on from there.")
        print(sweep_results.write(whole))
    print(f"Written: {SWEEP_DIR.value}. All runs: tensorboard --logdir={SWEEP_DIR.value}")
    if lost:
        sys.exit("Not to the end:\n" + "\n".join(lost))


def _given(names: list[str]) -> list[str]:
    """Return those of the flags that were given, here or in a flag file, as they would be written."""
    return [flags.FLAGS[name].serialize() for name in names if flags.FLAGS[name].present]


def _evaluation() -> list[str] | None:
    """Return flags for mmtf evaluate; None where runs are not to be evaluated."""
    given = _given(OF_EVALUATION)
    if given and not EVALUATE.value:
        raise UserError(f"{given[0]} does nothing without --evaluate; add it, or remove the flag.")
    config.EvaluateConfig(**{name: flags.FLAGS[name].value for name in OF_EVALUATION})
    return given if EVALUATE.value else None


def _check_names(todo: list[sweep.Point]) -> None:
    console.load_tensorflow()  # after all that a bad flag should not wait for
    from mmtf import registry
    from mmtf.evaluation import parts

    for point in todo:
        registry.check_names(point.job.config)
    if EVALUATE.value:
        parts.chosen(config.EvaluateConfig(parts=flags.FLAGS.parts))


if __name__ == "__main__":
    console.run(main)
