"""Held-out examples share no value of the first modality with those that are trained on."""

import numpy as np
import pytest

from mmtf.data import from_arrays
from mmtf.data.dataset import MultimodalData, Split
from mmtf.data.holdout import held_out
from mmtf.errors import UserError
from mmtf.modality import Modality


def paired(mask=None):
    """Ten values of a, four examples each; b repeats in all of them."""
    rows = {"a": np.repeat(np.arange(10), 4), "b": np.tile(np.arange(5), 8)}
    split = Split({"a": np.zeros((10, 2)), "b": np.zeros((5, 2))}, rows, np.arange(40), mask)
    return MultimodalData("arrays", (Modality("a", (2,)), Modality("b", (2,))), split, split, ())


def test_values_of_the_first_modality_are_on_one_side():
    data = paired()
    rest, examples = held_out(data, 6, seed=0)
    assert len(examples) == 6
    assert not set(rest.train.rows["a"]) & set(examples.rows["a"])
    assert len(rest.train) == 40 - 8  # two values of a, all of whose examples are gone
    assert set(rest.train.label) | set(examples.label) < set(data.train.label)
    assert len(rest.test) == 40
    again = held_out(data, 6, seed=0)[1]
    np.testing.assert_array_equal(examples.label, again.label)
    assert any(set(held_out(data, 6, seed=s)[1].label) != set(examples.label) for s in (1, 2))


def test_examples_without_the_first_modality_stand_alone():
    """All of them point at row 0 of its pool, and are no more the same for it."""
    there = np.arange(40) < 4
    data = paired({"a": there, "b": np.ones(40, bool)})
    data.train.rows["a"][:] = 0
    rest, examples = held_out(data, 10, seed=0)
    assert (len(examples), len(rest.train)) in [(10, 30), (10, 27), (10, 28), (10, 29)]
    assert there[rest.train.label].sum() in (0, 4)


def test_some_must_be_left_to_train_on():
    data = from_arrays({name: np.random.default_rng(0).normal(size=(30, 3)) for name in "ab"})
    for count in (len(data.train), 10**6):
        with pytest.raises(UserError, match=f"--validation_examples={count} of .* lower it"):
            held_out(data, count, 0)
