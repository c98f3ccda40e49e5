"""The second verb: from a run directory to metrics.json, figures and a page. It opens nothing else that training made."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mmtf import evaluation, registry
from mmtf.config import EvaluateConfig, plugins
from mmtf.data import record
from mmtf.data.dataset import MultimodalData
from mmtf.errors import UserError
from mmtf.evaluation import figures as model_figures
from mmtf.evaluation import parts
from mmtf.metrics.specs import ARROW
from mmtf.report import curves, figures, page
from mmtf.runs import RunDirectory, events
from mmtf.runs.measured import Measured, fingerprint
from mmtf.tensorboard import hparams, projector
from mmtf.verbs.load import load_model

log = logging.getLogger(__name__)

# What no number depends on.
PLACES = ("data_dir", "cache_dir", "protocol", "parts", "plugin")


def evaluate(
    run_dir: str | Path,
    config: EvaluateConfig | None = None,
    *,
    data: MultimodalData | None = None,
    again: bool = False,
    checkpoint: str = "latest",
) -> dict:
    """Evaluate a checkpoint of a run on the test split, and write metrics.json, figures/ and report.html.

    metrics.json is written after each part. An evaluation that was stopped, or that was asked for other parts, goes on; with
    other settings, or after more training, the old file is kept under another name.

    Args:
      data: what the run was trained on, where it was not loaded from the config's data set.
      again: measure the parts asked for once more, those that are there too; the old file is kept under another name.
      checkpoint: `latest`, `best` or a step; see `Checkpoints.restore`.

    Returns:
      The content of metrics.json; `docs/metrics.md` says what each entry is.

    Raises:
      UserError: there is no run, no checkpoint that can be read, no part of a name given, or labels by which nothing can be
        scored.
    """
    config = config or EvaluateConfig()
    run = RunDirectory.open(run_dir)
    # Its metrics are parts that may be asked for; a plugin that is named here comes before the run's own copy.
    plugins.load(config.plugin)
    experiment = run.config()
    chosen = parts.chosen(config)
    run.check_writable()
    trained = run.read_json("training.json")
    model, step = load_model(run, checkpoint)
    if data is None:
        data = registry.load_data(dataclasses.replace(experiment.data, data_dir=config.data_dir or experiment.data.data_dir))
    context = _Context(run, model, record.restored(run, data), config, step, chosen)
    evaluation.check_labels(context.data, context.test)
    log.info("Evaluating %s at step %d on %d test examples.", experiment.model.model, step, len(context.test))
    about = {
        "model": experiment.model.model,
        "dataset": experiment.data.dataset,
        "protocol": config.protocol,
        "seed": experiment.train.seed,
        "step": step,
        "training": {k: trained[k] for k in ("steps", "seconds", "steps_per_second")},
        "data": context.about_data(),
        "asked": chosen,
        "evaluation": dataclasses.asdict(config) | {"test_examples": len(context.test)},
    }
    of = context.fingerprint(experiment.to_json())
    measured = Measured(run, about, of, again=chosen if again else (), renamed=parts.RENAMED)
    measures = parts.of_models()
    for name in chosen:
        measured.part(name, functools.partial(measures[name], context))
    metrics = measured.content()
    run.write_json("metrics.json", metrics)
    hparams.write_metrics(run.logs, curves.summary(metrics), step)
    projector.write(run.logs, model, dataclasses.replace(context.data, test=context.test), graph=context.moments)
    codes = model_figures.of_codes(model, context.test, context.data.class_names, context.data.show)
    _write_figures(run, model_figures.of_model(model, context.test, context.data.show) | codes | _charts(metrics, model.names))
    page.write(run)
    return metrics


class _Context(evaluation.EvaluationContext):
    """What every part measures, and what several of them need."""

    def __init__(
        self, run: RunDirectory, model, data: MultimodalData, config: EvaluateConfig, step: int, chosen: Sequence[str]
    ):
        super().__init__(data, config, model.modalities)
        self.run, self.model, self.step, self._chosen = run, model, step, chosen

    def save_figures(self, drawn: Mapping[str, Figure]) -> None:
        _save(self.run, drawn)

    @functools.cached_property
    def moments(self) -> Callable:
        """The graph of `evaluation.moments`: to trace it takes longer than to compute it."""
        return evaluation.moments_graph(self.model)

    @functools.cached_property
    def generated(self) -> evaluation.Generated:
        classifiers = self.classifiers if self.labelled and "coherence" in self._chosen else None
        features = self.features if {"quality", "correlation"} & set(self._chosen) else None
        return evaluation.Generated(self.model, self.test, self.config, classifiers, features)

    def about_data(self) -> dict:
        sizes = {"training_examples": len(self.data.train), "test_examples": len(self.data.test)}
        return {"sources": dict(self.data.sources)} | sizes

    def fingerprint(self, experiment: Mapping) -> str:
        """Of the weights, the settings and the test examples."""
        weights = [v.numpy() for _, v in sorted(self.model.served_weights().items())]
        examples = [self.test.rows[n] for n in self.test.rows] + ([] if self.test.label is None else [self.test.label])
        how = {k: v for k, v in dataclasses.asdict(self.config).items() if k not in PLACES}
        return fingerprint(experiment["model"], how, self.step, self.about_data(), *weights, *examples)


def _write_figures(run: RunDirectory, drawn: dict[str, Figure]) -> None:
    """Write these figures, and the curves of training, as files of their names."""
    scalars = events.read_scalars(run.logs) if run.logs.is_dir() else {}
    terms = {name: curve for name, curve in scalars.items() if not name.startswith("coherence")}
    if terms:
        drawn["training"] = figures.training_curves(terms)
    cross = {name: curve for name, curve in scalars.items() if name.startswith("coherence") and _is_cross(name)}
    if cross:
        drawn["coherence_during_training"] = figures.training_curves(cross)
    _save(run, drawn)


def _save(run: RunDirectory, drawn: Mapping[str, Figure]) -> None:
    try:
        run.figures.mkdir(exist_ok=True)
        for name, figure in drawn.items():
            figures.save(figure, run.figures / f"{name}.png")
    except OSError as error:
        raise UserError(f"Cannot write to {run.figures}: {error.strerror}. The numbers are in metrics.json.") from error


def _charts(metrics: Mapping, names: Sequence[str]) -> dict[str, Figure]:
    """Return the charts of what was measured, by the name of their file."""
    drawn = {}
    if any(ARROW in key for key in metrics.get("coherence", ())):
        drawn["coherence"] = figures.coherence_matrix(metrics["coherence"], names)
    if metrics.get("probe"):
        drawn["probe"] = figures.probe_bars(metrics["probe"], metrics["score"].replace("_", " "))
    if metrics.get("probe_by_label"):
        drawn["probe_by_label"] = figures.label_bars({"": metrics["probe_by_label"]}, metrics["label_prevalence"])
    if metrics.get("coherence_by_label"):
        drawn["coherence_by_label"] = figures.label_bars(
            _by_target(metrics["coherence_by_label"]), metrics["label_prevalence"], metrics["classifier_by_label"]
        )
    return drawn


def _by_target(coherence: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Mapping[str, float]]]:
    """Return scores under `Y<-K` as Y, then K."""
    by_target = {}
    for key, scores in coherence.items():
        target, _, given = key.partition(ARROW)
        by_target.setdefault(target, {})[given] = scores
    return by_target


def _is_cross(name: str) -> bool:
    """Return whether a coherence such as `coherence/word<-digit` is of a modality that was not given; `random` is, too."""
    target, _, given = name.split("/", 1)[1].partition(ARROW)
    return target not in given.split(",")
