"""The second verb: from a run directory to metrics.json and figures. It opens nothing else that training made."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from mmtf import catalog, judge, monitor, pictures
from mmtf.checkpoint import Checkpoints
from mmtf.config import EvaluateConfig
from mmtf.data.dataset import Split
from mmtf.errors import UserError
from mmtf.report import figures
from mmtf.rundir import RunDirectory

log = logging.getLogger(__name__)


def evaluate(run_dir: str | Path, config: EvaluateConfig | None = None) -> dict:
    """Judges the newest checkpoint of a run on the test split, and writes metrics.json and figures/.

    Returns:
      The content of metrics.json; `docs/metrics.md` says what each entry is.

    Raises:
      UserError: there is no run, or no checkpoint that can be read.
    """
    config = config or EvaluateConfig()
    run = RunDirectory.open(run_dir)
    run.check_writable()
    record = run.read_json("training.json")
    model, step = load_model(run)
    experiment = run.config()
    data = catalog.load_data(experiment.data)
    test = data.test.first(config.test_examples)
    classifiers = judge.train_classifiers(data, config)
    log.info("Judging %s at step %d on %d test examples.", experiment.model.model, step, len(test))
    coherence = judge.Coherence(model, test, classifiers, config).measure()
    metrics = {
        "model": experiment.model.model,
        "dataset": experiment.data.dataset,
        "protocol": "corrected",
        "seed": experiment.train.seed,
        "step": step,
        **judge.latent_probes(model, data.train, test, config),
        **coherence,
        "coherence_standard_error": judge.standard_errors(coherence["coherence"], test, config.random_samples),
        "classifier_accuracy": judge.classifier_accuracies(data, classifiers),
        "training": {k: record[k] for k in ("steps", "seconds", "steps_per_second")},
        "evaluation": dataclasses.asdict(config) | {"test_examples": len(test)},
    }
    run.write_json("metrics.json", metrics)
    _write_figures(run, model, test, metrics)
    return metrics


def load_model(run: RunDirectory):
    """The model of a run with the weights of its newest checkpoint, and that checkpoint's step."""
    model = catalog.build_model(run.config(), run.modalities())
    step = Checkpoints(run.checkpoints, model.named_weights()).restore(partial=True)
    return model, step


def _write_figures(run: RunDirectory, model, test: Split, metrics: dict) -> None:
    drawn = pictures.of_model(model, test)
    drawn["coherence"] = figures.coherence_matrix(metrics["coherence"], model.names)
    drawn["probe"] = figures.probe_bars(metrics["probe"])
    scalars = monitor.read_scalars(run.logs) if run.logs.is_dir() else {}
    terms = {name: curve for name, curve in scalars.items() if not name.startswith("coherence")}
    if terms:
        drawn["training"] = figures.training_curves(terms)
    cross = {name: curve for name, curve in scalars.items() if name.startswith("coherence") and _is_cross(name)}
    if cross:
        drawn["coherence_during_training"] = figures.training_curves(cross)
    try:
        run.figures.mkdir(exist_ok=True)
        for name, figure in drawn.items():
            figures.save(figure, run.figures / f"{name}.png")
    except OSError as error:
        raise UserError(f"Cannot write to {run.figures}: {error.strerror}. The numbers are in metrics.json.") from error


def _is_cross(name: str) -> bool:
    """Whether a coherence such as `coherence/word<-digit` is of a modality that was not given; `random` is, too."""
    target, _, given = name.split("/", 1)[1].partition("<-")
    return target not in given.split(",")
