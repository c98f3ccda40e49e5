"""No test here is about graphs, which an evaluation of a run (tests/verbs/test_evaluate.py) has."""

import pytest
from small_evaluations import eagerly


@pytest.fixture(autouse=True, scope="module")
def _eager():
    with eagerly():
        yield
