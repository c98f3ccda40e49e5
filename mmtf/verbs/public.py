"""What `import mmtf` offers: the verbs with keywords in place of flags, for data and models in memory too."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import keras

from mmtf.config import Config, DataConfig, EvaluateConfig, ModelConfig, TrainConfig, plugins
from mmtf.config.names import DATASETS, MODELS
from mmtf.data.dataset import MultimodalData
from mmtf.errors import UserError
from mmtf.models.base import LatentModel
from mmtf.runs import RunDirectory
from mmtf.verbs import evaluate as evaluating
from mmtf.verbs import export as exporting
from mmtf.verbs import train as training
from mmtf.verbs.adopt import adopt, config_of
from mmtf.verbs.load import load

__all__ = ["evaluate", "export", "load", "train"]

Source = str | Path | RunDirectory | LatentModel


def train(
    source: MultimodalData | Config | str | None = None,
    /,
    *,
    model: str | LatentModel | None = None,
    run_dir: str | Path | None = None,
    data: MultimodalData | str | None = None,
    encoders: Mapping[str, keras.Model] | None = None,
    decoders: Mapping[str, keras.Model] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **options,
) -> RunDirectory:
    """Train a model, and return the run directory that holds it.

    Args:
      source: the data: what `from_arrays` and its kin return, or the name of a data set. Or a whole `Config`, whose data may
        come as `data`.
      model: the name of a model, by default "mmjsd"; or one that was built by hand, whose weights training starts from.
      run_dir: a new directory.
      encoders, decoders: own networks, by modality; a modality left out gets the default ones for its kind of values.
      resume, overwrite: continue the run that `run_dir` holds, or replace it.
      **options: any hyper-parameter of any flag, by its name, such as `shared_dim=8`, `steps=500`.

    Returns:
      The run directory; `load`, `evaluate` and `export` take it, or its path.

    Raises:
      UserError: an unknown option or one that does nothing for the model, or data or a directory that cannot be used; nothing
        was trained and nothing was lost.
    """
    if run_dir is None:
        raise UserError('train wants a directory to write to, such as run_dir="runs/first".')
    networks = {part: dict(each) for part, each in (("encoders", encoders), ("decoders", decoders)) if each}
    if isinstance(source, Config):
        if model is not None or options:
            extra = "model" if model is not None else next(iter(options))
            raise UserError(f"{extra}= stands beside a whole Config; put it into the config.")
        config, start = source, None
    else:
        plugins.load(options.get("plugin", ""))
        data = _data_of(source, data)
        start = model if isinstance(model, LatentModel) else None
        config = _config(data, model or "mmjsd", options)
    if isinstance(data, str):
        data = None
    if start is not None:
        if networks:
            raise UserError("encoders= and decoders= stand beside a model that has its own; give one of them.")
        networks = start.networks
    how = {"networks": networks, "start": start, "resume": resume, "overwrite": overwrite}
    return training.train(config, run_dir, data=data, **how)


def evaluate(
    source: Source,
    *,
    data: MultimodalData | None = None,
    output: str | Path | None = None,
    again: bool = False,
    checkpoint: str = "latest",
    **options,
) -> dict:
    """Evaluate a run, or a model in memory, on the test examples of its data; return the content of metrics.json.

    Args:
      source: a run directory, which then also has metrics.json, figures/ and report.html; or a model.
      data: what it was trained on; only a run on a data set of the package finds it by itself.
      output: of a model: a new directory for all of that; by default only the numbers are returned.
      again: measure once more what was measured with the same settings.
      checkpoint: of a run: `latest`, `best` or a step.
      **options: fields of `EvaluateConfig`, such as `parts="probe,coherence"`.

    Raises:
      UserError: there is no run or no checkpoint, an unknown option, or data that are not those of the run.
    """
    config = EvaluateConfig(**_known(options, EvaluateConfig))
    if isinstance(source, LatentModel):
        if data is None:
            raise UserError("A model in memory does not know its data; give them: evaluate(model, data=data).")
        with _run_of(source, data, output) as run:
            return evaluating.evaluate(run.path, config, data=data)
    if output is not None:
        raise UserError("A run is evaluated in its own directory; output= is for a model in memory.")
    return evaluating.evaluate(_path(source), config, data=data, again=again, checkpoint=checkpoint)


def export(source: Source, export_dir: str | Path, *, checkpoint: str = "latest", tflite: bool = False) -> Path:
    """Export a run, or a model in memory, as the next version of a SavedModel under `export_dir`; return its directory.

    Raises:
      UserError: there is no run or no checkpoint, or `export_dir` cannot be written to.
    """
    if isinstance(source, LatentModel):
        with _run_of(source, None, None) as run:
            return exporting.export(run.path, export_dir, tflite=tflite)
    return exporting.export(_path(source), export_dir, checkpoint, tflite=tflite)


def _path(source: Source) -> Path:
    return source.path if isinstance(source, RunDirectory) else Path(source)


@contextlib.contextmanager
def _run_of(model: LatentModel, data: MultimodalData | None, output: str | Path | None) -> Iterator[RunDirectory]:
    """Give a model a run directory: `output`, or one that is removed afterwards."""
    if output is not None:
        yield adopt(model, output, data)
        return
    with tempfile.TemporaryDirectory(prefix="mmtf-") as folder:
        yield adopt(model, Path(folder) / "run", data)


def _data_of(source, data) -> MultimodalData | str:
    given = [x for x in (source, data) if x is not None]
    if len(given) != 1:
        raise UserError("train wants data: what mmtf.from_arrays returned, or the name of a data set such as 'digits'.")
    if not isinstance(given[0], MultimodalData | str):
        raise UserError(
            f"train wants data as mmtf.from_arrays returns them, or the name of a data set, not {type(given[0]).__name__}; "
            "for a dict of arrays call mmtf.train(mmtf.from_arrays(values), ...)."
        )
    return given[0]


def _config(data: MultimodalData | str, model: str | LatentModel, options: Mapping) -> Config:
    name = data if isinstance(data, str) else "arrays"
    if isinstance(model, LatentModel):
        chosen = {"seed": model.seed} | _known(options, TrainConfig)
        return config_of(model, TrainConfig(**chosen))
    fields = {TrainConfig: {f.name for f in dataclasses.fields(TrainConfig)}}
    fields |= {DataConfig: set(DATASETS.all_options()) - {"dataset"}, ModelConfig: set(MODELS.all_options()) - {"model"}}
    _check_known(options, set().union(*fields.values()))
    given = {part: {n: value for n, value in options.items() if n in names} for part, names in fields.items()}
    return Config(
        DataConfig(name, **given[DataConfig]), ModelConfig(model, **given[ModelConfig]), TrainConfig(**given[TrainConfig])
    )


def _known(options: Mapping, concern: type) -> dict:
    """Return the options. Raises UserError where one is no field of the dataclass."""
    _check_known(options, {f.name for f in dataclasses.fields(concern)})
    return dict(options)


def _check_known(options: Mapping, names: Collection[str]) -> None:
    for name in options:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(sorted(names))}."
            raise UserError(f"There is no option {name!r} here.{hint}")
