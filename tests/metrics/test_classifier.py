"""Fitting classifiers, and the cache that keeps them."""

import json
import logging
import random
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_evaluations import eagerly

from mmtf.data import digits
from mmtf.metrics import classifier
from mmtf.networks import classifiers

CLASSES = 3
QUICK = {"epochs": 2, "batch_size": 16, "learning_rate": 1e-2}


def build(seed=0, width=8):
    """A small classifier of 2x2 images, with dropout and names that Keras numbers."""
    init = keras.initializers.GlorotUniform
    layers = [
        keras.layers.Flatten(),
        keras.layers.Dense(width, activation="relu", kernel_initializer=init(seed)),
        keras.layers.Dropout(0.1, seed=seed),
        keras.layers.Dense(CLASSES, kernel_initializer=init(seed + 1)),
    ]
    return keras.Sequential([keras.Input((2, 2, 1)), *layers], name="small")


def images(n=90, seed=0):
    """uint8 images whose brightest of three pixels is their class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    values = rng.integers(0, 100, (n, 4))
    values[np.arange(n), labels] += 150
    return values.reshape(n, 2, 2, 1).astype(np.uint8), labels


def cached(directory, build=build, data=None, key_parts=None, **options):
    values, labels = data or images()
    parts = {"dataset": "toy"} if key_parts is None else key_parts
    return classifier.cached(build, values, labels, cache_dir=directory, key_parts=parts, **QUICK | options)


def only(directory, pattern="*.weights.h5"):
    [path] = directory.glob(pattern)
    return path


def same_weights(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


@pytest.fixture
def eager():
    """A few small steps take less time than their graph."""
    with eagerly():
        yield


@pytest.fixture
def instant_fit(monkeypatch):
    """Training for tests of the cache alone: one step that depends on the initial weights only."""

    def step(model, values, labels, **options):
        model.set_weights([np.sin(w) for w in model.get_weights()])

    monkeypatch.setattr(classifier, "fit", step)


def test_it_learns_what_can_be_learned_and_accuracy_is_measured_on_what_it_is_given():
    """And the model is not left with an optimizer."""
    model = build()
    classifier.fit(model, *images(), epochs=60, batch_size=32, learning_rate=0.05)
    values, labels = images(60, seed=1)
    assert classifier.accuracy(model, values, labels) == 1.0
    wrong = labels.copy()
    wrong[:15] = (wrong[:15] + 1) % CLASSES
    assert classifier.accuracy(model, values, wrong) == 0.75
    assert getattr(model, "optimizer", None) is None


def test_what_is_set_by_default_suffices():
    """Fewer examples are passed over more often."""
    assert [classifier.default_epochs(count) for count in (0, 500, 1000, 10**6)] == [10_006, 26, 16, 6]
    model = build()
    classifier.fit(model, *images(1000))
    assert classifier.accuracy(model, *images(200, seed=1)) > 0.9


def test_classes_do_not_depend_on_the_batch_or_on_how_pixels_are_written():
    model, (values, _) = build(), images()
    classes = classifier.predict_classes(model, values)
    assert classes.dtype == np.int64
    np.testing.assert_array_equal(classes, np.argmax(model(values / np.float32(255)), axis=-1))
    np.testing.assert_array_equal(classes, classifier.predict_classes(model, values, batch_size=7))
    np.testing.assert_array_equal(classes, classifier.predict_classes(model, values / np.float32(255)))


def test_text_may_come_as_classes_or_as_their_probabilities():
    layers = [keras.layers.Flatten(), keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.GlorotUniform(0))]
    model = keras.Sequential([keras.Input((4, 5)), *layers])
    text = np.random.default_rng(0).integers(0, 5, (40, 4))
    classes = classifier.predict_classes(model, text.astype(np.int32))
    assert len(set(classes)) == CLASSES
    np.testing.assert_array_equal(classes, classifier.predict_classes(model, text))
    np.testing.assert_array_equal(classes, classifier.predict_classes(model, np.eye(5, dtype=np.float32)[text]))


def test_the_loss_asks_each_class_a_yes_or_no_question():
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])
    targets = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    yes = 1 / (1 + np.exp(-logits))
    expected = -np.sum(targets * np.log(yes) + (1 - targets) * np.log(1 - yes), axis=-1)
    np.testing.assert_allclose(classifier._summed_sigmoid(tf.constant(targets), tf.constant(logits)), expected)


def test_every_epoch_goes_once_through_the_data_in_an_order_of_its_own():
    order = classifier._shuffled(12, 4, epochs=3, seed=0)
    assert order.shape == (9, 4)
    epochs = order.reshape(3, 12)
    assert (np.sort(epochs) == np.arange(12)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 3
    # Fewer examples than a batch are one batch; a rest waits for the next epoch.
    assert classifier._shuffled(3, 4, epochs=2, seed=0).shape == (2, 3)
    assert classifier._shuffled(11, 4, epochs=2, seed=0).shape == (4, 4)


def test_the_learning_rate_rises_to_its_peak_after_a_fifth_and_ends_at_zero():
    schedule = classifier._warm_cosine(0.1, 100)
    rates = np.array([schedule(step) for step in range(101)])
    assert rates.argmax() == 20
    np.testing.assert_allclose(rates[[0, 20, 100]], [0.01, 0.1, 0.0], atol=1e-7)


def one_hot(labels):
    return np.eye(CLASSES, dtype=np.int64)[labels]


def test_seeds_decide_and_classes_written_as_attributes_are_learned_alike(eager):
    """The loss asks each class a question of its own, so that one-hot attributes are the classes. No generator is touched."""
    before, numpy_before = random.getstate(), np.random.get_state()[1].copy()
    models, (values, labels) = [build(), build(), build()], images()
    for model, target, seed in zip(models, (labels, one_hot(labels), labels), (0, 0, 1), strict=True):
        classifier.fit(model, values, target, seed=seed, **QUICK)
    assert random.getstate() == before
    assert (np.random.get_state()[1] == numpy_before).all()
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert not np.allclose(models[0].get_weights()[0], models[2].get_weights()[0])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(89, int), "90 values and labels"),
        (np.zeros((90, 1), int), "90 values and labels"),
        (np.full(90, CLASSES), "classes 0..2"),
        (np.full(90, -1), "classes 0..2"),
        (np.zeros(90), "float64"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, message):
    for function in (classifier.fit, classifier.accuracy):
        with pytest.raises(ValueError, match=message):
            function(build(), images()[0], labels)


def test_attributes_are_learned_and_scored_one_by_one():
    values, labels = images(400)
    attributes = np.stack([labels == 0, labels != 1, np.zeros(400)], axis=1).astype(np.int64)
    model = build()
    classifier.fit(model, values, attributes, epochs=20, batch_size=32, learning_rate=0.05)
    found = classifier.precisions(model, values, attributes)
    np.testing.assert_allclose(found[:2], 1.0, atol=0.01)
    assert np.isnan(found[2])
    scores = classifier.predict_scores(model, values)
    np.testing.assert_allclose(scores, model(values / np.float32(255)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scores, classifier.predict_scores(model, values, batch_size=7), rtol=1e-4, atol=1e-4)
    # Turned round, an attribute that the scores order rightly is ordered wrongly: the worst average precision.
    ranks = np.arange(1, (labels != 0).sum() + 1)
    worst = np.sum(ranks / ((labels == 0).sum() + ranks)) / len(ranks)
    assert classifier.precisions(model, values, 1 - attributes)[0] == pytest.approx(worst, abs=0.01)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((90, 2), int), r"small scores 3 attributes.*90 values and labels \(90, 2\)"),
        (np.zeros((89, 3), int), r"90 values and labels \(89, 3\)"),
        (np.full((90, 3), 2), "other values"),
        (np.zeros((90, 3, 1), int), "90 values and labels"),
    ],
)
def test_labels_that_are_no_attributes_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        classifier.fit(build(), images()[0], labels)


def test_a_classifier_of_attributes_is_kept_as_others_are(tmp_path, monkeypatch, eager):
    values, labels = images()
    test = images(30, seed=1)[0], one_hot(images(30, seed=1)[1])
    first = cached(tmp_path, data=(values, one_hot(labels)), test=test)
    content = json.loads(only(tmp_path, "*.json").read_text())
    assert content["test_average_precision"] == pytest.approx(np.mean(classifier.precisions(first, *test)))
    assert "test_accuracy" not in content
    changed = one_hot(labels)
    changed[0] = 1 - changed[0]
    cached(tmp_path, data=(values, changed))
    assert len(list(tmp_path.glob("*.weights.h5"))) == 2
    monkeypatch.delattr(classifier, "fit")
    assert same_weights(first, cached(tmp_path, data=(values, one_hot(labels))))


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="no values"):
        classifier.predict_classes(build(), images()[0][:0])


def test_a_classifier_is_trained_once_and_then_read(tmp_path, monkeypatch, eager):
    first = cached(tmp_path, test=images(30, seed=1))
    monkeypatch.delattr(classifier, "fit")
    path, record = only(tmp_path), only(tmp_path, "*.json")
    written = path.stat().st_mtime_ns, record.stat().st_mtime_ns
    # Built anew, so that Keras numbers its layers otherwise; fit is gone.
    assert same_weights(first, cached(tmp_path))
    assert (path.stat().st_mtime_ns, record.stat().st_mtime_ns) == written
    content = json.loads(record.read_text())
    assert content["test_accuracy"] == classifier.accuracy(first, *images(30, seed=1))
    assert content.items() >= {"dataset": "toy", "seed": 0, **QUICK}.items()


def test_whatever_the_result_depends_on_makes_another_file(tmp_path, instant_fit):
    values, labels = images()
    other_value, other_label = values.copy(), labels.copy()
    other_value[0, 0, 0, 0] ^= 1
    other_label[0] = (other_label[0] + 1) % CLASSES
    variants = [
        {},
        {"seed": 1},
        {"epochs": 1},
        {"learning_rate": 1e-3},
        {"batch_size": 8},
        {"key_parts": {"dataset": "other"}},
        {"data": (other_value, labels)},
        {"data": (values, other_label)},
        {"build": lambda: build(seed=5)},
        {"build": lambda: build(width=9)},
    ]
    for variant in variants:
        cached(tmp_path, **variant)
    assert len(list(tmp_path.glob("*.weights.h5"))) == len(list(tmp_path.glob("*.json"))) == len(variants)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-500])


def overwrite(path):
    path.write_bytes(b"not a weights file")


def empty(path):
    path.write_bytes(b"")


def flip_one_weight(path):
    kernel = build().get_weights()[0].shape
    content = bytearray(path.read_bytes())
    with classifier.h5py.File(path) as file:
        places = []
        file.visititems(lambda _, item: places.append(item.id.get_offset()) if getattr(item, "shape", None) == kernel else None)
    content[places[0]] ^= 1
    path.write_bytes(bytes(content))


def put_another_models_weights(path):
    other = build(width=9)
    other.save_weights(path.with_name("other.weights.h5"))
    shutil.move(path.with_name("other.weights.h5"), path)


@pytest.mark.parametrize("damage", [truncate, overwrite, empty, flip_one_weight, put_another_models_weights])
def test_a_damaged_file_is_replaced_with_a_warning(damage, tmp_path, caplog, instant_fit):
    first = cached(tmp_path)
    damage(only(tmp_path))
    with caplog.at_level(logging.WARNING, classifier.__name__):
        again = cached(tmp_path)
    assert "trained again" in caplog.text
    assert same_weights(first, again)
    caplog.clear()
    assert same_weights(again, cached(tmp_path))
    assert not caplog.text


def test_a_lost_record_does_no_harm(tmp_path, caplog, instant_fit):
    first = cached(tmp_path)
    only(tmp_path, "*.json").unlink()
    assert same_weights(first, cached(tmp_path))
    assert not caplog.text


def test_a_second_process_at_the_same_time_leaves_one_whole_file(tmp_path, monkeypatch, instant_fit):
    fit, inner = classifier.fit, []

    def slow_fit(*args, **options):
        # While the first trains, a second one starts, trains and stores.
        monkeypatch.setattr(classifier, "fit", fit)
        inner.append(cached(tmp_path))
        fit(*args, **options)

    monkeypatch.setattr(classifier, "fit", slow_fit)
    assert same_weights(cached(tmp_path), inner[0])
    monkeypatch.delattr(classifier, "fit")
    assert same_weights(cached(tmp_path), inner[0])
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".h5", ".json"]


def test_a_place_that_cannot_be_written_costs_the_cache_and_not_the_classifier(tmp_path, caplog, instant_fit):
    (tmp_path / "file").touch()
    model = cached(tmp_path / "file" / "cache")
    assert "could not be kept" in caplog.text
    assert model.get_weights()


def test_nothing_is_left_behind_when_training_fails(tmp_path, monkeypatch):
    def broken(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(classifier, "fit", broken)
    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "network", "least"), [("digit", classifiers.mnist, 0.96), ("word", classifiers.text, 1.0)])
def test_the_papers_classifiers_learn_the_embedded_data_as_set_by_default(name, network, least):
    data = digits.load(pairings=1, scenes_per_digit=1, test_pairings=1)
    modality = next(m for m in data.modalities if m.name == name)
    train, test = ((split.pools[name], label_pool(split, name)) for split in (data.train, data.test))
    model = network(modality, 10, seed=0)
    classifier.fit(model, *train)
    assert classifier.accuracy(model, *test) >= least


def label_pool(split, name):
    labels = np.zeros(len(split.pools[name]), np.int64)
    labels[split.rows[name]] = split.label
    return labels
