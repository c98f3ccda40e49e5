"""Pairing by class: same class, even use, the seed decides."""

import numpy as np
import pytest

from mmtf.config import DataConfig
from mmtf.data import pairing
from mmtf.errors import UserError

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


def test_a_class_that_one_pool_lacks_is_the_users_to_mend():
    pools = {"a": (np.arange(4), np.array([0, 1, 0, 1])), "b": (np.arange(2), np.array([0, 0]))}
    whole = {"a": (np.arange(2), np.array([0, 1])), "b": (np.arange(2), np.array([1, 0]))}
    with pytest.raises(UserError, match="The training part: b has no example of class 1"):
        pairing.paired_splits(pools, whole, DataConfig(), pairings=2, test_pairings=1)
    with pytest.raises(UserError, match="The test part: b has no example of class 1"):
        pairing.paired_splits(whole, pools, DataConfig(), pairings=2, test_pairings=1)


FRACTION_LABELS = RNG.permutation(np.repeat([0, 1, 2, 3], [40, 10, 3, 1]))


@pytest.mark.parametrize(("fraction", "counts"), [(1.0, [40, 10, 3, 1]), (0.2, [8, 2, 1, 1]), (0.5, [20, 5, 2, 1])])
def test_a_fraction_is_exact_per_class_and_never_none(fraction, counts):
    kept = pairing.keep_fraction(FRACTION_LABELS, fraction, seed=0)
    assert np.bincount(FRACTION_LABELS[kept]).tolist() == counts
    assert (np.diff(kept) > 0).all()
    assert kept.dtype == np.int64


def test_fractions_of_one_seed_are_nested_and_those_of_two_seeds_differ():
    kept = {f: set(pairing.keep_fraction(FRACTION_LABELS, f, seed=7)) for f in (0.1, 0.25, 0.6, 1.0)}
    assert kept[0.1] < kept[0.25] < kept[0.6] < kept[1.0]
    assert kept[0.25] != set(pairing.keep_fraction(FRACTION_LABELS, 0.25, seed=8))


def test_every_example_of_a_class_is_kept_equally_often_over_seeds():
    label = np.repeat([0, 1], [10, 20])
    kept = sum(np.bincount(pairing.keep_fraction(label, 0.3, seed), minlength=30) for seed in range(2000))
    assert np.abs(kept - 600).max() < 4.5 * np.sqrt(2000 * 0.3 * 0.7)


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, float("nan")])
def test_a_fraction_outside_its_limits_is_an_error(fraction):
    with pytest.raises(ValueError, match="fraction must be above 0 and at most 1"):
        pairing.keep_fraction(FRACTION_LABELS, fraction, 0)


# Values that tell their pool and row.
POOLS = {name: (1000 * place + np.arange(len(label)), label) for place, (name, label) in enumerate(LABELS.items())}


def paired_split(pairings=4, **options):
    return pairing.paired_split(POOLS, pairings, np.random.default_rng(3), **options)


def test_a_split_takes_the_values_of_its_rows_and_leaves_the_pools_whole():
    split = paired_split(fraction=0.5)
    for place, name in enumerate(LABELS):
        assert split.pools[name] is POOLS[name][0]
        np.testing.assert_array_equal(split.take(slice(None))[name], 1000 * place + split.rows[name])
        np.testing.assert_array_equal(LABELS[name][split.rows[name]], split.label)
    assert split.mask is None
    # Of 30, 5 and 7 anchors of the three classes; Python rounds 2.5 to 2 and 3.5 to 4.
    assert np.bincount(split.label).tolist() == [15 * 4, 2 * 4, 4 * 4]


def test_a_split_keeps_the_same_rows_of_a_pool_whatever_the_fraction_of_the_others():
    # Pairings enough to use all that is kept.
    small, large = (paired_split(pairings=40, fraction=fraction, whole=("b",)) for fraction in (0.3, 0.8))
    for name in ("a", "c"):
        assert set(small.rows[name]) < set(large.rows[name])
    assert set(small.rows["b"]) == set(large.rows["b"]) == set(range(len(LABELS["b"])))


def test_splits_follow_the_config_in_training_and_only_the_seed_in_testing():
    def splits(**config):
        return pairing.paired_splits(POOLS, POOLS, DataConfig(**config), pairings=4, test_pairings=2, whole=("c",))

    plain, changed, other = splits(), splits(data_fraction=0.5, unpaired_pools=True), splits(data_seed=1)
    assert [len(plain["train"]), len(plain["test"])] == [42 * 4, 42 * 2]
    assert len(changed["train"]) == 21 * 4 + sum(map(len, LABELS.values()))
    for name in LABELS:
        np.testing.assert_array_equal(plain["test"].rows[name], changed["test"].rows[name])
    assert (plain["test"].rows["b"] != other["test"].rows["b"]).any()
    assert (plain["train"].rows["b"][:84] != plain["test"].rows["b"]).any()  # each part has random numbers of its own


def test_single_values_stand_behind_the_pairs_each_once_and_alone():
    split, paired = paired_split(fraction=0.5, unpaired=True), paired_split(fraction=0.5)
    assert len(split) == len(paired) + 42 + 24 + 51
    start = len(paired)
    for name, label in LABELS.items():
        np.testing.assert_array_equal(split.rows[name][: len(paired)], paired.rows[name])
        assert split.mask[name][: len(paired)].all()
        alone = split.at(slice(start, start + len(label)))
        np.testing.assert_array_equal(alone.take(slice(None))[name], POOLS[name][0])
        np.testing.assert_array_equal(alone.label, label)
        for other in LABELS:
            assert set(alone.mask[other].tolist()) == {other == name}
            if other != name:  # any row will do, as long as the pool has it
                assert set(alone.rows[other].tolist()) == {0}
        start += len(label)
    assert start == len(split)
