"""A user's labels as class indices, and which examples are for testing."""

import numpy as np
import pytest
from own_values import LABELS, REAL, N, both

from mmtf.data import from_arrays
from mmtf.errors import UserError


def test_the_test_part_takes_its_share_of_every_class():
    label = np.repeat([0, 1, 2], [50, 30, 20])
    for seed in range(20):
        data = both(np.arange(100) / 7, label, seed=seed)
        np.testing.assert_array_equal(np.bincount(data.test.label), [10, 6, 4])


def test_the_parts_are_everything_once_and_rows_belong_together():
    x = np.arange(N) + 0.5
    data = from_arrays({"a": x, "b": -x}, LABELS)
    for part in (data.train, data.test):
        batch = part.take(np.arange(len(part)))
        np.testing.assert_array_equal(batch["a"], -batch["b"])
        np.testing.assert_array_equal((batch["a"][:, 0] - 0.5) % 4, part.label)
    together = np.concatenate([data.train.pools["a"], data.test.pools["a"]])[:, 0]
    assert sorted(together) == x.tolist()


def test_the_split_is_the_same_for_a_seed_and_another_for_another():
    first, again, other = (both(REAL, LABELS, seed=seed).test.pools["x"] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_class_of_one_example_is_for_training():
    label = np.array([0] * 20 + [1] * 19 + [2])
    for seed in range(10):
        assert 2 in both(REAL, label, seed=seed, test=0.4).train.label


@pytest.mark.parametrize("test", [np.arange(N) < 7, list(range(7)), np.arange(7)])
def test_test_examples_can_be_chosen(test):
    np.testing.assert_array_equal(both(REAL, test=test).test.pools["x"], REAL[:7].astype(np.float32))


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (0, "wanted a share between 0 and 1"),
        (1.0, "wanted a share between 0 and 1"),
        (1, "wanted a share between 0 and 1"),
        (0.001, "leaves 40 of 40 examples for training and 0 for testing"),
        (np.ones(N, bool), "leaves 0 of 40 examples for training"),
        (np.ones(3, bool), "wanted 40 booleans"),
        ([40], "rows must be in 0..39, but run 40..40"),
        ([0.5, 0.2], "integer rows"),
    ],
)
def test_what_is_no_split_is_refused(test, message):
    with pytest.raises(UserError, match=message):
        both(REAL, test=test, seed=1)


def test_a_negative_seed_is_refused():
    with pytest.raises(UserError, match="seed must be 0 or more, not -1"):
        both(REAL, seed=-1)


def test_a_class_only_in_the_test_part_is_said(caplog):
    both(REAL, LABELS, test=LABELS == 2)
    assert "Class 2 occurs among the test examples only" in caplog.text


@pytest.mark.parametrize(
    ("labels", "names", "first"),
    [
        (LABELS, ("0", "1", "2", "3"), [0, 1, 2, 3]),
        (LABELS.astype(float), ("0", "1", "2", "3"), [0, 1, 2, 3]),
        (LABELS[:, None], ("0", "1", "2", "3"), [0, 1, 2, 3]),
        (LABELS * 10 + 5, ("5", "15", "25", "35"), [0, 1, 2, 3]),
        (LABELS - 2, ("-2", "-1", "0", "1"), [0, 1, 2, 3]),
        (np.array(["t", "b", "nk", "b"])[LABELS], ("b", "nk", "t"), [2, 0, 1, 0]),
        (["t", "b"] * (N // 2), ("b", "t"), [1, 0, 1, 0]),
        (LABELS > 1, ("False", "True"), [0, 0, 1, 1]),
    ],
)
def test_labels_become_class_indices_with_names(labels, names, first):
    data = both(REAL, labels, test=[N - 1])
    assert data.class_names == names
    assert data.train.label[:4].tolist() == first
    assert data.train.label.dtype == np.int64


def test_classes_can_be_named():
    assert both(REAL, LABELS, class_names=list("abcde")).class_names == tuple("abcde")
    data = both(REAL, np.array(["t", "b"])[LABELS % 2], class_names=["t", "b", "nk"], test=[N - 1])
    assert data.train.label[:2].tolist() == [0, 1]
    assert both(REAL, LABELS > 1, class_names=["no", "yes"]).class_names == ("no", "yes")


def test_labels_may_be_attributes():
    attributes = np.stack([LABELS > 1, LABELS % 2], axis=1)
    data = both(REAL, attributes, class_names=["high", "odd"], test=[0])
    np.testing.assert_array_equal(data.train.label, attributes[1:])
    assert data.train.label.dtype == np.int64
    assert data.class_names == ("high", "odd")


def test_labels_may_be_absent():
    data = both(REAL)
    assert (data.train.label, data.class_names, len(data.train), len(data.test)) == (None, (), 32, 8)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (LABELS[:-1], {}, "39 for 40 examples"),
        (np.zeros(N, int), {}, "all examples are of class '0'"),
        (np.arange(N), {}, "40 classes among 40 examples"),
        (np.where(LABELS == 1, np.nan, LABELS), {}, "label of example 1 is missing"),
        (["a", None] * (N // 2), {}, "label of example 1 is missing"),
        (LABELS + 0.5, {}, "fractions are no classes"),
        (np.eye(4)[LABELS], {}, "labels.argmax"),
        (np.stack([LABELS, LABELS], axis=1), {}, "must be 0 or 1"),
        (np.stack([LABELS > 9, LABELS > 1], axis=1), {}, "attribute '0' is the same in all examples"),
        (LABELS, {"class_names": ["a", "b"]}, "do not number the 2 class_names"),
        (["t", "b"] * (N // 2), {"class_names": ["t"]}, "'b' is not among the class_names t"),
        (None, {"class_names": ["a", "b"]}, "without labels"),
        (np.zeros((N, 2, 2)), {}, r"not the shape \(40, 2, 2\)"),
        (np.full(N, 1j), {}, "integers, strings or booleans"),
        (3, {}, "wanted one per example"),
    ],
)
def test_what_is_no_label_is_refused(labels, options, message):
    with pytest.raises(UserError, match=f"(?s){message}"):
        both(REAL, labels, **options)
