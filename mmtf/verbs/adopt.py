"""Give a model that was built by hand a run directory, so that every other verb takes it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from mmtf.config import Config, DataConfig, TrainConfig
from mmtf.data import record
from mmtf.data.dataset import MultimodalData
from mmtf.errors import UserError
from mmtf.models import own_networks
from mmtf.models.base import LatentModel
from mmtf.runs import RunDirectory
from mmtf.runs.checkpoint import Checkpoints
from mmtf.runs.directory import NETWORKS


def adopt(model: LatentModel, run_dir: str | Path, data: MultimodalData | None = None) -> RunDirectory:
    """Write a run directory with a model as it is now.

    Args:
      run_dir: a new directory.
      data: what the model is evaluated on; an export needs none.

    Raises:
      UserError: the directory is taken, the data have other modalities than the model, or a network cannot be written down.
    """
    if data is not None and data.names != model.names:
        raise UserError(f"The model has the modalities {', '.join(model.names)}, and the data {', '.join(data.names)}.")
    step = _steps_of(model)
    config = config_of(model, TrainConfig(seed=model.seed, steps=max(step, 1)))
    run = RunDirectory.claim(run_dir, config)
    files = record.files(data) if data is not None else {}
    files[NETWORKS] = json.dumps(own_networks.to_json(model.networks)).encode()
    run.begin(config, tuple(model.modalities.values()), files)
    run.write_json("training.json", {"steps": step, "seconds": 0.0, "steps_per_second": 0.0, "planned_steps": step})
    with contextlib.closing(Checkpoints(run.checkpoints, model.named_weights())) as checkpoints:
        checkpoints.start_saving(step, {"step": step})
        checkpoints.wait()
    return run


def config_of(model: LatentModel, train: TrainConfig) -> Config:
    """Return the config of a model, whose data come from the user's program."""
    return Config(DataConfig("arrays"), model.options, train)


def _steps_of(model: LatentModel) -> int:
    optimizer = getattr(model, "optimizer", None)
    return int(optimizer.iterations) if optimizer is not None else 0
