"""Evaluated runs as the papers' tables take them: where they are, what makes a run one of a row, what changes its numbers."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Iterable, Mapping
from pathlib import Path

from mmtf.config import Config, TrainConfig
from mmtf.errors import UserError
from mmtf.runs import RunDirectory
from mmtf.runs.paths import of_user

IDENTITY = ("model", "dataset", "seed", "step")
NESTED = ("data", "evaluation", "classifier_accuracy")
# What does not change the numbers: where files are, what is shown, how the work is cut up. How long was trained is told by the
# step, and seeds are what is averaged over.
PLACES = {"data_dir": "", "download": False, "features_dir": "", "data_seed": 0}
CONDUCT = (
    "seed",
    "steps_per_epoch",
    "panels_every",
    "coherence_every",
    "histograms_every",
    "embeddings_every",
    "profile_steps",
    "profiler_port",
    "keep_checkpoints",
    "checkpoint_every",
    "checkpoint_minutes",
    "deterministic",
    "steps_per_execution",
    "strategy",
    "tpu",
    "max_seconds",
    "clock",
)
LENGTH = ("steps", "epochs")
# Of a batch, which decides who the other examples of a contrastive loss are.
WORK = "microbatch"


@dataclasses.dataclass(frozen=True)
class Run:
    """An evaluated run."""

    path: Path
    config: Config
    metrics: Mapping

    @property
    def step(self) -> int:
        return self.metrics["step"]

    @property
    def examples(self) -> int | None:
        """Training examples, where metrics.json says how many."""
        return self.metrics.get("data", {}).get("training_examples")


def find_runs(places: Iterable[str]) -> tuple[list[Run], list[str]]:
    """Return the evaluated runs at these places, and a sentence on each run that cannot be used.

    Args:
      places: runs, folders that hold runs at any depth, or patterns of them such as `runs/*/seed_*`.

    Raises:
      UserError: a place holds no run.
    """
    paths = []
    for place in places:
        folders = [path for start in _expanded(place) for path in _runs_below(start)]
        if not folders:
            raise UserError(f"--runs={place} names no run and no folder of runs; a run is a directory with a config.json.")
        paths += folders
    runs, problems = [], []
    for path in {path.resolve(): path for path in paths}.values():
        try:
            runs.append(_read(path))
        except UserError as error:
            problems.append(f"Left out: {error}")
    return runs, problems


def defining(config: Config) -> dict:
    """Return what makes a run one of a row, whatever its sizes, weights and length."""
    return {
        "dataset": config.data.dataset,
        "modalities": config.data.modalities,
        "num_modalities": getattr(config.data, "num_modalities", None),
        "data_fraction": config.data.data_fraction,
        "model": config.model.model,
        "private codes": config.model.private_dim > 0,
        "contrast": _contrast(config),
    }


def _contrast(config: Config) -> str:
    """Return the contrast of a model that can have one."""
    return getattr(config.model, "contrast", "none")


def settings(config: Config) -> Config:
    """Return the config without what does not change the numbers, and without seeds and the length of training."""
    default = TrainConfig()
    left_out = (*CONDUCT, *(() if config.train.learning_rate_schedule == "cosine" else LENGTH))
    left_out += (WORK,) if _contrast(config) == "none" else ()
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, **{n: x for n, x in PLACES.items() if hasattr(config.data, n)}),
        train=dataclasses.replace(config.train, **{name: getattr(default, name) for name in left_out}),
    )


def _expanded(place: str) -> list[Path]:
    place = str(of_user(place))
    return [Path(place)] if Path(place).exists() else [Path(path) for path in sorted(glob.glob(place, recursive=True))]


def _runs_below(start: Path) -> list[Path]:
    if (start / "config.json").is_file():
        return [start]
    return sorted(path.parent for path in start.rglob("config.json"))


def _read(path: Path) -> Run:
    run = RunDirectory.open(path)
    if not (path / "metrics.json").is_file():
        raise UserError(f"{path} was not evaluated yet; run mmtf evaluate --run_dir={path}.")
    config, metrics = run.config(), run.read_json("metrics.json")
    missing = [key for key in IDENTITY if not isinstance(metrics, Mapping) or key not in metrics]
    if missing:
        raise UserError(
            f"{path / 'metrics.json'} lacks {', '.join(missing)}: another version wrote it. Evaluate the run again."
        )
    wrong = [key for key in NESTED if not isinstance(metrics.get(key, {}), Mapping)]
    wrong += [] if isinstance(metrics["step"], int) else ["step"]
    if wrong:
        raise UserError(f"{path / 'metrics.json'} has a {wrong[0]} that mmtf evaluate did not write. Evaluate the run again.")
    if (metrics["model"], metrics["dataset"]) != (config.model.model, config.data.dataset):
        raise UserError(
            f"{path / 'metrics.json'} is of {metrics['model']} on {metrics['dataset']}, and config.json of "
            f"{config.model.model} on {config.data.dataset}. Evaluate the run again."
        )
    return Run(path, config, metrics)
