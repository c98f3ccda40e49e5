"""Pairing by class: same class, even use, the seed decides."""

import numpy as np
import pytest

from mmtf.data import pairing

RNG = np.random.default_rng(0)
LABELS = {  # per class of the anchor: fewer, equally many and more examples than in the others
    "a": RNG.permutation(np.repeat([0, 1, 2], [30, 5, 7])),
    "b": RNG.permutation(np.repeat([0, 1, 2], [10, 5, 9])),
    "c": RNG.permutation(np.repeat([0, 1, 2], [4, 40, 7])),
}


def test_partners_are_of_the_anchors_class():
    rows, label = pairing.pair_by_class(LABELS, 6, seed=1)
    for name, row in rows.items():
        assert row.dtype == np.int64
        np.testing.assert_array_equal(LABELS[name][row], label)


def test_each_pairing_holds_every_anchor_once_in_order():
    rows, _ = pairing.pair_by_class(LABELS, 6, seed=1)
    np.testing.assert_array_equal(rows["a"].reshape(6, -1), np.tile(np.arange(42), (6, 1)))


def test_examples_of_a_class_are_used_equally_often_give_or_take_one():
    rows, _ = pairing.pair_by_class(LABELS, 6, seed=1)
    for name in ("b", "c"):
        uses = np.bincount(rows[name], minlength=len(LABELS[name]))
        for c in range(3):
            of_class = uses[LABELS[name] == c]
            assert of_class.max() - of_class.min() <= 1
            assert of_class.sum() == 6 * np.sum(LABELS["a"] == c)


def test_an_anchors_partners_differ_when_a_class_has_a_multiple_of_them():
    rows, _ = pairing.pair_by_class({"a": np.zeros(50, int), "b": np.zeros(20, int)}, 5, seed=0)
    partners = np.sort(rows["b"].reshape(5, 50), axis=0)
    assert (np.diff(partners, axis=0) > 0).all()


def test_the_seed_decides():
    def once(seed):
        return pairing.pair_by_class(LABELS, 3, seed)[0]["b"]

    np.testing.assert_array_equal(once(4), once(4))
    assert (once(4) != once(5)).any()


def test_others_are_of_the_class_never_oneself_and_each_is_a_partner_once_per_pairing():
    label = LABELS["a"]
    partner = pairing.pair_with_others(label, 9, seed=2).reshape(9, -1)
    assert (partner != np.arange(len(label))).all()
    np.testing.assert_array_equal(label[partner], np.tile(label, (9, 1)))
    np.testing.assert_array_equal(np.sort(partner, axis=1), np.tile(np.arange(len(label)), (9, 1)))


def test_others_are_drawn_uniformly():
    partner = pairing.pair_with_others(np.zeros(5, int), 4000, seed=3).reshape(4000, 5)
    counts = np.stack([np.bincount(column, minlength=5) for column in partner.T])
    expected = 1000 * (1 - np.eye(5))
    assert np.abs(counts - expected).max() < 4.5 * np.sqrt(4000 * 0.25 * 0.75)


def test_a_class_that_one_pool_lacks_is_an_error():
    with pytest.raises(ValueError, match="b has no example of class 2, which another modality has"):
        pairing.pair_by_class({"a": np.array([0, 1, 2]), "b": np.array([0, 1])}, 2, 0)
    with pytest.raises(ValueError, match="a has no example of class 3"):
        pairing.pair_by_class({"a": np.array([0, 1]), "b": np.array([0, 1, 3])}, 2, 0)


def test_bad_arguments_are_errors():
    with pytest.raises(ValueError, match="pairings must be 1 or more, not 0"):
        pairing.pair_by_class(LABELS, 0, 0)
    with pytest.raises(ValueError, match="pairings must be 1 or more, not -1"):
        pairing.pair_with_others(LABELS["a"], -1, 0)
    with pytest.raises(ValueError, match="Class 1 has one example"):
        pairing.pair_with_others(np.array([0, 0, 1]), 2, 0)
    with pytest.raises(ValueError, match=r"b: labels must be integers \[n\], n > 0, not float64"):
        pairing.pair_by_class({"a": np.array([0, 1]), "b": np.array([0.0, 1.0])}, 2, 0)
