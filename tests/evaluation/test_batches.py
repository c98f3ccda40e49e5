"""Which examples are independent of one another, and what that does to standard errors."""

import numpy as np
import pytest

from mmtf.data.dataset import Split
from mmtf.evaluation import batches


def test_standard_errors_count_independent_examples():
    there = {"a": np.arange(100) < 100, "b": np.arange(100) < 25}
    test = Split({}, dict.fromkeys(there, np.arange(100)), np.zeros(100, int), there)
    hits = np.arange(100) % 2 == 0
    whole, part = (batches.share_of_examples(hits[test.has(names)], test.at(test.has(names))) for names in ("a", "ab"))
    assert (whole.standard_error, part.standard_error) == (0.05, pytest.approx(0.1, abs=1e-3))
    # Four pairings of each of 25 values, which are hits or not together: as many as there are values.
    rows = np.arange(100) // 4
    paired = Split({}, {"a": rows, "b": np.arange(100)}, np.zeros(100, int))
    assert batches.share_of_examples(rows % 2 == 0, paired).standard_error == pytest.approx(0.1, rel=0.03)


def test_an_example_without_the_first_modality_is_a_source_of_its_own():
    """What stands in its row is nobody's value."""
    rows = {"a": np.array([0, 1, 1, 0, 0, 0]), "b": np.arange(6)}
    test = Split({}, rows, None, {"a": np.array([1, 1, 1, 0, 0, 0], bool), "b": np.ones(6, bool)})
    assert [np.count_nonzero(s == batches.sources(test)) for s in batches.sources(test)] == [1, 2, 2, 1, 1, 1]
    assert batches.sources(test.at(np.array([0, 1, 3, 4, 5]))) is None


def test_batches_are_filled_up_where_an_example_stands_for_itself(monkeypatch):
    """Else its result would depend on what fills them; the results are those of the examples all the same."""
    monkeypatch.setattr(batches, "BATCH", 4)
    test, sizes = Split({"a": np.arange(10.0)}, {"a": np.arange(10)}, None), []

    def doubled(batch, number):
        values, mask = batch
        sizes.append((number, len(values["a"])))
        assert mask is None
        return {"twice": 2 * np.asarray(values["a"])}

    for alone, last in ((True, 4), (False, 2)):
        sizes.clear()
        np.testing.assert_array_equal(batches.in_batches(test, doubled, alone=alone)["twice"], 2 * np.arange(10.0))
        assert sizes == [(0, 4), (1, 4), (2, last)]
