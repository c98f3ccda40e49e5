"""The linear probes on codes whose accuracy or average precision is known."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from mmtf.metrics.coherence import standard_error
from mmtf.metrics.probe import attribute_probes, linear_probe


def blobs(n, separation, seed, classes=5, width=8):
    """Codes [n, width] around one random centre per class, and their classes; the centres do not depend on the seed."""
    centres = np.random.default_rng(99).normal(size=(classes, width))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return separation * centres[labels] + rng.normal(size=(n, width)), labels


def test_linearly_separable_codes_score_one():
    assert linear_probe(*blobs(400, 20.0, 0), *blobs(400, 20.0, 1)) == 1.0


def test_permuted_labels_score_at_chance():
    (train, train_labels), (test, _) = blobs(600, 20.0, 0), blobs(4000, 20.0, 1)
    rng = np.random.default_rng(2)
    accuracy = linear_probe(train, rng.permutation(train_labels), test, rng.integers(0, 5, len(test)))
    assert abs(accuracy - 0.2) < 4 * standard_error(0.2, len(test))


def test_two_classes_score_as_the_best_linear_rule():
    # x = -1 or 1 plus unit noise: the best rule errs with probability Phi(-1) = 0.1587.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 8000)
    codes = (2.0 * labels - 1.0 + rng.normal(size=8000))[:, None]
    accuracy = linear_probe(codes[:4000], labels[:4000], codes[4000:], labels[4000:])
    assert abs(accuracy - 0.8413) < 4 * standard_error(0.8413, 4000)


def test_there_is_no_penalty():
    # The class is the sign of the small difference of two almost equal dimensions. Only large weights of opposite sign
    # read it; the penalty C = 1 of the authors' releases forbids them and leaves the probe at chance.
    shared, difference = np.random.default_rng(0).normal(size=(2, 800))
    codes, labels = np.stack([shared + 0.01 * difference, shared], axis=1), difference > 0
    assert linear_probe(codes[:400], labels[:400], codes[400:], labels[400:]) > 0.98


@pytest.mark.parametrize("scale", [1e-5, 1e4, np.logspace(-4, 2, 8)], ids=["tiny", "huge", "mixed"])
def test_the_scale_of_the_code_does_not_matter(scale):
    (train, train_labels), (test, test_labels) = blobs(1000, 0.5, 0), blobs(3000, 0.5, 1)
    plain = linear_probe(train, train_labels, test, test_labels)
    scaled = linear_probe(train * scale, train_labels, test * scale, test_labels)
    assert 0.4 < plain < 0.9
    assert scaled == pytest.approx(plain, abs=0.002)


def test_a_constant_dimension_changes_nothing():
    (train, train_labels), (test, test_labels) = blobs(500, 1.0, 0), blobs(500, 1.0, 1)
    plain = linear_probe(train, train_labels, test, test_labels)
    widened = [np.hstack([codes, np.full((500, 1), 0.1)]) for codes in (train, test)]
    assert linear_probe(widened[0], train_labels, widened[1], test_labels) == pytest.approx(plain, abs=0.004)


def test_a_class_that_training_lacks_counts_as_an_error():
    (train, train_labels), (test, test_labels) = blobs(400, 20.0, 0), blobs(1000, 20.0, 1)
    known = train_labels != 3
    accuracy = linear_probe(train[known], train_labels[known], test, test_labels)
    assert accuracy == np.mean(test_labels != 3)


def test_no_warning_leaks_from_fits_that_do_not_converge(monkeypatch):
    monkeypatch.setattr("mmtf.metrics.probe.MAX_ITERATIONS", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert linear_probe(*blobs(300, 3.0, 0), *blobs(300, 3.0, 1)) > 0.9


def test_float32_codes_and_float_labels_give_the_same():
    (train, train_labels), (test, test_labels) = blobs(300, 1.0, 0), blobs(300, 1.0, 1)
    train, test = train.astype(np.float32), test.astype(np.float32)
    accuracy = linear_probe(train.astype(np.float64), train_labels, test.astype(np.float64), test_labels)
    assert linear_probe(train, train_labels.astype(np.float32), test, test_labels) == accuracy


GOOD = ([[0.0], [1.0]], [0, 1], [[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({0: np.zeros((0, 1)), 1: []}, "train_codes.*filled"),
        ({2: np.zeros((0, 1)), 3: []}, "test_codes.*filled"),
        ({0: [0.0, 1.0]}, "train_codes"),
        ({1: [1, 1]}, "all training labels are 1"),
        ({1: [0, 1, 1]}, "2 train_codes, but 3 train_labels"),
        ({3: [0]}, "2 test_codes, but 1 test_labels"),
        ({0: [[0.0], [np.nan]]}, "train_codes.*NaN"),
        ({2: [[0.0], [np.inf]]}, "test_codes.*infinite"),
        ({1: [0.0, np.nan]}, "train_labels.*NaN"),
        ({2: [[0.0, 1.0], [1.0, 1.0]]}, "1 dimensions, but test codes have 2"),
        ({1: [[1, 0], [0, 1]]}, "train_labels"),
    ],
)
def test_probe_refuses(changes, message):
    arguments = [changes.get(position, value) for position, value in enumerate(GOOD)]
    with pytest.raises(ValueError, match=message):
        linear_probe(*arguments)


def attributes(n, seed, width=6, count=5):
    """Correlated codes [n, width], and attributes [n, count], each with its own prevalence, whose odds are linear in them."""
    rule = np.random.default_rng(99)
    mixing, weights = np.eye(width) + 0.3 * rule.normal(size=(width, width)), rule.normal(size=(width, count))
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(n, width)) @ mixing
    logits = codes @ weights - np.linspace(0, 4, count)
    return codes, (logits + rng.logistic(size=logits.shape) > 0).astype(int)


def test_each_attribute_has_the_optimum_of_a_logistic_regression_without_penalty():
    (train, train_labels), (test, test_labels) = attributes(1500, 0), attributes(1000, 1)
    scaler = StandardScaler().fit(train)
    expected = []
    for k in range(5):
        plain = LogisticRegression(C=np.inf, tol=1e-8, max_iter=10_000).fit(scaler.transform(train), train_labels[:, k])
        expected.append(average_precision_score(test_labels[:, k], plain.decision_function(scaler.transform(test))))
    found = attribute_probes(train, train_labels, test, test_labels)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found > test_labels.mean(axis=0) + 0.1).all()


def test_codes_that_know_nothing_come_to_the_prevalence_and_those_that_know_all_to_one():
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=(6000, 2)) < [0.1, 0.5]).astype(int)
    codes = np.stack([20.0 * labels[:, 1] + rng.normal(size=6000), rng.normal(size=6000)], axis=1)
    found = attribute_probes(codes[:3000], labels[:3000], codes[3000:], labels[3000:])
    assert found[0] == pytest.approx(0.1, abs=0.03)
    assert found[1] == pytest.approx(1.0)


def test_attributes_of_all_or_none_are_left_out():
    (train, train_labels), (test, test_labels) = attributes(300, 0), attributes(300, 1)
    whole = attribute_probes(train, train_labels, test, test_labels)
    train_labels[:, 0], test_labels[:, 2], train_labels[:, 3] = 0, 0, 1
    found = attribute_probes(train, train_labels, test, test_labels)
    assert list(np.isnan(found)) == [True, False, True, True, False]
    np.testing.assert_array_equal(found[[1, 4]], whole[[1, 4]])


@pytest.mark.parametrize("scale", [1e-5, 1e4, np.logspace(-4, 2, 6)], ids=["tiny", "huge", "mixed"])
def test_the_scale_of_the_code_does_not_matter_to_attributes(scale):
    (train, train_labels), (test, test_labels) = attributes(800, 0), attributes(800, 1)
    plain = attribute_probes(train, train_labels, test, test_labels)
    np.testing.assert_allclose(attribute_probes(train * scale, train_labels, test * scale, test_labels), plain, atol=1e-5)


def test_collinear_separable_and_few_codes_are_probed_without_a_warning():
    (train, train_labels), (test, test_labels) = attributes(800, 0), attributes(800, 1)
    plain = attribute_probes(train, train_labels, test, test_labels)
    doubled = [np.hstack([codes, codes[:, :2], np.ones((len(codes), 1))]) for codes in (train, test)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = attribute_probes(doubled[0], train_labels, doubled[1], test_labels)
        np.testing.assert_allclose(found, plain, atol=0.01)
        few = attribute_probes(train[:12], train_labels[:12], test, test_labels)
    assert (few[~np.isnan(few)] <= 1.0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({1: [0, 1]}, "train_labels: wanted a 0 or 1"),
        ({1: [[0], [2]]}, "train_labels: .*other values"),
        ({3: [[0, 1], [1, 0]]}, "1 attributes in training, but 2 in the test"),
        ({1: [[0], [1], [1]]}, "2 train_codes, but 3 train_labels"),
        ({2: [[0.0], [np.inf]]}, "test_codes.*infinite"),
        ({2: [[0.0, 1.0], [1.0, 1.0]]}, "1 dimensions, but test codes have 2"),
    ],
)
def test_attribute_probes_refuse(changes, message):
    good = ([[0.0], [1.0]], [[0], [1]], [[0.0], [1.0]], [[0], [1]])
    with pytest.raises(ValueError, match=message):
        attribute_probes(*(changes.get(position, value) for position, value in enumerate(good)))
