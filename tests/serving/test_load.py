"""A small load test of a few signatures: what is measured, what counts as a failure, and what is asked at random."""

import types

import numpy as np
import pytest
import serving as load
import tensorflow as tf
from checkout import call

from mmtf.modality import Modality


@pytest.fixture(scope="module")
def some(loaded):
    """Of everything that can be asked: numbers alone, embeddings, values, and bytes with masks."""
    return {name: loaded.signatures[name] for name in ("generate", "compare", "encode_text_raw", "encode_any_raw")}


@pytest.fixture(scope="module")
def modalities(small_export):
    return load.modalities_of(small_export)


def test_the_modalities_are_those_of_the_model(small_run, modalities):
    assert tuple(modalities.values()) == small_run.modalities()


def test_a_small_load_has_no_error_and_a_row_for_each_signature(some, modalities, monkeypatch):
    monkeypatch.setattr(load, "LARGEST_BATCH", 4)
    found = load.measured(some, modalities, 12, threads=4, warm_up=1)
    assert found.errors == []
    assert [row[0] for row in found.rows] == sorted(some)
    assert [row[1] for row in found.rows] == [3] * len(some)
    assert found.requests == 12
    for _, _, median, high, highest, per_second in found.rows:
        assert 0 < median <= high <= highest
        assert per_second > 0
    assert len(found.resident) == 11
    assert f"| `{found.rows[0][0]}` | 3 |" in load.table(found)


def test_a_load_counts_what_fails(some, modalities, monkeypatch):
    some = {name: some[name] for name in ("generate", "compare", "encode_any_raw")}
    monkeypatch.setattr(load, "_other", lambda name, spec, size, rng: np.zeros([size if d is None else d for d in spec.shape]))
    found = load.measured(some, modalities, 30, threads=2, warm_up=0)
    assert len(found.errors) == 20
    assert {error.partition(":")[0] for error in found.errors} == {"generate", "compare"}
    assert any("n: wanted 1 or more, but it is 0" in error for error in found.errors)
    # What failed at the door was answered no faster.
    assert [row[:2] for row in found.rows] == [("encode_any_raw", 10)]
    assert "30 requests in" in load.table(found)
    assert "20 errors" in load.table(found)


def test_failed_requests_are_a_problem_of_the_benchmark():
    assert load.problems({"errors": []}) == []
    assert load.problems({"errors": ["generate: no", "compare: no"]}) == [
        "Serving: 2 of the requests failed, the first: generate: no"
    ]


def test_memory_that_cannot_be_read_is_not_called_small(some, modalities, monkeypatch):
    monkeypatch.setattr(load, "resident_bytes", lambda: None)
    found = load.measured({"generate": some["generate"]}, modalities, 10, threads=1, warm_up=1)
    assert found.growth is None
    assert "memory was not measured" in load.table(found)


def test_a_code_that_is_called_like_a_modality_is_asked_as_a_code():
    modalities = {"shared": Modality("shared", (2, 2, 1))}
    spec = {"shared": tf.TensorSpec([None, 4], name="shared")}
    function = types.SimpleNamespace(structured_input_signature=((), spec))
    inputs, size = load.request(function, modalities, np.random.default_rng(0))
    assert inputs["shared"].shape == (size, 4)


def test_random_requests_are_of_every_set_of_modalities_and_filled_with_what_nothing_may_depend_on(loaded, modalities):
    rng = np.random.default_rng(0)
    inputs = [load.request(loaded.signatures["encode_any"], modalities, rng)[0] for _ in range(20)]
    masks = np.concatenate([np.stack([x[f"present_{n}"] for n in modalities], 1) for x in inputs])
    assert len(np.unique(masks, axis=0)) == 7
    for x in inputs:
        there = x["present_image"].numpy()
        assert np.isnan(x["image"].numpy()[~there]).all()
        assert not np.isnan(x["image"].numpy()[there]).any()


def test_the_script_wants_a_version_of_an_exported_model(tmp_path):
    def said():
        done = call("scripts/load_test.py", f"--model_dir={tmp_path}")
        return done.stderr if done.returncode == 2 else done

    assert "holds no SavedModel" in said()
    (tmp_path / "saved_model.pb").touch()
    assert "(assets.extra/mmtf.json); name a version" in said()
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra/mmtf.json").write_text('{"modalities": [')
    assert "export the model again" in said()


def test_a_limit_on_memory_is_refused_where_memory_cannot_be_read(small_export, monkeypatch):
    monkeypatch.setattr(load, "resident_bytes", lambda: None)
    done = call("scripts/load_test.py", f"--model_dir={small_export}", "--grown_mb=5")
    assert (done.returncode, "--grown_mb cannot be kept here" in done.stderr) == (2, True)
