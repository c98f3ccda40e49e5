"""Load trained models, from a run directory or from an exported model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from mmtf import registry
from mmtf.config import Config
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.models import own_networks
from mmtf.models.base import LatentModel
from mmtf.runs import RunDirectory
from mmtf.runs.checkpoint import Checkpoints
from mmtf.runs.directory import NETWORKS, PLUGIN
from mmtf.runs.paths import literal, of_user

# Beside the graph of an exported model: what it was built from.
BUILT_FROM = "assets.extra/mmtf.json"


def load(
    path: str | Path | RunDirectory,
    checkpoint: str = "latest",
    *,
    encoders: Mapping[str, keras.Model] | None = None,
    decoders: Mapping[str, keras.Model] | None = None,
) -> LatentModel:
    """Return a trained model.

    Args:
      path: a run directory, or an exported model: one of its versions, or the folder of all, of which the newest is taken.
      checkpoint: of a run: `latest`, `best` or a step.
      encoders, decoders: own networks by modality, where their layers cannot be built from what was kept of them.

    Raises:
      UserError: neither a run nor an exported model is there, or it has no checkpoint that can be read.
    """
    networks = {part: each for part, each in (("encoders", encoders), ("decoders", decoders)) if each}
    if isinstance(path, RunDirectory):
        return load_model(path, checkpoint, networks)[0]
    path = of_user(path)
    exported = _exported(path)
    if exported is None:
        return load_model(RunDirectory.open(path), checkpoint, networks)[0]
    if checkpoint != "latest":
        raise UserError(f"{path} is an exported model, which has no checkpoints; leave checkpoint={checkpoint!r} out.")
    return _load_exported(exported, networks)


def load_model(run: RunDirectory, checkpoint: str = "latest", networks: own_networks.Networks | None = None):
    """Return the model of a run with the weights of a checkpoint, and the checkpoint's step.

    Args:
      checkpoint: `latest`, `best` or a step; see `Checkpoints.restore`.
      networks: own networks, by part and modality, in place of what the run says of them.
    """
    model = registry.build_model(run.config(), _filled(run.config(), run.modalities()), **kept_networks(run, networks))
    step = Checkpoints(run.checkpoints, model.named_weights()).restore(partial=True, which=checkpoint)
    return model, step


def _filled(config: Config, modalities: Sequence[Modality]) -> tuple[Modality, ...]:
    """Return the modalities; of a run that was made before texts kept their filling, with that of its data set."""
    fills = registry.fills_of(config.data.dataset)
    return tuple(dataclasses.replace(m, fill=fills.get(m.name, m.fill)) for m in modalities)


def kept_networks(run: RunDirectory, networks: own_networks.Networks | None = None) -> dict:
    """Return the own networks that a run was trained with, by part and modality; those given win."""
    kept = run.read_json(NETWORKS) if (run.path / NETWORKS).exists() else {}
    missing = {part: {n: c for n, c in each.items() if n not in (networks or {}).get(part, {})} for part, each in kept.items()}
    built = own_networks.from_json(missing)
    return {part: {**built.get(part, {}), **(networks or {}).get(part, {})} for part in {*built, *(networks or {})}}


def _exported(path: Path) -> Path | None:
    """Return the folder of an exported model that a path means, or None."""
    if (path / BUILT_FROM).is_file():
        return path
    versions = [p for p in path.iterdir() if p.name.isdecimal() and (p / BUILT_FROM).is_file()] if path.is_dir() else []
    return max(versions, key=lambda p: int(p.name), default=None)


def _load_exported(path: Path, networks: own_networks.Networks) -> LatentModel:
    try:
        card = json.loads((path / BUILT_FROM).read_text(encoding="utf-8"))
        config = Config.from_json(card["config"], (path / BUILT_FROM).with_name(PLUGIN))
        modalities = _filled(config, [Modality.from_json(m) for m in card["modalities"]])
        kept = own_networks.from_json(card.get("networks", {}))
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path / BUILT_FROM} is damaged ({error!r}); export the run again.") from error
    parts = {part: {**kept.get(part, {}), **networks.get(part, {})} for part in {*kept, *networks}}
    model = registry.build_model(config, modalities, **parts)
    try:
        with literal(path / "variables/variables") as prefix:
            reader = tf.train.load_checkpoint(str(prefix))
            for place, variable in enumerate(model.served_weights().values()):
                variable.assign(reader.get_tensor(f"weights/{place}/.ATTRIBUTES/VARIABLE_VALUE"))
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise UserError(f"The variables of {path} cannot be read ({type(error).__name__}); export the run again.") from error
    return model
