"""Average precision and agreement on scores whose answers are known by hand, or from scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from mmtf.metrics import precision


def drawn(n, prevalence, seed, signal=1.5):
    """Scores that know something of their labels, both [n, L]; rounded, so that many are equal."""
    rng = np.random.default_rng(seed)
    labels = (rng.uniform(size=(n, len(prevalence))) < prevalence).astype(int)
    return np.round(signal * labels + rng.normal(size=labels.shape), 1), labels


def test_average_precision_by_hand():
    scores = np.array([[4.0, 1.0], [3.0, 1.0], [2.0, 1.0], [1.0, 1.0]])
    labels = np.array([[1, 0], [0, 1], [1, 0], [0, 0]])
    # Precisions at the true ones: 1/1 and 2/3. Equal scores share one threshold, where a quarter is true.
    np.testing.assert_allclose(precision.average_precisions(scores, labels), [(1 + 2 / 3) / 2, 1 / 4])


def test_random_scores_come_to_the_prevalence():
    prevalence = np.array([0.05, 0.3, 0.8])
    scores, labels = drawn(40_000, prevalence, 0, signal=0.0)
    np.testing.assert_allclose(precision.average_precisions(scores, labels), prevalence, atol=0.015)


def test_only_the_order_of_the_scores_counts():
    scores, labels = drawn(300, [0.2, 0.6], 0)
    found = precision.average_precisions(scores, labels)
    np.testing.assert_allclose(precision.average_precisions(1 / (1 + np.exp(-scores)), labels), found)
    np.testing.assert_allclose(precision.average_precisions(scores[::-1], labels[::-1]), found)


def test_attributes_that_divide_nothing_are_left_out():
    scores, labels = drawn(50, [0.5, 0.5, 0.5], 0)
    labels[:, 0], labels[:, 2] = 0, 1
    found = precision.average_precisions(scores, labels)
    assert list(np.isnan(found)) == [True, False, True]
    assert list(precision.varied(labels)) == [False, True, False]
    assert precision.bootstrap_error(scores, labels) == precision.bootstrap_error(scores[:, 1:2], labels[:, 1:2])


def test_weights_are_repetitions_of_examples():
    scores, labels = (x[:, 0] for x in drawn(120, [0.15], 0))
    assert len(set(scores)) < len(scores)
    weights = np.random.default_rng(1).multinomial(120, np.full(120, 1 / 120), 8)
    expected = [average_precision_score(labels.repeat(w), scores.repeat(w)) for w in weights]
    np.testing.assert_allclose(precision._weighted(scores, labels, weights), expected)
    none, all_of_it = np.where(labels == 1, 0, 3), np.where(labels == 1, 3, 0)
    assert np.isnan(precision._weighted(scores, labels, np.stack([none, all_of_it]))).all()


def test_the_bootstrap_error_is_the_spread_over_independent_samples():
    prevalence = np.array([0.05, 0.2, 0.4, 0.7])
    means = [precision.average_precisions(*drawn(500, prevalence, seed)).mean() for seed in range(200)]
    errors = [precision.bootstrap_error(*drawn(500, prevalence, seed), seed) for seed in range(10)]
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.15)
    assert precision.bootstrap_error(*drawn(500, prevalence, 0), 3) == precision.bootstrap_error(*drawn(500, prevalence, 0), 3)


def test_attributes_of_one_example_are_resampled_together():
    # Ten copies of one attribute say no more than one of them.
    scores, labels = drawn(400, [0.3], 0)
    alone = precision.bootstrap_error(scores, labels)
    assert precision.bootstrap_error(scores.repeat(10, axis=1), labels.repeat(10, axis=1)) == pytest.approx(alone)


def test_agreement_is_the_share_of_attributes_with_equal_signs():
    a = np.array([[2.0, -1.0, 0.5, -3.0], [1.0, 1.0, 1.0, 1.0]])
    b = np.array([[1.0, -2.0, -0.5, -1.0], [1.0, 2.0, 3.0, 4.0]])
    c = np.array([[9.0, 9.0, -9.0, -9.0], [1.0, 1.0, 1.0, -1.0]])
    np.testing.assert_allclose(precision.agreement({"a": a, "b": b}), [0.75, 1.0])
    np.testing.assert_allclose(precision.agreement({"a": a, "b": b, "c": c}), [0.5, 0.75])


@pytest.mark.parametrize("modalities", [2, 3])
def test_independent_decisions_agree_as_often_as_is_said(modalities):
    prevalence, rng = np.array([0.02, 0.3, 0.5]), np.random.default_rng(0)
    scores = {str(m): prevalence - rng.uniform(size=(20_000, 3)) for m in range(modalities)}
    expected = np.mean(prevalence**modalities + (1 - prevalence) ** modalities)
    assert precision.agreement(scores).mean() == pytest.approx(expected, abs=0.008)


TWO = np.array([[0.5, 1.0], [0.2, 2.0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: precision.average_precisions(TWO, np.array([0, 1])), r"labels: wanted a 0 or 1.*\(2,\)"),
        (lambda: precision.average_precisions(TWO, np.array([[0, 2], [1, 1]])), "labels: .*other values"),
        (lambda: precision.average_precisions(TWO, np.array([[0, -1], [1, 1]])), "labels: .*other values"),
        (lambda: precision.average_precisions(TWO, np.array([["a", "b"]])), "labels: .*other values"),
        (lambda: precision.average_precisions(TWO, np.zeros((0, 2), int)), r"\(0, 2\)"),
        (lambda: precision.average_precisions(TWO, np.eye(3, dtype=int)), r"scores are \(2, 2\) and labels \(3, 3\)"),
        (lambda: precision.average_precisions(TWO * np.nan, np.eye(2, dtype=int)), "scores: some are NaN"),
        (lambda: precision.bootstrap_error(TWO, np.ones((2, 2), int)), "No attribute"),
        (lambda: precision.agreement({"a": TWO}), "two modalities, not 1: a"),
        (lambda: precision.agreement({"a": TWO, "b": TWO[:1]}), r"b: scores of shape \(1, 2\)"),
        (lambda: precision.agreement({"a": TWO, "b": TWO * np.inf}), "b: some are NaN or infinite"),
    ],
)
def test_what_is_no_scores_or_labels_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
