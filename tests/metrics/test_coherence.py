"""Coherence against what chance must give, and against the count in the authors' release."""

import numpy as np
import pytest

from mmtf.metrics.coherence import conditional_coherence, joint_coherence, standard_error


def test_conditional_coherence_is_the_share_of_true_classes():
    assert conditional_coherence([3, 1, 4, 1], [3, 1, 4, 2]) == 0.75


@pytest.mark.parametrize(("modalities", "chance"), [(2, 0.1), (3, 0.01)])
def test_joint_coherence_of_independent_noise_is_at_chance(modalities, chance):
    n = 40_000
    classes = np.random.default_rng(0).integers(0, 10, (modalities, n))
    share = joint_coherence({f"m{i}": row for i, row in enumerate(classes)})
    assert abs(share - chance) < 4 * standard_error(chance, n)


def test_the_release_counts_three_different_classes_as_agreement():
    m, s, t = np.random.default_rng(1).integers(0, 10, (3, 40_000))
    assert np.mean((m == s) == (m == t)) == pytest.approx(0.82, abs=0.01)
    assert joint_coherence({"m": [0], "s": [1], "t": [2]}) == 0.0


def test_one_dissenter_is_enough_whichever_modality_it_is():
    agree = np.array([5, 6, 7, 8])
    for dissenter in ("a", "b", "c"):
        predictions = {name: agree.copy() for name in ("a", "b", "c")}
        assert joint_coherence(predictions) == 1.0
        predictions[dissenter][1] = 0
        assert joint_coherence(predictions) == 0.75


def test_joint_coherence_with_a_perfect_partner_is_conditional_coherence():
    predicted, labels = np.random.default_rng(2).integers(0, 3, (2, 500))
    assert joint_coherence({"a": predicted, "b": labels}) == conditional_coherence(predicted, labels)


def test_standard_error_is_the_spread_of_measured_shares():
    shares = np.random.default_rng(3).binomial(500, 0.3, 20_000) / 500
    assert standard_error(0.3, 500) == pytest.approx(shares.std(), rel=0.03)
    assert standard_error(1.0, 10) == 0.0


@pytest.mark.parametrize(
    ("predicted", "labels", "message"),
    [
        ([], [], "N > 0"),
        ([1, 2], [1], "lengths differ: predicted_classes 2, labels 1"),
        ([1.0, np.nan], [1, 2], "predicted_classes.*NaN"),
        ([1, 2], [0.5, 1.0], "labels.*fractions"),
        (np.eye(3), [0, 1, 2], r"\(3, 3\)"),
        (["one"], [1], "class indices"),
    ],
)
def test_conditional_coherence_refuses(predicted, labels, message):
    with pytest.raises(ValueError, match=message):
        conditional_coherence(predicted, labels)


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({}, "at least two modalities, not 0"),
        ({"digit": [1]}, "at least two modalities, not 1: digit"),
        ({"digit": [1, 2], "word": [1]}, "digit 2, word 1"),
        ({"digit": [1], "word": [np.inf]}, "word.*infinite"),
    ],
)
def test_joint_coherence_refuses(predictions, message):
    with pytest.raises(ValueError, match=message):
        joint_coherence(predictions)


@pytest.mark.parametrize(("share", "n"), [(1.1, 10), (-0.1, 10), (float("nan"), 10), (0.5, 0)])
def test_standard_error_refuses(share, n):
    with pytest.raises(ValueError, match="share"):
        standard_error(share, n)
