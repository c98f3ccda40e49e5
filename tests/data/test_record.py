"""What a run was trained on comes back from its directory, whatever the loader would pair today."""

import dataclasses
import json

import numpy as np
import pytest

from mmtf.config import Config
from mmtf.data import record
from mmtf.data.dataset import MultimodalData, Split
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.runs import RunDirectory

MODALITIES = (Modality("a", (2,), "normal"), Modality("b", (1,), "categorical", num_classes=4))


def split(seed, n=500, masked=False):
    rng = np.random.default_rng(seed)
    pools = {"a": np.arange(80, dtype=np.float32).reshape(40, 2), "b": np.arange(4)[:, None]}
    rows = {"a": rng.integers(0, 40, n), "b": rng.integers(0, 4, n)}
    mask = {"a": rng.uniform(size=n) < 0.5, "b": np.ones(n, bool)} if masked else None
    return Split(pools, rows, rng.integers(0, 10, n), mask)


def data(seed, **options):
    return MultimodalData("toy", MODALITIES, split(seed, **options), split(seed + 1), ("x", "y"), {"a": "made up: 40 examples"})


@pytest.fixture
def run(tmp_path):
    def begin(of):
        directory = RunDirectory.claim(tmp_path / "run", Config())
        directory.begin(Config(), MODALITIES, record.files(of))
        return directory

    return begin


@pytest.mark.parametrize("masked", [False, True])
def test_the_saved_pairing_comes_back_and_not_today_s(run, masked):
    original, today = data(0, masked=masked), data(7)
    found = record.restored(run(original), today)
    for part in ("train", "test"):
        then, now = getattr(original, part), getattr(found, part)
        np.testing.assert_array_equal(now.label, then.label)
        for name in ("a", "b"):
            np.testing.assert_array_equal(now.rows[name], then.rows[name])
            assert now.pools[name] is getattr(today, part).pools[name]
    assert (found.train.mask is None) == (not masked)
    if masked:
        np.testing.assert_array_equal(found.train.mask["a"], original.train.mask["a"])


def test_many_labels_and_none_come_back(run):
    attributes = np.random.default_rng(0).integers(0, 2, (500, 3))
    original = dataclasses.replace(
        data(0), train=dataclasses.replace(split(0), label=attributes), test=dataclasses.replace(split(1), label=None)
    )
    found = record.restored(run(original), original)
    np.testing.assert_array_equal(found.train.label, attributes)
    assert found.test.label is None


def test_other_values_are_refused_by_name(run):
    directory = run(data(0))
    other = data(0)
    other.test.pools["b"][2, 0] = 3
    with pytest.raises(UserError, match=r"The test values of b are not those that .* was trained on .*--data_dir"):
        record.restored(directory, other)


def test_a_damaged_or_missing_pairing_is_named(run):
    directory = run(data(0))
    path = directory.path / "pairing.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"pairing.npz is damaged or missing"):
        record.restored(directory, data(0))
    path.unlink()
    with pytest.raises(UserError, match=r"pairing.npz is damaged or missing"):
        record.restored(directory, data(0))


def test_the_description_names_sources_and_counts_and_no_folder(run):
    found = json.loads((run(data(0)).path / "data.json").read_text())
    assert found["sources"] == {"a": "made up: 40 examples"}
    assert found["examples"] == {"train": 500, "test": 500}
    assert found["classes"] == ["x", "y"]


def test_a_million_pairs_take_a_few_megabytes():
    rng = np.random.default_rng(0)
    n = 1_000_000
    pools = {"a": np.zeros((60_000, 2), np.float32), "b": np.zeros((73_257, 1), np.int32)}
    rows = {"a": np.tile(np.arange(n // 20), 20), "b": rng.integers(0, 73_257, n)}
    large = dataclasses.replace(data(0), train=Split(pools, rows, rng.integers(0, 10, n)))
    assert len(record.files(large)["pairing.npz"]) < 6e6
