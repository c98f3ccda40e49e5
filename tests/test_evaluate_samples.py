"""Samples that any program made: samplers whose answers are known, what is refused, and the script."""

import dataclasses
import json
import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from checkout import ROOT

from mmtf import catalog, judge
from mmtf.config import Config, DataConfig, EvaluateConfig, ModelConfig
from mmtf.data import digits
from mmtf.data.dataset import MultimodalData, Split
from mmtf.errors import UserError
from mmtf.evaluate_samples import evaluate_samples
from mmtf.modality import Modality, subset_key, subsets
from mmtf.report import tables

NAMES, WIDTH = ("a", "b", "c"), 4
HOW = EvaluateConfig(quality_samples=600)


class Told:
    """A stand-in for the classifiers: it reads the class from the first number of a value."""

    @staticmethod
    def predict_scores(classifier, values):
        return np.eye(12)[np.asarray(values)[:, 0].round().astype(int)]

    @staticmethod
    def accuracy(classifier, values, labels):
        return float(np.mean(Told.predict_scores(classifier, values).argmax(-1) == labels))


class Scores:
    """Another, of attributes: values are their own scores."""

    @staticmethod
    def predict_scores(classifier, values):
        return np.asarray(values)

    @staticmethod
    def precisions(classifier, values, labels):
        return np.full(labels.shape[1], 0.9)


def told(monkeypatch, classifier=Told):
    for module in (judge.coherence, judge.labels):
        monkeypatch.setattr(module, "classifier", classifier)
    monkeypatch.setattr(judge.judged, "train_classifiers", lambda data, config: dict.fromkeys(data.names))


@pytest.fixture
def reader(monkeypatch):
    told(monkeypatch)


def split(n, seed, read_rightly=0.8):
    """Vectors that show their class, now and then another one, and share a number with the others of their example."""
    rng = np.random.default_rng(seed)
    label, common = np.arange(n) % 10, rng.normal(size=(n, 1))
    values = {}
    for name in NAMES:
        shown = np.where(rng.uniform(size=n) < read_rightly, label, rng.integers(0, 10, n))[:, None]
        values[name] = np.concatenate([shown, common, rng.normal(size=(n, WIDTH - 2))], axis=1).astype(np.float32)
    return Split(values, {name: np.arange(n) for name in NAMES}, label)


def data_of(train, test, names=tuple("0123456789")):
    return MultimodalData("arrays", tuple(Modality(n, (WIDTH,), "normal") for n in NAMES), train, test, names)


@pytest.fixture(scope="module")
def data():
    return data_of(split(900, 0), split(700, 1))


def write(folder, **sets):
    """Files by `random` or by what was given (`from_a,b`); in them values by modality."""
    for name, values in sets.items():
        (folder / name).mkdir(parents=True)
        for modality, array in values.items():
            np.save(folder / name / f"{modality}.npy", array)
    return folder


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
    test = dataclasses.replace(data.test, mask=there)
    test = dataclasses.replace(test, label=np.random.default_rng(0).permutation(test.label))
    test.pools["b"][:, 0] = test.label
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
    told(monkeypatch, Scores)
    names = ("half", "rare", "few", "most")

    def with_attributes(part, n, seed):
        labels = (np.random.default_rng(seed).uniform(size=(n, 4)) < (0.5, 0.2, 0.3, 0.8)).astype(np.int64)
        values = (4.0 * labels - 2.0).astype(np.float32)
        return Split(dict.fromkeys(NAMES, values), dict.fromkeys(NAMES, np.arange(n)), labels)

    own = data_of(with_attributes("train", 300, 0), with_attributes("test", 400, 1), names)
    right, noise = own.test.pools["a"], np.random.default_rng(2).normal(size=(400, 4))
    found = evaluate_samples(write(tmp_path, from_a={"b": right, "c": noise}), config=HOW, data=own)
    assert found["score"] == "average_precision"
    assert found["coherence"]["b<-a"] == 1.0
    assert found["coherence_by_label"]["c<-a"] == pytest.approx(found["label_prevalence"], abs=0.12)


class Oracle:
    """A model of a and b whose random values are classes, and whose translations are what they were made from."""

    names = ("a", "b")
    modalities = {n: Modality(n, (WIDTH,), "normal") for n in names}  # noqa: RUF012

    def translate(self, values, to=None, mask=None, seed=None, mean=False):
        return dict.fromkeys(to, next(iter(values.values())))

    def generate(self, n, seed, mean=False):
        import tensorflow as tf

        return {m: tf.random.stateless_uniform([n, WIDTH], seed + k, 0.0, 3.0) for k, m in enumerate(self.names)}


def test_samples_of_a_model_are_judged_as_the_model_is(tmp_path, data, reader):
    data, model, how = data.only(["a", "b"]), Oracle(), EvaluateConfig(random_samples=900, quality_samples=600)
    test, classifiers = data.test, dict.fromkeys("ab")
    features = judge.Features(model.modalities, {})
    wanted = judge.Coherence(model, test, classifiers, how).report(data.class_names)
    wanted |= judge.sample_quality(model, data, test, features, how)[0] | judge.correlations(model, data, test, features, how)
    found = evaluate_samples(write(tmp_path, **sets_of(model, test, how, 900)), config=how, data=data)
    for place in ("a<-a", "b<-b"):  # What a model makes of a value itself is not asked of its distribution.
        del found["prd"][place[0]][place], found["frechet"][place[0]][place]
    for both in ("a<-a,b", "b<-a,b"):
        del found["prd"][both[0]][both], found["frechet"][both[0]][both]
    assert {key: found[key] for key in wanted} == wanted


def sets_of(model, test, config, count):
    """All that a model generates, under the seeds of its judgement."""
    made = {"random": judge.generated.random_samples(model, count, config)}
    for given in subsets(model.names):
        made[f"from_{subset_key(given, model.names)}"] = judge.generated.translated(model, test, given, model.names, config)
    return made


def test_files_of_images_and_texts_of_a_model_give_its_numbers(tmp_path, monkeypatch):
    """Of texts, files hold the likeliest characters. Model and classifiers are untrained: the numbers are what they are."""

    def untrained(data, config):
        return {m.name: catalog.classifier_of(data.name, m)(m, len(data.class_names), seed=1) for m in data.modalities}

    monkeypatch.setattr(judge.judged, "train_classifiers", untrained)
    which = DataConfig(pairings=1, modalities="digit,word")
    how = EvaluateConfig(test_examples=60, quality_samples=60, random_samples=60, probe_examples=100)
    data = catalog.load_data(which)
    model, test = catalog.build_model(Config(which, ModelConfig(shared_dim=4)), data.modalities), data.test.first(60)
    features = judge.Features(model.modalities, untrained(data, how))
    wanted = judge.Coherence(model, test, untrained(data, how), how).report(data.class_names)
    found = evaluate_samples(write(tmp_path, **sets_of(model, test, how, 60)), which, how, data=data)
    for key in ("digit<-digit", "digit<-word", "digit<-digit,word"):
        assert found["coherence"][key] == wanted["coherence"][key]
        assert found["coherence_interval"][key] == wanted["coherence_interval"][key]
    for key in ("word<-digit", "word<-word", "word<-digit,word"):
        assert found["coherence"][key] == wanted["coherence_likeliest"][key]
    assert found["cca"] == judge.correlations(model, data, test, features, how)["cca"]
    for name, places in judge.sample_quality(model, data, test, features, how)[0]["prd"].items():
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


@pytest.fixture
def untouched(monkeypatch):
    """Nobody trains a classifier."""
    monkeypatch.setattr(judge.judged, "train_classifiers", None)


GOOD = np.zeros((40, WIDTH), np.float32)
REFUSED = {
    "holds no folder random and none of the form from_A,B": {},
    "from_a holds no NAME.npy; the modalities are: a, b, c": {"from_a": {}},
    "wanted NAME.npy of a modality of arrays; they are: a, b, c": {"from_a": {"d": GOOD}},
    "from_d: Unknown modality 'd'": {"from_d": {"a": GOOD}},
    "from_a,a: A modality is named twice": {"from_a,a": {"a": GOOD}},
    "samples stand in folders random and from_A,B": {"form_a": {"a": GOOD}},
    "is not the only folder of what was generated from a,b": {"from_a,b": {"a": GOOD}, "from_b,a": {"a": GOOD}},
    r"a.npy: a: wanted an array of shape \[N, 4\], not \(40, 3\)": {"from_b": {"a": GOOD[:, :3]}},
    "wanted uint8 or floating values for a normal likelihood, not int64": {"from_b": {"a": GOOD.astype(int)}},
    "bytes are read as 0..255, but the data set's values are float32": {"from_b": {"a": GOOD.astype(np.uint8)}},
    "wanted finite values, but there is NaN or infinity": {"from_b": {"a": np.where(np.eye(40, 4), np.nan, GOOD)}},
    "there is NaN or infinity": {"random": dict.fromkeys(NAMES, np.full((40, WIDTH), 1e300))},
    "a.npy has 19 rows; 20 samples are the fewest": {"from_b": {"a": GOOD[:19]}},
    "a.npy has 0 rows": {"from_b": {"a": GOOD[:0]}},
    "a.npy has 701 rows, but 700 test examples have b": {"from_b": {"a": np.zeros((701, WIDTH))}},
    "numbers of rows differ: a 40, b 30, c 40": {"random": {"a": GOOD, "b": GOOD[:30], "c": GOOD}},
    "random lacks b.npy.*--modalities=a,c": {"random": {"a": GOOD, "c": GOOD}},
    "holds Python objects": {"from_b": {"a": np.array([{}] * 40)}},
}


@pytest.mark.parametrize("message", REFUSED)
def test_samples_that_do_not_fit_are_refused_at_the_door(tmp_path, data, untouched, message):
    tmp_path = tmp_path / "made"
    tmp_path.mkdir()
    with pytest.raises(UserError, match=message):
        evaluate_samples(write(tmp_path, **REFUSED[message]), config=HOW, data=data)
    assert not list(tmp_path.glob("metrics*"))


def test_values_in_another_unit_are_refused(tmp_path, untouched):
    own, rng = digits.load(pairings=1, scenes_per_digit=1, test_pairings=1), np.random.default_rng(0)
    image, text = rng.uniform(size=(20, 28, 28, 1)), np.zeros((20, 8), np.int64)
    wrong = [
        ("digit", 255 * image, "floats of an image must be in 0..1, but run .*; rescale them"),
        ("digit", 2 * image - 1, "floats of an image must be in 0..1"),
        ("digit", (image > 0.5).astype(np.uint8), "none is above 1; save floats"),
        ("digit", image.astype(np.int64), "wanted uint8 or floating values"),
        ("digit", image[..., 0], "wanted an array of shape"),
        ("word", text + 99, "class indices must be in"),
        ("word", text.astype(float), "wanted integer class indices"),
    ]
    for k, (name, values, message) in enumerate(wrong):
        with pytest.raises(UserError, match=message):
            evaluate_samples(write(tmp_path / str(k), from_scene={name: values}), data=own)


def test_labels_and_places_by_which_nothing_can_be_told_are_refused(tmp_path, data, untouched):
    folder = write(tmp_path / "made", from_a={"b": GOOD})

    def relabelled(label, names=data.class_names):
        parts = {
            part: dataclasses.replace(getattr(data, part), label=label(getattr(data, part).label)) for part in ("train", "test")
        }
        return dataclasses.replace(data, **parts, class_names=names)

    wrong = [
        (lambda c: c * 0, "The 900 training examples are all of one class"),
        (
            lambda c: np.where(np.arange(len(c)) < (len(c) < 800) * 40, 3, c),
            "first 40 test examples that have a are all of one",
        ),
        (lambda c: np.zeros((len(c), 0), int), "labels of arrays are empty"),
        (
            lambda c: np.stack([np.arange(len(c)) >= (len(c) < 800) * 40] * 2, axis=1) * (c[:, None] > 4),
            "Each attribute is there",
        ),
    ]
    for label, message in wrong:
        with pytest.raises(UserError, match=message):
            evaluate_samples(folder, data=relabelled(label))
    with pytest.raises(UserError, match="is not there"):
        evaluate_samples(tmp_path / "none", data=data)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        evaluate_samples(tmp_path / "file", data=data)
    with pytest.raises(UserError, match="--parts names 'probe', but there are coherence, quality, correlation"):
        evaluate_samples(folder, config=EvaluateConfig(parts="probe"), data=data)
    with pytest.raises(UserError, match="--likelihood_samples does nothing for --samples"):
        evaluate_samples(folder, config=EvaluateConfig(likelihood_samples=3), data=data)
    with pytest.raises(UserError, match="--num_modalities does nothing for --dataset=digits"):
        evaluate_samples(folder, DataConfig(num_modalities=3))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="is a run of train.py"):
        evaluate_samples(tmp_path / "run", data=data)
    with pytest.raises(UserError, match="is a run of train.py.*another folder in --output"):
        evaluate_samples(folder, data=data, output=tmp_path / "run")


def script(*arguments, **environment):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"} | environment
    command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_script_on_the_embedded_digits(tmp_path):
    """Real test values as samples: coherence is what the classifiers, quickly trained, get."""
    test = catalog.load_data(DataConfig(pairings=1)).test
    real = test.take(np.arange(len(test)))
    sets = {"random": {n: real[n][:100] for n in ("digit", "word")}, "from_digit": {"word": real["word"]}}
    folder = write(tmp_path / "made", **sets)
    how = ["--modalities=digit,word", "--pairings=1", "--data_fraction=0.1", "--quality_samples=100"]
    done = script(f"--samples={folder}", "--dataset=digits", *how, MMTF_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "samples on digits: protocol corrected, seed 0" in done.stdout
    metrics = json.loads((folder / "metrics.json").read_text())
    # Each English word is equally frequent among the places where it can begin, but not quite among test examples.
    assert metrics["coherence"]["word<-digit"] == pytest.approx(metrics["classifier_accuracy"]["word"], abs=0.05)
    assert metrics["classifier_accuracy"]["word"] > 0.2
    assert metrics["prd"]["digit"]["random"]["area"] == 1.0
    pairs = metrics["cca"]["digit,word"]
    assert pairs["cross"]["word<-digit"] == pairs["ground_truth"]
    assert metrics["evaluation"]["data"]["data_fraction"] == 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Wanted --run_dir=RUN, or --samples=FOLDER"),
        (["--run_dir={}/a", "--samples={}/b"], "one of them, and not both"),
        (["--run_dir={}/a", "--dataset=cub"], "--dataset does nothing with --run_dir"),
        (["--run_dir={}/a", "--output={}/b"], "--output does nothing with --run_dir"),
    ],
)
def test_flags_that_contradict_one_another_are_refused(tmp_path, arguments, message):
    done = script(*(a.format(tmp_path) for a in arguments))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
