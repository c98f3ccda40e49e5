"""Runs and exports of earlier versions: loaded, resumed, evaluated, exported and served as they were."""

import dataclasses
import shutil

import earlier
import numpy as np
import pytest
from small_runs import assert_saved_alike, saved

from mmtf.errors import UserError
from mmtf.runs import RunDirectory
from mmtf.verbs.evaluate import evaluate
from mmtf.verbs.export import export
from mmtf.verbs.load import load_model
from mmtf.verbs.train import train

VERSIONS = sorted(earlier.FIXTURES.glob("*.tar.xz"))
KINDS = [(version, kind) for version in VERSIONS for kind in earlier.CONFIGS]

pytestmark = pytest.mark.parametrize(("version", "kind"), KINDS, ids=lambda x: getattr(x, "name", x))


@pytest.fixture
def old(tmp_path, version, kind):
    return earlier.unpacked(version, tmp_path) / kind


def same(found, path):
    kept = dict(np.load(path))
    assert set(found) == set(kept)
    for name, x in found.items():
        np.testing.assert_allclose(x, kept[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_run_is_loaded_and_its_model_answers_as_before(old, kind):
    run = RunDirectory.open(old / "run")
    assert run.config() == run.as_began(earlier.CONFIGS[kind])
    assert run.config().train.adam_form == "keras"
    with earlier.narrow():
        model, step = load_model(run)
    assert step == 4
    same(earlier.answers(model), old / "answers.npz")


def test_an_export_is_served_as_before(old):
    same(earlier.served(old / "export/1"), old / "served.npz")


def with_epsilon(config, epsilon):
    return dataclasses.replace(config, train=dataclasses.replace(config.train, adam_epsilon=epsilon))


@pytest.mark.slow
def test_a_run_is_resumed_evaluated_and_exported(old, kind, tmp_path, monkeypatch):
    monkeypatch.setenv("MMTF_CACHE_DIR", str(tmp_path / "cache"))
    run = RunDirectory.open(old / "run")
    finished, measured = saved(run, 4), run.read_json("metrics.json")
    # As though it had been killed after its second step.
    shutil.rmtree(run.checkpoints / "step-4")
    with earlier.narrow():
        with pytest.raises(UserError, match="--adam_epsilon was 1e-07 and is 0.001"):
            train(with_epsilon(earlier.CONFIGS[kind], 1e-3), run.path, data=earlier.data(), resume=True)
        train(earlier.CONFIGS[kind], run.path, data=earlier.data(), resume=True)
        assert "adam_form" not in run.read_json("config.json")["train"]
        assert_saved_alike(saved(run, 4), finished)
        found = evaluate(run.path, earlier.PARTS, data=earlier.data())
        same(earlier.served(export(run.path, tmp_path / "exports")), old / "served.npz")
    assert set(measured) <= set(found)
    assert found["test_terms"] == pytest.approx(measured["test_terms"], rel=1e-3)
    assert (run.path / "report.html").exists()
