"""The run that TensorBoard shows, its model and its data."""

import pytest
import watched as watched_run

from mmtf.data import record
from mmtf.verbs import evaluate


@pytest.fixture(scope="module")
def model(watched):
    return evaluate.load_model(watched)[0]


@pytest.fixture(scope="module")
def data(watched):
    return record.restored(watched, watched_run.data())
