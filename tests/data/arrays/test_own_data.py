"""A user's own columns from end to end: trained from a folder of arrays, evaluated, exported and served in their own units."""

import json

import numpy as np
import pytest
import tensorflow as tf
from shared import copied
from sklearn.datasets import load_breast_cancer, load_wine

from mmtf import evaluation, registry
from mmtf.config import Config, DataConfig, EvaluateConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays
from mmtf.distributions.likelihood import likelihood
from mmtf.evaluation import parts
from mmtf.models.inputs import observe
from mmtf.runs import events
from mmtf.verbs import evaluate, export, train

SHORT = {"steps_per_epoch": 150, "steps_per_execution": 50, "panels_every": 0, "strategy": "one"}


def config(folder, model="mmjsd", steps=300):
    return Config(
        DataConfig(dataset="arrays", data_dir=str(folder)),
        ModelConfig(model=model, shared_dim=4),
        TrainConfig(batch_size=64, steps=steps, **SHORT),
    )


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    """Wine's 13 columns as two modalities of 6 and 7, and a run on them."""
    folder = tmp_path_factory.mktemp("wine")
    x, y = load_wine(return_X_y=True)
    for name, array in (("acids", x[:, :6]), ("rest", x[:, 6:]), ("labels", y)):
        np.save(folder / f"{name}.npy", array)
    (folder / "arrays.json").write_text(json.dumps({"class_names": ["one", "two", "three"]}))
    run = train.train(config(folder), folder / "run")
    return registry.load_data(run.config().data), evaluate.load_model(run)[0], run


def evaluated(run, cache, **how):
    few = {"random_samples": 100, "likelihood_samples_many": 50, "likelihood_examples_many": 5}
    return evaluate.evaluate(run.path, EvaluateConfig(cache_dir=str(cache), **few | how))


def test_the_wine_s_cultivar_is_found_in_the_codes(wine, tmp_path, monkeypatch):
    for name in ("of_model", "of_codes"):
        monkeypatch.setattr(evaluate.model_figures, name, lambda *given: {})
    metrics = evaluated(copied(wine[2], tmp_path / "run"), tmp_path / "cache", parts="probe,coherence")
    losses = events.read_scalars(wine[2].logs)["loss"][1]
    assert losses[-1] < 0.95 * losses[0]
    assert metrics["probe"]["acids,rest"] > 0.9
    assert min(metrics["classifier_accuracy"].values()) > 0.85
    assert metrics["coherence"]["rest<-acids"] > 0.75
    assert metrics["data"]["sources"]["rest"] == "own arrays: 142 training and 36 test examples"


@pytest.mark.slow
def test_a_whole_evaluation_of_columns_has_every_part_and_figure(wine, tmp_path):
    metrics = evaluated(copied(wine[2], tmp_path / "run"), tmp_path / "cache")
    assert set(metrics["parts"]) == set(parts.of_models())
    drawn = {path.stem for path in (tmp_path / "run/figures").iterdir()}
    assert {"random_acids", "from_rest", "latent_map", "coherence", "probe", "training"} <= drawn
    assert (tmp_path / "run/report.html").exists()


def test_generated_values_are_in_the_units_of_the_data(wine):
    data, model, _ = wine
    generated = model.generate(2000, seed=(0, 1))
    for name in data.names:
        given, found = data.train.pools[name], np.asarray(generated[name])
        # Proline is about 750 +- 315, nonflavanoid phenols are 0.36 +- 0.12: in other units neither test would hold.
        assert np.all(np.abs(found.mean(axis=0) - given.mean(axis=0)) < 0.4 * given.std(axis=0))
        ratio = found.std(axis=0) / given.std(axis=0)
        assert np.all((ratio > 0.2) & (ratio < 1.2))


def test_one_modality_predicts_the_other(wine):
    data, model, _ = wine
    everything = data.test.take(np.arange(len(data.test)))
    found = np.asarray(model.translate({"acids": everything["acids"]})["rest"])
    given = everything["rest"]
    error = np.mean((found - given) ** 2, axis=0) / np.mean((given - data.train.pools["rest"].mean(axis=0)) ** 2, axis=0)
    assert np.median(error) < 0.9


@pytest.mark.slow
def test_a_served_model_takes_and_gives_the_data_s_units(wine, tmp_path):
    data, model, run = wine
    served = tf.saved_model.load(str(export.export(run.path, tmp_path))).signatures
    acids = data.test.pools["acids"][:5]
    found = served["translate_acids"](acids=tf.constant(acids))["rest"]
    np.testing.assert_allclose(found, model.translate({"acids": acids})["rest"], rtol=1e-4)
    assert np.all(np.abs(found[:, -1] - 750) < 700)


def test_a_view_that_is_often_missing_is_learned_and_what_fills_it_changes_nothing(tmp_path):
    x, y = load_breast_cancer(return_X_y=True)
    there = np.random.default_rng(0).uniform(size=len(x)) < 0.7
    np.save(tmp_path / "mean.npy", x[:, :10])
    np.save(tmp_path / "worst.npy", np.where(there[:, None], x[:, 20:], np.nan))
    np.save(tmp_path / "labels.npy", y)
    run = train.train(config(tmp_path, "mvae"), tmp_path / "run")
    model, data = evaluate.load_model(run)[0], registry.load_data(run.config().data)
    probes = evaluation.latent_probes(model, data, data.test, EvaluateConfig())["probe"]
    assert set(probes) == {"mean", "worst", "mean,worst"}
    assert min(probes.values()) > 0.85
    batch, mask = data.train.take(np.arange(64)), {n: m[:64] for n, m in data.train.mask.items()}
    assert 10 < (~mask["worst"]).sum() < 30
    posteriors = []
    for fill in (0.0, np.nan, 1e30):
        filled = {**batch, "worst": np.where(mask["worst"][:, None], batch["worst"], np.float32(fill))}
        posteriors.append(model.posterior(filled, mask=mask).mean())
    np.testing.assert_array_equal(posteriors[0], posteriors[1])
    np.testing.assert_array_equal(posteriors[0], posteriors[2])


@pytest.fixture(scope="module")
def cells():
    """Counts of 10 kinds and 5 real columns of three classes, single cells of both missing; and a model, as built."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 240)
    counts = rng.poisson(np.exp(rng.normal(2, 1, (3, 10)))[label]).astype(float)
    levels = 1000 + 50 * rng.normal(size=(3, 5))[label] + 10 * rng.normal(size=(240, 5))
    for array in (counts, levels):
        array[rng.uniform(size=array.shape) < 0.05] = np.nan
    data = from_arrays({"counts": counts, "levels": levels}, label)
    settings = Config(DataConfig(dataset="arrays"), ModelConfig(shared_dim=4), TrainConfig(batch_size=64))
    return data, settings, registry.build_model(settings, registry.configure(data.modalities, settings.model))


def test_a_missing_cell_takes_its_own_density_out_and_nothing_else(cells):
    data, _, model = cells
    code = tf.random.stateless_normal([32, 4], [0, 1])
    for name in data.names:
        whole = data.train.take(np.arange(32))[name]
        whole = np.where(np.isnan(whole), 3.0, whole).astype(np.float32)
        gap = whole.copy()
        gap[7, 2] = np.nan
        found = [model.log_likelihood(observe({name: x}, None, model.modalities), code, {})[name].numpy() for x in (whole, gap)]
        decoded = likelihood(model.modalities[name], model.coders.decoders[name](code)).distribution
        expected = found[0].copy()
        expected[7] -= decoded.log_prob(whole)[7, 2]
        np.testing.assert_allclose(found[1], expected, rtol=1e-5)


def test_missing_cells_leave_every_term_and_gradient_finite(cells):
    data, settings, model = cells
    assert all(m.missing_cells for m in data.modalities)
    batch = tf.nest.map_structure(tf.constant, data.train.take(np.arange(64)))
    train.compile_model(model, settings.train, 10, 10, tf.distribute.get_strategy())
    before = [v.numpy() for v in model.trainable_variables]
    terms = model.train_step({"values": batch})
    assert all(np.isfinite(float(term)) for term in terms.values())
    changed = [np.abs(v.numpy() - old).max() for v, old in zip(model.trainable_variables, before, strict=True)]
    assert np.all(np.isfinite(changed))
    assert np.all(np.array(changed) > 0)


def test_counts_and_columns_with_gaps_are_trained_and_generated_in_their_units(cells, tmp_path):
    data = cells[0]
    for name in data.names:
        np.save(tmp_path / f"{name}.npy", np.concatenate([data.train.pools[name], data.test.pools[name]]))
    run = train.train(config(tmp_path, "mvae"), tmp_path / "run")
    generated = evaluate.load_model(run)[0].generate(2000, seed=(0, 1))
    counts, levels = (np.asarray(generated[name]) for name in data.names)
    assert counts.min() >= 0
    given = np.nanmean(data.train.pools["counts"], axis=0)
    np.testing.assert_allclose(counts.mean(axis=0), given, rtol=0.5)
    np.testing.assert_allclose(levels.mean(axis=0), np.nanmean(data.train.pools["levels"], axis=0), atol=25)
