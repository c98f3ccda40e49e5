"""One small exported model for all tests of what lies beside a SavedModel and of how it is asked."""

import sys

import pytest
import small_served
import tensorflow as tf
from checkout import ROOT

# Scripts, which belong to no package.
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "docs/examples")]


@pytest.fixture(scope="session")
def small_run(place):
    return small_served.run(place)


@pytest.fixture(scope="session")
def small_export(place):
    """The directory of the run's first version."""
    return small_served.exported(place)


@pytest.fixture(scope="session")
def loaded(small_export):
    """Once for all: the first call of each signature optimises its graph, which takes longer than the call."""
    return tf.saved_model.load(str(small_export))
