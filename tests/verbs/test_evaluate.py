"""What mmtf evaluate makes of a run, as numbers, pictures and a page. tests/evaluation has the parts alone."""

import dataclasses
import json
from unittest import mock

import numpy as np
import pytest
import sample_files
import shared
import three_kinds
import untrained
from small_evaluations import eagerly, fresh_classifiers

from mmtf import evaluation, registry
from mmtf.config import Config, DataConfig, EvaluateConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays, record
from mmtf.errors import UserError
from mmtf.evaluation import parts
from mmtf.modality import subsets
from mmtf.report import tables
from mmtf.runs import RunDirectory, events
from mmtf.tensorboard import hparams, projector
from mmtf.training import monitor
from mmtf.verbs import evaluate, train

HOW = EvaluateConfig(
    test_examples=50, probe_examples=100, random_samples=200, likelihood_samples=2, likelihood_samples_many=25,
    likelihood_examples_many=3, quality_samples=50, retrieval_candidates=20, retrieval_likelihood_candidates=4,
)  # fmt: skip
NAMES = ("picture", "words")
CONFIG = Config(
    DataConfig(dataset="arrays"),
    ModelConfig(shared_dim=3, private_dim=2),
    TrainConfig(batch_size=16, steps=2, panels_every=0, strategy="one", seed=3),
)


@pytest.fixture(scope="module")
def data():
    return three_kinds.arrays().only(NAMES)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    return train.train(CONFIG, tmp_path_factory.mktemp("runs") / "run", data=data)


@pytest.fixture(scope="module")
def evaluated(run, data, tmp_path_factory):
    """The run after its evaluation, and what that returned."""
    copy = shared.copied(run, tmp_path_factory.mktemp("evaluated") / "run")
    with mock.patch.object(evaluation.context, "train_classifiers", fresh_classifiers):
        return copy, evaluate.evaluate(copy.path, HOW, data=data)


def check_numbers(metrics, names, text, test_examples):
    """That there is one for every subset and target, and that they are of one another. text: the categorical modality."""
    keys = [",".join(s) for s in subsets(names)]
    assert (metrics["model"], metrics["protocol"], metrics["seed"], metrics["step"]) == ("mmjsd", "corrected", 3, 2)
    assert list(metrics["parts"]) == list(parts.of_models())
    assert list(metrics["probe"]) == list(metrics["probe_one_batch"]) == keys
    assert set(metrics["probe_private"]) == set(metrics["probe_both"]) == set(names)
    assert set(metrics["coherence"]) == {"random"} | {f"{n}<-{k}" for n in names for k in keys}
    assert ("coherence_published" in metrics) == (len(names) == 3)
    assert set(metrics["coherence_own_private"]) == {f"{n}<-{k}" for k in keys for n in k.split(",")}
    assert set(metrics["coherence_likeliest"]) == {f"{text}<-{k}" for k in keys}
    assert set(metrics["classifier_accuracy"]) == set(metrics["reconstruction_error"]) == set(names)
    share = metrics["coherence"][f"{text}<-{names[0]}"]
    error = metrics["coherence_standard_error"][f"{text}<-{names[0]}"]
    assert error == pytest.approx(np.sqrt(share * (1 - share) / test_examples), abs=1e-4)
    assert metrics["score"] == "accuracy"
    assert not [key for key in metrics if key.endswith(("_by_label", "_left_out")) or key == "label_prevalence"]
    assert set(metrics["active_units"]["shared"]) == set(keys)
    for kind in ("likelihood", "likelihood_many"):
        assert set(metrics[kind]["joint"]) == set(metrics[kind]["marginal"]) == set(keys)
    pairs = {",".join(pair) for pair in subsets(names) if len(pair) == 2}
    assert set(metrics["cca"]) == set(metrics["mismatch_auc"]) == set(metrics["divergence_between"]) == pairs
    places = {"real", "random", *(f"{text}<-{k}" for k in keys if text not in k)}
    assert set(metrics["prd"]) == set(names)
    assert set(metrics["prd"][text]) == places
    assert set(metrics["training"]) == {"steps", "seconds", "steps_per_second"}
    assert metrics["test_terms"]["loss"] > 0 > metrics["test_terms"][f"log_likelihood/{text}"]
    assert metrics["evaluation"]["test_examples"] == test_examples


def check_shown(run, metrics, names):
    """The pictures, the page and what TensorBoard has."""
    drawn = {p.stem for p in run.figures.glob("*.png")}
    assert {"examples", "reconstruction", "coherence", "probe", "training", "prd", "latent_map"} <= drawn
    assert {f"{kind}_{name}" for name in names for kind in ("random", "from", "swap", "factors", "traversal")} <= drawn
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(drawn)
    assert f'value="{metrics["test_terms"]["loss"]!r}"' in page
    shown = events.read_scalars(run.logs / hparams.FOLDER)
    assert shown["test_terms/loss"] == ([2], [pytest.approx(metrics["test_terms"]["loss"], rel=1e-6)])
    assert {"coherence/random", "probe/1 given"} <= set(shown)
    assert (run.logs / projector.FOLDER / "shared.png").exists()


def test_metrics_have_every_subset_and_target(evaluated):
    run, metrics = evaluated
    assert json.loads((run.path / "metrics.json").read_text()) == metrics
    check_numbers(metrics, NAMES, "words", 50)
    assert metrics["dataset"] == "arrays"
    assert metrics["features"] == dict.fromkeys(NAMES, "classifier")
    assert metrics["data"]["training_examples"] == 90
    assert metrics["data"]["test_examples"] == 60
    assert metrics["data"]["sources"] == dict(three_kinds.arrays().sources)
    assert "words" in tables.metrics_table(metrics)


def test_what_was_measured_is_shown(evaluated):
    run, metrics = evaluated
    check_shown(run, metrics, NAMES)


def test_a_second_evaluation_measures_nothing(evaluated, data, monkeypatch):
    run, metrics = evaluated
    for name in ("of_model", "of_codes"):
        monkeypatch.setattr(evaluate.model_figures, name, lambda *given: {})
    monkeypatch.setattr(evaluation.context, "train_classifiers", None)
    assert evaluate.evaluate(run.path, HOW, data=data) == metrics
    assert not (run.path / "metrics.1.json").exists()


@pytest.mark.slow
def test_a_run_on_the_digits_has_all_of_it(digits_run, tmp_path, monkeypatch):
    """Of the papers' networks, where the data set is loaded anew."""
    monkeypatch.setattr(evaluation.context, "train_classifiers", fresh_classifiers)
    run, names = shared.copied(digits_run, tmp_path / "run"), ("digit", "scene", "word")
    metrics = evaluate.evaluate(run.path, dataclasses.replace(HOW, test_examples=60))
    check_numbers(metrics, names, "word", 60)
    check_shown(run, metrics, names)
    sources = dict(registry.load_data(run.config().data).sources)
    assert metrics["data"] == {"sources": sources, "training_examples": 1400, "test_examples": 1985}


@pytest.fixture
def trained_on(monkeypatch):
    """Makes the run's data come back with other labels: `label` of the classes `[N]`."""
    restored = record.restored

    def relabel(label, class_names):
        def relabelled(run, data):
            data = restored(run, data)
            parts = {part: getattr(data, part) for part in ("train", "test")}
            parts = {part: dataclasses.replace(split, label=label(split.label)) for part, split in parts.items()}
            return dataclasses.replace(data, **parts, class_names=class_names)

        monkeypatch.setattr(record, "restored", relabelled)

    return relabel


@pytest.fixture
def few_pictures(monkeypatch):
    """Those of the model are left out; charts of the numbers are drawn."""
    for name in ("of_model", "of_codes"):
        monkeypatch.setattr(evaluate.model_figures, name, lambda *given: {})


@pytest.fixture
def eager():
    with eagerly():
        yield


def test_many_labels_are_evaluated_one_by_one(run, data, trained_on, few_pictures, eager, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation.context, "train_classifiers", fresh_classifiers)
    run, names = shared.copied(run, tmp_path / "run"), ("even", "above_1", "last", "below_4")
    trained_on(lambda c: np.stack([c % 2 == 0, c > 1, c == 3, c < 4], axis=1).astype(np.int64), names)
    metrics = evaluate.evaluate(run.path, dataclasses.replace(HOW, parts="terms,probe,coherence,quality"), data=data)
    assert json.loads((run.path / "metrics.json").read_text()) == metrics
    keys = [",".join(s) for s in subsets(NAMES)]
    assert metrics["score"] == "average_precision"
    assert metrics["label_prevalence"]["below_4"] == 1.0
    assert list(metrics["probe_by_label"]) == list(metrics["probe"]) == keys
    by_label = [metrics[f"{kind}_by_label"].values() for kind in ("probe", "coherence", "classifier")]
    assert all(set(scores) == set(names[:3]) for part in by_label for scores in part)
    assert metrics["coherence_left_out"]["words<-picture"] == metrics["probe_left_out"]["picture"] == ["below_4"]
    for kind in ("coherence", "coherence_own_private", "coherence_likeliest", "coherence_standard_error", "probe"):
        assert all(0 <= x <= 1 for x in metrics[kind].values())
    assert set(metrics["classifier_average_precision"]) == set(NAMES)
    assert "classifier_accuracy" not in metrics
    drawn = {p.stem for p in run.figures.glob("*.png")}
    assert {"probe_by_label", "coherence_by_label", "probe", "coherence"} <= drawn
    assert "average precision" in tables.metrics_table(metrics)


def test_without_labels_the_objective_is_evaluated(run, data, trained_on, few_pictures, eager, tmp_path, monkeypatch):
    run = shared.copied(run, tmp_path / "run")
    trained_on(lambda c: None, ())
    # Nobody asks for a classifier.
    monkeypatch.setattr(evaluation.labels.classifier, "cached", None)
    how = dataclasses.replace(HOW, parts="terms,probe,coherence,codes,quality,correlation")
    metrics = evaluate.evaluate(run.path, how, data=data)
    # There are no numbers either in which samples could be compared.
    assert set(metrics) == {
        *(
            "model",
            "dataset",
            "protocol",
            "seed",
            "step",
            "asked",
            "version",
            "measured_of",
            "parts",
            "training",
            "data",
            "evaluation",
        ),
        *("test_terms", "active_units", "collapse", "divergence_between"),
    }
    assert "loss" in tables.metrics_table(metrics)


def incomplete():
    """Three views of three classes, and which of them each of 180 examples has.

    In training, only class 0 has a and b together. Of the 60 test examples some have a, some b, none both, and none has c.
    """
    rng, label, place = np.random.default_rng(0), np.arange(180) % 3, np.arange(180)
    test = place >= 120
    there = {
        "a": np.where(test, place % 2 == 0, (label == 0) | (place % 2 == 0)),
        "b": np.where(test, place % 2 == 1, (label == 0) | (place % 2 == 1)),
        "c": ~test,
    }
    views = {name: rng.normal(size=(3, 4))[label] + 0.3 * rng.normal(size=(180, 4)) for name in there}
    hidden = {name: np.where(there[name][:, None], x, 1e30) for name, x in views.items()}
    return from_arrays(hidden, label, there, test=test)


def test_examples_are_evaluated_by_the_modalities_that_they_have(tmp_path, trained_on, eager, monkeypatch):
    """With classifiers that are trained for it; of classes and of attributes."""
    monkeypatch.setattr(evaluation.labels.registry, "classifier_epochs", lambda dataset, name: 3)
    sample_files.of_one_run(monkeypatch)
    data = incomplete()
    run = untrained.run(tmp_path / "run", CONFIG, data)
    how = dataclasses.replace(HOW, cache_dir=str(tmp_path), parts="terms,probe,coherence,codes,quality")
    trained_on(lambda c: c, ("x", "y", "z"))
    found = [evaluate.evaluate(run.path, how, data=data)]
    trained_on(lambda c: np.stack([c == 0, c == 1], axis=1).astype(np.int64), ("first", "second"))
    found.append(evaluate.evaluate(run.path, how, data=data))
    assert [metrics["score"] for metrics in found] == ["accuracy", "average_precision"]
    for metrics in found:
        assert set(metrics["probe"]) == set(metrics["probe_one_batch"]) == {"a", "b"}
        assert set(metrics["coherence"]) == {"random"} | {f"{name}<-{given}" for name in "abc" for given in "ab"}
        assert set(metrics["coherence_own_private"]) == {"a<-a", "b<-b"}
        assert set(metrics[f"classifier_{metrics['score']}"]) == {"a", "b"}
        terms, kinds = metrics["test_terms"], ("log_likelihood", "kl_private")
        assert {name for name in terms if "/" in name} == {f"{kind}/{n}" for kind in kinds for n in "ab"}
        assert np.all(np.isfinite(list(terms.values())))
        assert "| b " in tables.metrics_table(metrics)
    assert (run.figures / "coherence.png").exists()
    # What was measured by other labels is kept.
    assert json.loads((run.path / "metrics.1.json").read_text()) == found[0]


def test_coherence_during_training_needs_labels(tmp_path):
    data = three_kinds.arrays(lambda classes: None)
    monitor.Coherence(tmp_path, data, every=0)
    with pytest.raises(UserError, match="--coherence_every does nothing for arrays, which has no labels"):
        monitor.Coherence(tmp_path, data, every=1)


def test_nothing_to_evaluate_is_said(tmp_path, run):
    with pytest.raises(UserError, match="holds no run"):
        evaluate.evaluate(tmp_path)
    empty = RunDirectory(tmp_path / "empty")
    empty.write_json("config.json", run.config().to_json())
    with pytest.raises(UserError, match=r"has no training\.json"):
        evaluate.evaluate(empty.path)
    empty.write_json("training.json", run.read_json("training.json"))
    with pytest.raises(UserError, match=r"has no modalities\.json"):
        evaluate.evaluate(empty.path)
    empty.write_json("modalities.json", [{"name": "picture"}])
    with pytest.raises(UserError, match=r"modalities\.json is damaged"):
        evaluate.evaluate(empty.path)
    empty.begin(run.config(), run.modalities(), {})
    with pytest.raises(UserError, match="holds no checkpoint"):
        evaluate.evaluate(empty.path)
