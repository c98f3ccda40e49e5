"""What evaluate.py measures: the parts on models whose answers are known, the whole on a short run."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
import toys

from mmtf import catalog, evaluate, judge, train
from mmtf.board import hparams, projector
from mmtf.config import Config, DataConfig, EvaluateConfig, ModelConfig, TrainConfig
from mmtf.data import digits, from_arrays, record
from mmtf.data.dataset import Split
from mmtf.errors import UserError
from mmtf.modality import subsets
from mmtf.report import tables
from mmtf.rundir import events
from mmtf.training import monitor

HOW = EvaluateConfig(
    test_examples=60, probe_examples=100, random_samples=200, likelihood_samples=2, likelihood_samples_many=25,
    likelihood_examples_many=3, quality_samples=60, retrieval_candidates=20, retrieval_likelihood_candidates=4,
)  # fmt: skip


class Told:
    """A stand-in for the coherence classifiers: it reads the class from the first number of a value."""

    @staticmethod
    def predict_scores(classifier, values):
        return np.eye(12)[np.asarray(values).reshape(len(values), -1)[:, 0].round().astype(int)]


class Oracle:
    """A model that knows the class of what it sees, and shows it in the first number of all that it generates."""

    names = ("a", "b")

    def __init__(self, wrong=()):
        self.modalities = {m.name: m for m in toys.modalities(0)[:0]}
        from mmtf.modality import Modality

        self.modalities = {n: Modality(n, (2,), "normal") for n in self.names}
        self.wrong = wrong

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        (source, value), *_ = values.items()
        shift = 1.0 if source in self.wrong else 0.0
        return dict.fromkeys(to, value + shift)

    def generate(self, n, seed, mean=False):
        classes = tf.cast(tf.random.stateless_uniform([n, 1], seed, 0, 10, tf.int32), tf.float32)
        return {"a": classes, "b": tf.where(classes < 5, classes, classes + 1)}


@pytest.fixture
def split():
    label = np.arange(1200) % 10
    pool = np.repeat(np.arange(10, dtype=np.float32)[:, None], 2, axis=1)
    return Split({"a": pool, "b": pool}, {"a": label, "b": label}, label)


def test_coherence_of_a_model_that_knows(split, monkeypatch):
    monkeypatch.setattr(judge.coherence, "classifier", Told)
    found = judge.Coherence(Oracle(("b",)), split, {"a": None, "b": None}, EvaluateConfig(random_samples=4000)).measure()
    shares = found["coherence"]
    assert set(found) == {"coherence"}
    assert [shares[k] for k in ("a<-a", "b<-a", "a<-b", "b<-b", "a<-a,b")] == [1.0, 1.0, 0.0, 0.0, 1.0]
    # The two modalities agree on the classes below 5: half of the samples, within 4 standard errors.
    assert shares["random"] == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 4000))


MASK = {n: np.random.default_rng(k).uniform(size=700) > 0.3 for k, n in enumerate(("vector", "image", "text"))}


@pytest.mark.parametrize("mask", [None, MASK])
def test_code_means_are_those_of_the_verbs(mask):
    """In batches, for every subset; where a subset is all there, missing values elsewhere change nothing."""
    model, values = toys.model("mvae", 2), toys.values(700)
    holes = {n: np.full_like(v, np.nan) if v.dtype.kind == "f" else np.full_like(v, -1) for n, v in values.items()}
    filled = (
        values
        if mask is None
        else {n: np.where(mask[n].reshape(-1, *[1] * (v.ndim - 1)), v, holes[n]) for n, v in values.items()}
    )
    split = Split(filled, {n: np.arange(700) for n in values}, np.zeros(700, int), mask)
    found = judge.code_means(model, split)
    for subset in subsets(model.names):
        there = split.has(subset)
        assert there.sum() == (700 if mask is None else np.all([mask[n] for n in subset], axis=0).sum())
        expected = model.posterior(values, subset).mean().numpy()
        np.testing.assert_allclose(found["shared"][subset][there], expected[there], rtol=1e-4, atol=1e-5)
    codes, there = model.encode({"image": values["image"]}), split.has(["image"])
    private = codes.private["image"].mean().numpy()
    np.testing.assert_allclose(found["private"]["image",][there], private[there], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        found["both"]["image",], np.concatenate([found[k]["image",] for k in ("shared", "private")], -1)
    )


def test_standard_errors_count_independent_examples():
    there = {"a": np.arange(100) < 100, "b": np.arange(100) < 25}
    test = Split({}, dict.fromkeys(there, np.arange(100)), np.zeros(100, int), there)
    hits = np.arange(100) % 2 == 0
    whole, part = (judge.batches.share_of_examples(hits[test.has(names)], test.at(test.has(names))) for names in ("a", "ab"))
    assert (whole.standard_error, part.standard_error) == (0.05, pytest.approx(0.1, abs=1e-3))
    # Four pairings of each of 25 values, which are hits or not together: as many as there are values.
    rows = np.arange(100) // 4
    paired = Split({}, {"a": rows, "b": np.arange(100)}, np.zeros(100, int))
    assert judge.batches.share_of_examples(rows % 2 == 0, paired).standard_error == pytest.approx(0.1, rel=0.03)


def test_unimodal_values_keep_their_classes():
    data = digits.load(pairings=2)
    values, labels = judge.unimodal(data.train, "word")
    from mmtf.data import text

    assert [w.strip() for w in text.decode(values)] == [data.class_names[c] for c in labels]
    assert len(judge.unimodal(data.train, "digit")[0]) == 1400


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = Config(
        DataConfig(pairings=1),
        ModelConfig(shared_dim=4, private_dim=2),
        TrainConfig(batch_size=16, steps=2, panels_every=0, strategy="one", seed=3),
    )
    return train.train(config, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def quick_classifiers(monkeypatch):
    """The real classifiers, untrained: what is tested here does not depend on how good they are."""

    def build(data, config):
        return {m.name: catalog.classifier_of(data.name, m)(m, len(data.class_names), seed=1) for m in data.modalities}

    monkeypatch.setattr(judge.judged, "train_classifiers", build)


def test_metrics_have_every_subset_and_target(run, quick_classifiers):
    metrics = evaluate.evaluate(run.path, HOW)
    assert json.loads((run.path / "metrics.json").read_text()) == metrics
    names = ("digit", "scene", "word")
    keys = [",".join(s) for s in subsets(names)]
    assert (metrics["model"], metrics["dataset"], metrics["protocol"], metrics["seed"]) == ("mmjsd", "digits", "corrected", 3)
    assert list(metrics["probe"]) == list(metrics["probe_one_batch"]) == keys
    assert set(metrics["coherence"]) == {"random"} | {f"{n}<-{k}" for n in names for k in keys}
    assert set(metrics["coherence_own_private"]) == {f"{n}<-{k}" for k in keys for n in k.split(",")}
    assert set(metrics["coherence_likeliest"]) == {f"word<-{k}" for k in keys}
    assert set(metrics["classifier_accuracy"]) == set(names)
    assert metrics["coherence_standard_error"]["word<-digit"] == pytest.approx(
        np.sqrt(metrics["coherence"]["word<-digit"] * (1 - metrics["coherence"]["word<-digit"]) / 60), abs=1e-4
    )
    assert metrics["score"] == "accuracy"
    assert not [key for key in metrics if key.endswith(("_by_label", "_left_out")) or key == "label_prevalence"]
    assert set(metrics["training"]) == {"steps", "seconds", "steps_per_second"}
    assert metrics["test_terms"]["loss"] > 0 > metrics["test_terms"]["log_likelihood/word"]
    sources = dict(catalog.load_data(run.config().data).sources)
    assert metrics["data"] == {"sources": sources, "training_examples": 1400, "test_examples": 1985}
    assert metrics["evaluation"]["test_examples"] == 60
    drawn = {p.stem for p in run.figures.glob("*.png")}
    assert {"random_scene", "reconstruction", "from_word", "swap_digit", "coherence", "probe", "training"} <= drawn
    assert {"latent_map", "traversal_digit", "traversal_scene", "traversal_word"} <= drawn
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(drawn)
    assert f'value="{metrics["test_terms"]["loss"]!r}"' in page
    shown = events.read_scalars(run.logs / hparams.FOLDER)
    assert shown["test_terms/loss"] == ([2], [pytest.approx(metrics["test_terms"]["loss"], rel=1e-6)])
    assert {"coherence/random", "probe/1 given"} <= set(shown)
    assert (run.logs / projector.FOLDER / "shared.png").exists()
    assert evaluate.evaluate(run.path, HOW) == metrics


def relabelled(data, label, class_names):
    """The data with other labels: `label` of the classes `[N]`."""
    parts = {part: getattr(data, part) for part in ("train", "test")}
    parts = {part: dataclasses.replace(split, label=label(split.label)) for part, split in parts.items()}
    return dataclasses.replace(data, **parts, class_names=class_names)


@pytest.fixture
def trained_on(monkeypatch):
    """Makes the run's data come back with other labels."""
    restored = record.restored

    def relabel(label, class_names):
        monkeypatch.setattr(record, "restored", lambda run, data: relabelled(restored(run, data), label, class_names))

    return relabel


def test_many_labels_are_judged_one_by_one(run, quick_classifiers, trained_on):
    names = ("even", "above_4", "prime", "below_10")
    prime = np.isin(np.arange(10), (2, 3, 5, 7))
    trained_on(lambda c: np.stack([c % 2 == 0, c > 4, prime[c], c < 10], axis=1).astype(np.int64), names)
    metrics = evaluate.evaluate(run.path, dataclasses.replace(HOW, parts="terms,probe,coherence,quality"))
    assert json.loads((run.path / "metrics.json").read_text()) == metrics
    keys = [",".join(s) for s in subsets(("digit", "scene", "word"))]
    assert metrics["score"] == "average_precision"
    assert metrics["label_prevalence"]["below_10"] == 1.0
    assert list(metrics["probe_by_label"]) == list(metrics["probe"]) == keys
    by_label = [metrics[f"{kind}_by_label"].values() for kind in ("probe", "coherence", "classifier")]
    assert all(set(scores) == set(names[:3]) for part in by_label for scores in part)
    assert metrics["coherence_left_out"]["word<-digit"] == metrics["probe_left_out"]["digit"] == ["below_10"]
    for kind in ("coherence", "coherence_own_private", "coherence_likeliest", "coherence_standard_error", "probe"):
        assert all(0 <= x <= 1 for x in metrics[kind].values())
    assert set(metrics["classifier_average_precision"]) == {"digit", "scene", "word"}
    assert "classifier_accuracy" not in metrics
    drawn = {p.stem for p in run.figures.glob("*.png")}
    assert {"probe_by_label", "coherence_by_label", "probe", "coherence", "reconstruction"} <= drawn
    assert "average precision" in tables.metrics_table(metrics)


def test_without_labels_the_objective_is_judged(run, trained_on, monkeypatch):
    trained_on(lambda c: None, ())
    # Nobody asks for a classifier.
    monkeypatch.setattr(judge.labels.classifier, "cached", None)
    metrics = evaluate.evaluate(run.path, dataclasses.replace(HOW, parts="terms,probe,coherence,codes,quality,correlation"))
    assert set(metrics) == {
        *("model", "dataset", "protocol", "seed", "step", "version", "measured_of", "parts", "training", "data", "evaluation"),
        *("test_terms", "active_units", "collapse", "divergence_between"),
    }
    assert "loss" in tables.metrics_table(metrics)


def incomplete(labels):
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
    return from_arrays(hidden, labels(label), there, test=test)


@pytest.mark.parametrize("multi_label", [False, True])
def test_examples_are_judged_by_the_modalities_that_they_have(tmp_path, multi_label):
    data = incomplete(lambda c: np.stack([c == 0, c == 1], axis=1).astype(np.int64) if multi_label else c)
    config = Config(
        DataConfig(dataset="arrays"),
        ModelConfig(shared_dim=3, private_dim=2),
        TrainConfig(batch_size=30, steps=2, panels_every=0, strategy="one"),
    )
    path = train.train(config, tmp_path / "run", data=data).path
    metrics = evaluate.evaluate(
        path, dataclasses.replace(HOW, cache_dir=str(tmp_path), parts="terms,probe,coherence,codes,quality"), data=data
    )
    assert set(metrics["probe"]) == set(metrics["probe_one_batch"]) == {"a", "b"}
    assert set(metrics["coherence"]) == {"random"} | {f"{name}<-{given}" for name in "abc" for given in "ab"}
    assert set(metrics["coherence_own_private"]) == {"a<-a", "b<-b"}
    assert set(metrics[f"classifier_{metrics['score']}"]) == {"a", "b"}
    terms = metrics["test_terms"]
    assert {name for name in terms if "/" in name} == {f"{kind}/{n}" for kind in ("log_likelihood", "kl_private") for n in "ab"}
    assert np.all(np.isfinite(list(terms.values())))
    assert (path / "figures" / "coherence.png").exists()
    assert "| b " in tables.metrics_table(metrics)


def test_a_probe_of_one_class_is_left_out(caplog):
    data = incomplete(lambda c: c)
    # With test examples that have a and b, as the training examples of class 0 do.
    data = dataclasses.replace(data, test=data.train)
    model = catalog.build_model(Config(DataConfig(dataset="arrays"), ModelConfig(shared_dim=3)), data.modalities)
    found = judge.latent_probes(model, data, data.test, HOW)
    assert set(found["probe"]) == {"a", "b", "c", "a,c", "b,c"}
    assert "probe leaves out a, b, which training examples of one class alone have" in caplog.text


def test_coherence_during_training_needs_labels(tmp_path):
    data = relabelled(digits.load(pairings=1, scenes_per_digit=1, test_pairings=1), lambda c: None, ())
    monitor.Coherence(tmp_path, data, every=0)
    with pytest.raises(UserError, match="--coherence_every does nothing for digits, which has no labels"):
        monitor.Coherence(tmp_path, data, every=1)


def test_nothing_to_judge_is_said(tmp_path, run):
    with pytest.raises(UserError, match="holds no run"):
        evaluate.evaluate(tmp_path)
    from mmtf.rundir import RunDirectory

    empty = RunDirectory(tmp_path / "empty")
    empty.write_json("config.json", run.config().to_json())
    with pytest.raises(UserError, match=r"has no training\.json"):
        evaluate.evaluate(empty.path)
    empty.write_json("training.json", run.read_json("training.json"))
    with pytest.raises(UserError, match=r"has no modalities\.json"):
        evaluate.evaluate(empty.path)
    empty.write_json("modalities.json", [{"name": "digit"}])
    with pytest.raises(UserError, match=r"modalities\.json is damaged"):
        evaluate.evaluate(empty.path)
    empty.begin(run.config(), run.modalities(), {})
    with pytest.raises(UserError, match="holds no checkpoint"):
        evaluate.evaluate(empty.path)
