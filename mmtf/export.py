"""The third verb: from a run directory to a SavedModel that runs wherever TensorFlow does, without mmtf."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf

from mmtf.errors import UserError
from mmtf.evaluate import load_model
from mmtf.modality import Modality
from mmtf.rundir import RunDirectory

log = logging.getLogger(__name__)

# What reads beside the graph: TensorFlow Serving ignores files of this folder that it does not know.
EXTRA = "assets.extra"


def export(run_dir: str | Path, export_dir: str | Path, checkpoint: str = "latest") -> Path:
    """Writes a checkpoint of a run as the next version under `export_dir`, as TensorFlow Serving counts them.

    Args:
      checkpoint: `latest`, `best` or a step; see `Checkpoints.restore`.

    Returns:
      The directory of the SavedModel, such as `saved_models/digits/1`; `signatures` says what it can do.

    Raises:
      UserError: there is no run or no checkpoint, or `export_dir` cannot be written to. Versions already there are kept.
    """
    run = RunDirectory.open(run_dir)
    model, step = load_model(run, checkpoint)
    export_dir = Path(export_dir)
    try:
        export_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=export_dir, prefix=".export-") as temporary:
            _write(model, run, step, Path(temporary) / "model")
            target = export_dir / str(_next_version(export_dir))
            shutil.move(Path(temporary) / "model", target)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"Cannot write to {export_dir}: {reason}. Name another --export_dir, or free some space.") from error
    log.info("Exported step %d of %s to %s.", step, run.path, target)
    return target


def signatures(model) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """The functions of the SavedModel, by name. Images are float32 in 0..1, text is int32 class indices, seeds are int32 [2].

    `encode_X`      x -> shared_mean, shared_stddev (and private_mean, private_stddev) of q(c|x) and q(s|x)
    `encode`        all modalities -> mean and stddev of the joint posterior q(c|X)
    `translate_X`   x -> all other modalities, from the means of posterior and priors
    `sample_from_X` x and a seed -> all other modalities, sampled
    `reconstruct`   all modalities -> the same, from the means of their posteriors
    `generate`      n and a seed -> n samples of all modalities
    """
    everything = [_spec(m) for m in model.modalities.values()]
    seed = tf.TensorSpec([2], tf.int32, name="seed")
    found = {
        "encode": _function(lambda **x: _moments(model.posterior(x)), everything),
        "reconstruct": _function(lambda **x: model.reconstruct(x), everything),
        "generate": _function(lambda n, seed: model.generate(n, seed), [tf.TensorSpec([], tf.int32, name="n"), seed]),
    }
    for name, modality in model.modalities.items():
        found[f"encode_{name}"] = _function(_encoder(model, name), [_spec(modality)])
        if len(model.modalities) > 1:
            found[f"translate_{name}"] = _function(lambda **x: model.translate(x), [_spec(modality)])
            found[f"sample_from_{name}"] = _function(lambda seed, **x: model.translate(x, seed=seed), [_spec(modality), seed])
    return found


def _write(model, run: RunDirectory, step: int, path: Path) -> None:
    module = tf.Module()
    # The functions hold the variables; the module must own them, or they would not be saved.
    module.weights = tuple(v.value for v in model.served_weights().values())
    found = signatures(model)
    tf.saved_model.save(module, str(path), signatures={"serving_default": found["encode"]} | found)
    extra = path / EXTRA
    extra.mkdir()
    card = {"config": run.config().to_json(), "step": step, "modalities": [dataclasses.asdict(m) for m in run.modalities()]}
    (extra / "mmtf.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def _function(function: Callable[..., Mapping[str, tf.Tensor]], specs: list[tf.TensorSpec]):
    """A concrete function whose inputs have the names of their specs."""
    return tf.function(function).get_concrete_function(**{spec.name: spec for spec in specs})


def _spec(modality: Modality) -> tf.TensorSpec:
    dtype = tf.int32 if modality.likelihood == "categorical" else tf.float32
    return tf.TensorSpec([None, *modality.event_shape], dtype, name=modality.name)


def _encoder(model, name: str):
    def encode(**x):
        codes = model.encode(x)
        found = _moments(codes.shared[name], "shared_")
        return found | (_moments(codes.private[name], "private_") if name in codes.private else {})

    return encode


def _moments(q, prefix: str = "") -> dict[str, tf.Tensor]:
    return {f"{prefix}mean": q.mean(), f"{prefix}stddev": q.stddev()}


def _next_version(export_dir: Path) -> int:
    return 1 + max((int(p.name) for p in export_dir.iterdir() if p.name.isdigit()), default=0)
