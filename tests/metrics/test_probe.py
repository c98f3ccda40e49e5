"""The linear probe on codes whose accuracy is known."""

import warnings

import numpy as np
import pytest

from mmtf.metrics.coherence import standard_error
from mmtf.metrics.probe import linear_probe


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
