"""A session of training: the stretches of epochs that are left of a run."""

import pytest

from mmtf.training import session


@pytest.mark.parametrize(
    ("first", "steps", "expected"),
    [
        (0, 25, [(0, 2, 10), (2, 1, 5)]),
        (10, 25, [(1, 1, 10), (2, 1, 5)]),
        (13, 25, [(1, 1, 7), (2, 1, 5)]),
        (13, 18, [(1, 1, 5)]),
        (23, 25, [(2, 1, 2)]),
        (4, 40, [(0, 1, 6), (1, 3, 10)]),
        (0, 20, [(0, 2, 10)]),
    ],
)
def test_epochs_end_where_those_of_an_uninterrupted_run_do(first, steps, expected):
    assert session.stretches(first, steps, 10) == expected
