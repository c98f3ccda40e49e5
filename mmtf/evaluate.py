"""The second verb: from a run directory to metrics.json, figures and a page. It opens nothing else that training made."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mmtf import catalog, judge, monitor, pictures
from mmtf.checkpoint import Checkpoints
from mmtf.config import EvaluateConfig
from mmtf.data import record
from mmtf.data.dataset import MultimodalData, Split
from mmtf.errors import UserError
from mmtf.report import figures, page
from mmtf.rundir import RunDirectory

log = logging.getLogger(__name__)


def evaluate(run_dir: str | Path, config: EvaluateConfig | None = None, *, data: MultimodalData | None = None) -> dict:
    """Judges the newest checkpoint of a run on the test split, and writes metrics.json, figures/ and report.html.

    Args:
      data: what the run was trained on, where it was not loaded from the config's data set.

    Returns:
      The content of metrics.json; `docs/metrics.md` says what each entry is.

    Raises:
      UserError: there is no run, no checkpoint that can be read, or labels by which nothing can be scored.
    """
    config = config or EvaluateConfig()
    run = RunDirectory.open(run_dir)
    run.check_writable()
    trained = run.read_json("training.json")
    model, step = load_model(run)
    experiment = run.config()
    if data is None:
        data = catalog.load_data(dataclasses.replace(experiment.data, data_dir=config.data_dir or experiment.data.data_dir))
    data = record.restored(run, data)
    test = data.test.first(config.test_examples)
    judge.check_labels(data, test)
    log.info("Judging %s at step %d on %d test examples.", experiment.model.model, step, len(test))
    metrics = {
        "model": experiment.model.model,
        "dataset": experiment.data.dataset,
        "protocol": "corrected",
        "seed": experiment.train.seed,
        "step": step,
        **_by_labels(model, data, test, config),
        "test_terms": judge.objective_terms(model, test, step, config),
        "training": {k: trained[k] for k in ("steps", "seconds", "steps_per_second")},
        "data": {"sources": dict(data.sources), "training_examples": len(data.train), "test_examples": len(data.test)},
        "evaluation": dataclasses.asdict(config) | {"test_examples": len(test)},
    }
    run.write_json("metrics.json", metrics)
    codes = pictures.of_codes(model, test, data.class_names, data.show)
    _write_figures(run, pictures.of_model(model, test, data.show) | codes | _charts(metrics, model.names))
    page.write(run)
    return metrics


def _by_labels(model, data: MultimodalData, test: Split, config: EvaluateConfig) -> dict:
    """The measurements that take labels; none where there are none."""
    score = judge.score_name(data)
    if score is None:
        log.info("%s has no labels: probes and coherence are left out.", data.name)
        return {}
    classifiers = judge.train_classifiers(data, config)
    return {
        "score": score,
        **judge.latent_probes(model, data, test, config),
        **judge.Coherence(model, test, classifiers, config).report(data.class_names),
        **judge.classifier_scores(data, classifiers),
        **({"label_prevalence": judge.prevalence(test, data.class_names)} if data.multi_label else {}),
    }


def load_model(run: RunDirectory):
    """The model of a run with the weights of its newest checkpoint, and that checkpoint's step."""
    model = catalog.build_model(run.config(), run.modalities())
    step = Checkpoints(run.checkpoints, model.named_weights()).restore(partial=True)
    return model, step


def _write_figures(run: RunDirectory, drawn: dict[str, Figure]) -> None:
    """Writes these figures, and the curves of training, as files of their names."""
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


def _charts(metrics: Mapping, names: Sequence[str]) -> dict[str, Figure]:
    """The charts of what was measured, by the name of their file."""
    drawn = {}
    if any("<-" in key for key in metrics.get("coherence", ())):
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
    """Scores under `Y<-K` as Y, then K."""
    found = {}
    for key, scores in coherence.items():
        target, _, given = key.partition("<-")
        found.setdefault(target, {})[given] = scores
    return found


def _is_cross(name: str) -> bool:
    """Whether a coherence such as `coherence/word<-digit` is of a modality that was not given; `random` is, too."""
    target, _, given = name.split("/", 1)[1].partition("<-")
    return target not in given.split(",")
