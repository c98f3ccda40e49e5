"""Run directories as mmtf train and evaluate.py leave them, with numbers of the test's own."""

from checkout import CONFIGS

from mmtf.report import flagfile
from mmtf.runs import RunDirectory
from mmtf.runs.checksums import write_sums

EXAMPLES = 1_199_900


def config_of(flag_file, *flags):
    return flagfile.read(CONFIGS / flag_file, flags)


def started(path, flag_file, *flags, examples=EXAMPLES):
    """A run without a first checkpoint."""
    config = config_of(flag_file, *flags)
    run = RunDirectory.claim(path, config)
    run.begin(config, (), {})
    run.write_json("data.json", {"examples": {"train": examples, "test": 50_000}})
    return run


def with_checkpoint(path, step):
    """Something whole where a run's checkpoint is."""
    folder = path / "checkpoints" / f"step-{step}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SHA256SUMS").unlink(missing_ok=True)
    (folder / "state.json").write_text("{}")
    write_sums(folder)


def trained(path, flag_file, *flags, steps=None, examples=EXAMPLES):
    run = started(path, flag_file, *flags, examples=examples)
    planned = flagfile.planned_steps(run.config(), examples)
    steps = steps or planned
    run.write_json(
        "training.json", {"steps": steps, "seconds": 3600.0, "steps_per_second": steps / 3600, "planned_steps": planned}
    )
    with_checkpoint(path, steps)
    return run


def evaluated(path, flag_file, *flags, steps=None, examples=EXAMPLES, **measured):
    """A run whose metrics.json holds what is measured."""
    run = trained(path, flag_file, *flags, steps=steps, examples=examples)
    config, training = run.config(), run.read_json("training.json")
    found = {"model": config.model.model, "dataset": config.data.dataset, "protocol": "corrected"}
    found |= {"seed": config.train.seed, "step": training["steps"], "score": "accuracy", "training": training}
    found["data"] = {"sources": {"mnist": "files"}, "training_examples": examples, "test_examples": 50_000}
    found["evaluation"] = {"test_examples": 10_000, "probe_examples": 5_000, "random_samples": 10_000}
    run.write_json("metrics.json", found | measured)
    return run
