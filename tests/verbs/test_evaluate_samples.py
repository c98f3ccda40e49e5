"""Samples that any program made: samplers whose answers are known, and what a model's own come to."""

import dataclasses
import json
import logging

import numpy as np
import pytest
import sample_files
import tensorflow as tf
import three_kinds
from checkout import call, run
from sample_files import NAMES, WIDTH, split, write
from small_evaluations import ByTranslation, OwnScores, eagerly, fresh_classifiers

from mmtf import evaluation, registry
from mmtf.config import Config, DataConfig, EvaluateConfig, ModelConfig
from mmtf.data.dataset import Split
from mmtf.evaluation import batches
from mmtf.modality import Modality, subset_key, subsets
from mmtf.report import tables
from mmtf.verbs.evaluate_samples import evaluate_samples

HOW = EvaluateConfig(quality_samples=600)


@pytest.fixture(scope="module")
def data():
    return sample_files.data()


@pytest.fixture(autouse=True)
def _one_run(monkeypatch):
    sample_files.of_one_run(monkeypatch)


@pytest.fixture
def reader(monkeypatch):
    sample_files.told_by(monkeypatch)


def test_samples_that_are_the_data_get_what_the_data_get(tmp_path, data, reader):
    real = data.test.take(np.arange(len(data.test)))
    sets = {"random": real, "from_a": {"b": real["b"]}, "from_b": {"a": real["a"]}, "from_b,a": real}
    found = evaluate_samples(write(tmp_path, **sets), config=HOW, data=data)
    keys = {"b<-a", "a<-b", "a<-a,b", "b<-a,b", "c<-a,b"}
    assert set(found["coherence"]) == {"random"} | keys
    for key in keys:
        assert found["coherence"][key] == found["classifier_accuracy"][key[0]]
    shown = [real[n][:, 0] for n in NAMES]
    assert found["coherence"]["random"] == round(float(np.mean((shown[0] == shown[1]) & (shown[0] == shown[2]))), 4)
    for name in NAMES:
        places = {place for place in keys if place[0] == name} | {"random"}
        assert set(found["prd"][name]) == set(found["frechet"][name]) == places | {"real"}
        assert {found["prd"][name][place]["area"] for place in places} == {1.0}
        assert {found["frechet"][name][place] for place in places} == {0.0}
        assert 0.0 < found["frechet"][name]["real"] < 0.5
        assert 0.8 < found["prd"][name]["real"]["area"] < 1.0
    pair = found["cca"]["a,b"]
    assert pair["ground_truth"]["value"] > 0.2
    assert pair["ground_truth"] == pair["cross"]["b<-a"] == pair["cross"]["a<-b"] == pair["synergy"]
    assert pair["joint"]["value"] == pair["ground_truth"]["value"]
    assert set(found["cca"]["b,c"]) == {"dimensions", "ground_truth", "joint"}
    assert found["samples"] == {"random": 700} | dict.fromkeys(keys, 700)
    assert (found["model"], found["dataset"], found["score"]) == ("samples", "arrays", "accuracy")
    assert json.loads((tmp_path / "metrics.json").read_text()) == found
    assert "samples on arrays: protocol corrected" in tables.metrics_table(found)


def test_noise_gets_chance(tmp_path, data, reader):
    rng, n = np.random.default_rng(5), 700
    noise = {m: np.concatenate([rng.integers(0, 10, (n, 1)), 20 + rng.normal(size=(n, WIDTH - 1))], axis=1) for m in NAMES}
    found = evaluate_samples(write(tmp_path, from_a=noise, random=noise), config=HOW, data=data)
    for key in ("a<-a", "b<-a", "c<-a"):
        low, high = found["coherence_interval"][key]
        assert found["coherence"][key] == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / n))
        assert low < found["coherence"][key] < high
        assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.09 / n), rel=0.2)
        assert found["prd"][key[0]][key]["area"] < 0.01
        # Three dimensions are 20 away.
        assert found["frechet"][key[0]][key] == pytest.approx(3 * 20**2, rel=0.05)


def test_values_of_three_modalities_that_know_nothing_of_each_other(tmp_path, data, reader):
    """Real ones, of ten even classes: 1 % agree, and 82 % do as published: 1/100 + (9 * 8)/100 + 9/100 of second = third."""
    n, rng = 20_000, np.random.default_rng(3)
    clean = split(2000, 4, read_rightly=1.0)
    drawn = {name: clean.pools[name][rng.integers(0, 2000, n)] for name in NAMES}
    how = EvaluateConfig(parts="coherence", random_samples=n)
    found = evaluate_samples(write(tmp_path, random=drawn), config=how, data=data)
    assert found["coherence"]["random"] == pytest.approx(0.01, abs=4 * np.sqrt(0.01 * 0.99 / n))
    assert found["coherence_published"]["random"] == pytest.approx(0.82, abs=4 * np.sqrt(0.82 * 0.18 / n))
    low, high = found["coherence_interval"]["random"]
    assert low < 0.01 < high
    assert {"prd", "frechet", "cca"}.isdisjoint(found)


def test_only_what_was_made_is_measured(tmp_path, data, reader):
    """Samples of the first 60 examples are held against those; nothing at random, nothing of c."""
    values = {"b": data.test.take(np.arange(60))["b"]}
    found = evaluate_samples(write(tmp_path, from_a=values), config=HOW, data=data)
    right = values["b"][:, 0] == data.test.label[:60]
    assert found["coherence"] == {"b<-a": round(float(right.mean()), 4)}
    assert "coherence_published" not in found
    assert set(found["prd"]) == {"b"}
    assert set(found["cca"]) == {"a,b"}
    assert set(found["cca"]["a,b"]) == {"dimensions", "ground_truth", "cross"}


def test_row_n_is_of_the_nth_example_that_has_what_was_given(tmp_path, data, reader):
    there = {"a": np.arange(700) % 2 == 0, "b": np.arange(700) % 3 > 0, "c": np.ones(700, bool)}
    label, pools = np.random.default_rng(0).permutation(data.test.label), data.test.pools
    pools = pools | {"b": np.concatenate([label[:, None].astype(np.float32), pools["b"][:, 1:]], axis=1)}
    test = Split(pools, data.test.rows, label, there)
    made_from = np.flatnonzero(there["a"])[:300]
    folder = write(tmp_path, from_a={"b": test.pools["b"][made_from]})
    found = evaluate_samples(folder, config=HOW, data=dataclasses.replace(data, test=test))
    assert found["coherence"]["b<-a"] == 1.0
    both = made_from[there["b"][made_from]]
    pair = test.at(both).take(np.arange(len(both)))
    folder = write(tmp_path / "both", **{"from_a,b": {n: pair[n] for n in "ab"}})
    again = evaluate_samples(folder, config=HOW, data=dataclasses.replace(data, test=test))
    assert found["cca"]["a,b"]["cross"]["b<-a"] == again["cca"]["a,b"]["synergy"]


def test_attributes_are_scored_by_average_precision(tmp_path, data, monkeypatch):
    sample_files.told_by(monkeypatch, OwnScores)
    names = ("half", "rare", "few", "most")

    def with_attributes(part, n, seed):
        labels = (np.random.default_rng(seed).uniform(size=(n, 4)) < (0.5, 0.2, 0.3, 0.8)).astype(np.int64)
        values = (4.0 * labels - 2.0).astype(np.float32)
        return Split(dict.fromkeys(NAMES, values), dict.fromkeys(NAMES, np.arange(n)), labels)

    own = sample_files.of(with_attributes("train", 300, 0), with_attributes("test", 400, 1), names)
    right, noise = own.test.pools["a"], np.random.default_rng(2).normal(size=(400, 4))
    found = evaluate_samples(write(tmp_path, from_a={"b": right, "c": noise}), config=HOW, data=own)
    assert found["score"] == "average_precision"
    assert found["coherence"]["b<-a"] == 1.0
    assert found["coherence_by_label"]["c<-a"] == pytest.approx(found["label_prevalence"], abs=0.12)


class Oracle(ByTranslation):
    """A model of a and b whose random values are classes, and whose translations are what they were made from."""

    names = ("a", "b")
    modalities = {n: Modality(n, (WIDTH,), "normal") for n in names}  # noqa: RUF012

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        return dict.fromkeys(to, next(iter(values.values())))

    def generate(self, n, seed, mean=False):
        return {m: tf.random.stateless_uniform([n, WIDTH], seed + k, 0.0, 3.0) for k, m in enumerate(self.names)}


def test_samples_of_a_model_are_evaluated_as_the_model_is(tmp_path, data, reader):
    data, model, how = data.only(["a", "b"]), Oracle(), EvaluateConfig(random_samples=900, quality_samples=600)
    test, classifiers = data.test, dict.fromkeys("ab")
    features = evaluation.Features(model.modalities, {})
    wanted = evaluation.Coherence(model, test, classifiers, how).report(data.class_names)
    wanted |= evaluation.sample_quality(model, data, test, features, how)[0] | evaluation.correlations(
        model, data, test, features, how
    )
    found = evaluate_samples(write(tmp_path, **sets_of(model, test, how, 900)), config=how, data=data)
    for place in ("a<-a", "b<-b"):  # What a model makes of a value itself is not asked of its distribution.
        del found["prd"][place[0]][place], found["frechet"][place[0]][place]
    for both in ("a<-a,b", "b<-a,b"):
        del found["prd"][both[0]][both], found["frechet"][both[0]][both]
    assert {key: found[key] for key in wanted} == wanted


def sets_of(model, test, config, count):
    """All that a model generates, as it is shown, under the seeds of its evaluation."""

    def parts(total, generate):
        numbers = range(-(-total // batches.BATCH))
        drawn = [generate(batches.batch_seed(config, number), number * batches.BATCH) for number in numbers]
        return {n: np.concatenate([np.asarray(part[n]) for part in drawn])[:total] for n in model.names}

    made = {"random": parts(count, lambda seed, first: model.generate(batches.BATCH, seed))}
    for given in subsets(model.names):

        def translated(seed, first, given=given):
            values = {n: test.take(np.arange(len(test)))[n][first : first + batches.BATCH] for n in given}
            return model.translate(values, to=model.names, seed=seed)

        made[f"from_{subset_key(given, model.names)}"] = parts(len(test), translated)
    return made


def test_files_of_images_and_classes_of_a_model_give_its_numbers(tmp_path, monkeypatch):
    """Of categorical values, files hold the likeliest. Model and classifiers are untrained: the numbers are what they are."""
    monkeypatch.setattr(evaluation.context, "train_classifiers", fresh_classifiers)
    which = DataConfig(dataset="arrays")
    how = EvaluateConfig(test_examples=50, quality_samples=50, random_samples=50, probe_examples=80)
    data = three_kinds.arrays().only(["picture", "words"])
    with eagerly():
        model, test = registry.build_model(Config(which, ModelConfig(shared_dim=4)), data.modalities), data.test.first(50)
        for v in model.coders.decoders["picture"].trainable_variables:
            v.assign(0.6 * v)  # In the range that pictures have.
        features = evaluation.Features(model.modalities, fresh_classifiers(data, how))
        wanted = evaluation.Coherence(model, test, fresh_classifiers(data, how), how).report(data.class_names)
        found = evaluate_samples(write(tmp_path, **sets_of(model, test, how, 50)), which, how, data=data)
        classifiers = fresh_classifiers(data, how)
        both = evaluation.Generated(model, test, how, classifiers, features)
        together = evaluation.Coherence(model, test, classifiers, how, both).report(data.class_names)
        quality_of_both = evaluation.sample_quality(model, data, test, features, how, both)[0]
        quality, cca = (
            evaluation.sample_quality(model, data, test, features, how)[0],
            evaluation.correlations(model, data, test, features, how),
        )
    # One run of the classifiers for logits and features says what two say.
    assert together == wanted
    assert quality_of_both == quality
    for key in ("picture<-picture", "picture<-words", "picture<-picture,words"):
        assert found["coherence"][key] == wanted["coherence"][key]
        assert found["coherence_interval"][key] == wanted["coherence_interval"][key]
    for key in ("words<-picture", "words<-words", "words<-picture,words"):
        assert found["coherence"][key] == wanted["coherence_likeliest"][key]
    assert found["cca"] == cca["cca"]
    assert found["features"] == quality["features"] == {"picture": "classifier", "words": "classifier"}
    for name, places in quality["prd"].items():
        assert {place: found["prd"][name][place] for place in places} == places


def test_numbers_of_other_samples_are_kept(tmp_path, data, reader, caplog):
    real = data.test.take(np.arange(100))
    folder, out = write(tmp_path / "made", from_a={"b": real["b"]}), tmp_path / "numbers"
    first = evaluate_samples(folder, config=dataclasses.replace(HOW, parts="coherence"), data=data, output=out)
    assert not (folder / "metrics.json").exists()
    caplog.set_level(logging.INFO, "mmtf")
    more = evaluate_samples(folder, config=HOW, data=data, output=out)
    assert "coherence: measured before" in caplog.text
    assert more["coherence"] == first["coherence"]
    assert "prd" in more
    assert [p.name for p in out.iterdir()] == ["metrics.json"]
    np.save(folder / "from_a" / "b.npy", real["b"][:90])
    other = evaluate_samples(folder, config=HOW, data=data, output=out)
    assert other["measured_of"] != more["measured_of"]
    assert other["evaluation"]["samples"] != more["evaluation"]["samples"]
    assert json.loads((out / "metrics.1.json").read_text()) == more


def check_real_values(metrics, first, second):
    """Of samples that are real test values, of both at random and of the second from the first."""
    # Test examples and places in the split weigh values a little differently.
    assert metrics["coherence"][f"{second}<-{first}"] == pytest.approx(metrics["classifier_accuracy"][second], abs=0.05)
    assert metrics["prd"][first]["random"]["area"] == 1.0
    pairs = metrics["cca"][f"{first},{second}"]
    assert pairs["cross"][f"{second}<-{first}"] == pairs["ground_truth"]


def test_the_script_evaluates_a_folder_by_the_files_of_a_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "classifier_epochs", lambda dataset, name: 40)
    test = three_kinds.arrays().test
    real = test.take(np.arange(len(test)))
    names = ("picture", "words")
    folder = write(tmp_path / "made", random={n: real[n] for n in names}, from_picture={"words": real["words"]})
    where = [f"--samples={folder}", "--dataset=arrays", f"--data_dir={three_kinds.write(tmp_path / 'data')}"]
    cache = {"MMTF_CACHE_DIR": str(tmp_path / "cache")}
    done = call("scripts/evaluate.py", *where, "--modalities=picture,words", f"--output={tmp_path}", **cache)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "samples on arrays: protocol corrected, seed 0" in done.stdout
    assert f"Numbers: {tmp_path}/metrics.json" in done.stdout
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    check_real_values(metrics, *names)
    assert metrics["classifier_accuracy"]["words"] == 1.0
    assert metrics["evaluation"]["data"]["modalities"] == "picture,words"
    assert len(list((tmp_path / "cache").rglob("*.weights.h5"))) == 2


@pytest.mark.slow
def test_the_script_on_the_embedded_digits(tmp_path):
    """Coherence is what the papers' classifiers, quickly trained, get."""
    test = registry.load_data(DataConfig(pairings=1)).test
    real = test.take(np.arange(len(test)))
    sets = {"random": {n: real[n][:100] for n in ("digit", "word")}, "from_digit": {"word": real["word"]}}
    folder = write(tmp_path / "made", **sets)
    how = ["--modalities=digit,word", "--pairings=1", "--data_fraction=0.1", "--quality_samples=100"]
    where = {"MMTF_CACHE_DIR": str(tmp_path / "cache")}
    done = run("scripts/evaluate.py", f"--samples={folder}", "--dataset=digits", *how, **where)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "samples on digits: protocol corrected, seed 0" in done.stdout
    metrics = json.loads((folder / "metrics.json").read_text())
    check_real_values(metrics, "digit", "word")
    assert metrics["classifier_accuracy"]["word"] > 0.2
    assert metrics["evaluation"]["data"]["data_fraction"] == 0.1
