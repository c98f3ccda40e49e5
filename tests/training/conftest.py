"""What the tests of training read."""

import pytest
import small_runs
import watched as watched_run


@pytest.fixture(scope="session")
def watched(place):
    """A run with everything on: see tests/support/watched.py."""
    return watched_run.watched(place)


@pytest.fixture(scope="module")
def data():
    return small_runs.arrays()
