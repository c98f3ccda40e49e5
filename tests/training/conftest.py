"""What the tests of training read."""

import pytest
import small_runs


@pytest.fixture(scope="module")
def data():
    return small_runs.arrays()
