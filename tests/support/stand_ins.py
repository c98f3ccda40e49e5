"""Stand-ins for the scripts that others start: they leave the runs that the scripts would leave, and take no time."""

import json
from pathlib import Path

from evaluated import with_checkpoint

from mmtf.cli.sweeps import processes, sweep
from mmtf.modality import Modality
from mmtf.report import flagfile
from mmtf.runs import RunDirectory

SHORT = ("--steps=20", "--batch_size=16")


class Commands(processes.Commands):
    """Notes what is called, and leaves what it would leave; those in `fails` say why and end with 1.

    Args: spent: steps in the budget of time that a session has; None for no end.
    """

    def __init__(self, *fails, spent=None):
        super().__init__()
        self.calls, self.configs, self._fails, self._spent = [], {}, fails, spent

    def __call__(self, name, arguments, output=None):
        path = Path(next(a for a in arguments if a.startswith("--run_dir=")).removeprefix("--run_dir="))
        self.calls.append((name, path.name, "--resume" in arguments))
        if (name, path.name) in self._fails:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text("reading\n\nerror: the disk is full\n")
            return 1
        if name == "train":
            flags = [a for a in arguments if not a.startswith(("--run_dir", "--resume"))]
            self.configs[path.name] = flagfile.config_of(flags, "here")
            leave(path, self.configs[path.name], self._spent)
        else:
            evaluate_run(path)
        return 0


def leave(path, config, steps=None):
    """What mmtf train leaves after so many steps, by default all of them."""
    run = RunDirectory(path)
    run.begin(config, [Modality("digit", (2,), "normal")], {})
    run.write_json("data.json", {"examples": {"train": 320}})
    steps = config.train.steps if steps is None else steps
    run.write_json(
        "training.json", {"steps": steps, "seconds": 2.0, "steps_per_second": steps / 2, "planned_steps": config.train.steps}
    )
    with_checkpoint(path, steps)


def evaluate_run(path):
    """What mmtf evaluate leaves: numbers that tell beta and seed."""
    run = RunDirectory.open(path)
    config, training = run.config(), run.read_json("training.json")
    share = config.model.beta / 10 + config.train.seed / 100
    found = {"model": config.model.model, "dataset": config.data.dataset, "protocol": "corrected", "seed": config.train.seed}
    found |= {"step": training["steps"], "training": training, "probe": {"digit": share}, "test_terms": {"loss": -share}}
    (path / "metrics.json").write_text(json.dumps(found))


def combinations(folder, *axes, base=SHORT):
    """The points of a sweep."""
    return sweep.points(base, [sweep.axis(text) for text in axes], folder)


def carried_out(folder, scripts, *axes, base=SHORT, jobs=1, evaluation=()):
    """A sweep; its record, the sentences of what was lost, and what was said."""
    todo, said = combinations(folder, *axes, base=base), []
    found = sweep.Sweep.claim(folder, todo)
    lost = sweep.carry_out(found, todo, scripts, jobs, evaluation, said.append)
    return found, lost, said
