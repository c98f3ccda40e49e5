"""Torn tuples: rows of different examples, every row used once, and the same whether one device or two hold the batch."""

import numpy as np
import pytest

from mmtf.models.gan.tuples import Tuples, block_size, exchanged


@pytest.mark.parametrize("rows", [4, 8, 64, 7, 9, 5])
@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_no_two_modalities_of_a_torn_tuple_are_of_one_example(rows, modalities):
    block = block_size(modalities)
    places = np.stack([exchanged(np.arange(rows), shift, block) for shift in range(modalities)])
    for one in range(modalities):
        for other in range(one):
            assert np.all(places[one] != places[other])


@pytest.mark.parametrize("rows", [2, 3, 4, 8, 11, 64])
def test_each_row_is_used_once(rows):
    for shift in range(3):
        np.testing.assert_array_equal(np.sort(exchanged(np.arange(rows), shift, 4)), np.arange(rows))


def test_halves_of_a_batch_are_exchanged_as_in_the_whole():
    rows = np.random.default_rng(0).normal(size=(16, 3, 2))
    whole = exchanged(rows, 2, 4)
    np.testing.assert_array_equal(np.concatenate([exchanged(rows[:8], 2, 4), exchanged(rows[8:], 2, 4)]), whole)


def test_without_a_shift_all_stays():
    np.testing.assert_array_equal(exchanged(np.arange(10), 0, 4), np.arange(10))


@pytest.mark.parametrize(("modalities", "size"), [(2, 4), (4, 4), (5, 8), (9, 16)])
def test_blocks_hold_a_row_for_each_modality(modalities, size):
    assert block_size(modalities) == size


def test_codes_take_the_private_one_of_the_value_and_the_shared_one_of_whom_is_asked():
    tuples = Tuples({}, {"a": np.ones((2, 1))}, {"a": np.full((2, 2), 2.0), "b": np.full((2, 2), 3.0)})
    np.testing.assert_array_equal(tuples.codes("a"), [[1, 2, 2]] * 2)
    np.testing.assert_array_equal(tuples.codes("a", "b"), [[1, 3, 3]] * 2)
