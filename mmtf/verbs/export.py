"""The third verb: from a run directory to a SavedModel that runs wherever TensorFlow does, without mmtf."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf

from mmtf import registry
from mmtf.errors import UserError, first_line
from mmtf.runs import RunDirectory
from mmtf.runs.directory import NETWORKS, PLUGIN
from mmtf.runs.paths import of_user, special
from mmtf.serving.card import without_places, write_card
from mmtf.serving.lite import write_lite
from mmtf.serving.signatures import signatures
from mmtf.serving.warmup import FILE as WARMUP
from mmtf.serving.warmup import write_warmup
from mmtf.verbs.load import BUILT_FROM, load_model

log = logging.getLogger(__name__)

# What reads beside the graph: TensorFlow Serving ignores files of this folder that it does not know.
EXTRA = "assets.extra"
LITE = "tflite"


def export(run_dir: str | Path, export_dir: str | Path, checkpoint: str = "latest", *, tflite: bool = False) -> Path:
    """Write a checkpoint of a run as the next version under `export_dir`, as TensorFlow Serving counts them.

    Beside the graph, in `assets.extra`: the model's card, its configuration, and requests by which a server warms up.

    Args:
      checkpoint: `latest`, `best` or a step; see `Checkpoints.restore`.
      tflite: also write TensorFlow Lite files of the encoders and decoders.

    Returns:
      The directory of the SavedModel, such as `saved_models/digits/1`; `signatures` says what it can do.

    Raises:
      UserError: there is no run or no checkpoint, `export_dir` cannot be written to, or a network cannot be converted to
        TensorFlow Lite. Versions already there are kept.
    """
    export_dir = of_user(export_dir)
    if (character := special(export_dir)) is not None:
        raise UserError(
            f"--export_dir={export_dir}: TensorFlow cannot load a model from a folder with {character!r} in its path; name "
            "another."
        )
    run = RunDirectory.open(run_dir)
    model, step = load_model(run, checkpoint)
    try:
        export_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=export_dir, prefix=".export-") as temporary:
            _write(model, run, step, Path(temporary) / "model")
            if tflite:
                write_lite(Path(temporary) / "model" / EXTRA / LITE, model)
            target = _placed(Path(temporary) / "model", export_dir)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(f"Cannot write to {export_dir}: {reason}. Name another --export_dir, or free some space.") from error
    log.info("Exported step %d of %s to %s.", step, run.path, target)
    return target


def _write(model, run: RunDirectory, step: int, path: Path) -> None:
    module = tf.Module()
    # The functions hold the variables; the module must own them, or they would not be saved.
    module.weights = tuple(v.value for v in model.served_weights().values())
    served = signatures(model, registry.fills_of(run.config().data.dataset))
    tf.saved_model.save(module, str(path), signatures=served)
    extra = path / EXTRA
    extra.mkdir()
    write_warmup(extra / WARMUP, served)
    write_card(extra, run, step)
    modalities = [dataclasses.asdict(m) for m in run.modalities()]
    built_from = {"config": without_places(run.config().to_json()), "step": step, "modalities": modalities}
    if (run.path / NETWORKS).exists():
        built_from["networks"] = run.read_json(NETWORKS)
    if run.config().train.plugin:
        # Where it lay is nobody else's business; what it is called, Keras' names are made of.
        built_from["config"]["train"]["plugin"] = Path(run.config().train.plugin).name
    if (run.path / PLUGIN).exists():
        shutil.copyfile(run.path / PLUGIN, extra / PLUGIN)
    (path / BUILT_FROM).write_text(json.dumps(built_from, indent=2) + "\n", encoding="utf-8")


def _placed(model: Path, export_dir: Path) -> Path:
    """Move a whole model to the next version; to the one after it, where another export was faster."""
    while True:
        target = export_dir / str(_next_version(export_dir))
        try:
            # Never into a directory that is there, as shutil.move.
            os.rename(model, target)
            return target
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise


def _next_version(export_dir: Path) -> int:
    return 1 + max((int(p.name) for p in export_dir.iterdir() if p.name.isdigit()), default=0)
