"""What `import mmtf` offers: lazily, with keywords for flags, for own networks and models in memory too."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import small_runs
from checkout import ROOT, environment

import mmtf
from mmtf.verbs import evaluate as evaluating

QUICK = {"batch_size": 8, "steps_per_epoch": 2, "steps_per_execution": 1, "panels_every": 0, "strategy": "one"}
SIZES = {"shared_dim": 2, "private_dim": 2}
PARTS = {"parts": "terms,codes", "test_examples": 20}


@pytest.fixture(scope="module")
def data():
    return small_runs.arrays()


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
    """Pictures have tests of their own, and take longer than all else here."""
    for name in ("of_codes", "of_model"):
        monkeypatch.setattr(evaluating.model_figures, name, lambda *given: {})
    monkeypatch.setattr(evaluating.page, "write", lambda run: None)


def encoder(units=5):
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, "tanh", name="own")], name="own_encoder")


def decoder():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="own_decoder")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A run with an encoder of its own for one modality, and a decoder of its own for the other."""
    folder = tmp_path_factory.mktemp("public") / "run"
    return mmtf.train(data, run_dir=folder, steps=2, encoders={"a": encoder()}, decoders={"b": decoder()}, **SIZES, **QUICK)


def test_importing_the_package_finds_nothing_before_it_is_asked_for():
    program = (
        "import sys, mmtf; assert not {'tensorflow', 'keras', 'sklearn', 'numpy'} & set(sys.modules);"
        "mmtf.Config(), mmtf.Modality('a', (3,)), mmtf.UserError; assert 'tensorflow' not in sys.modules;"
        "assert set(mmtf.__all__) <= set(dir(mmtf))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environment())


def test_every_name_is_there():
    for name in mmtf.__all__:
        assert getattr(mmtf, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'mmtf' has no attribute 'trian'"):
        mmtf.trian  # noqa: B018


def test_a_run_is_loaded_evaluated_and_exported_with_its_own_networks(run, data, tmp_path):
    model = mmtf.load(run)
    assert [layer.name for layer in model.coders.encoders["a"].layers] == ["own"]
    assert model.coders.encoders["b"].layers[-1].units != 5
    metrics = mmtf.evaluate(run, data=data, **PARTS)
    assert metrics == run.read_json("metrics.json")
    assert mmtf.evaluate(str(run.path), data=data, **PARTS) == metrics
    exported = mmtf.load(mmtf.export(run, tmp_path / "exports"))
    values = data.test.take(range(4))
    for found in (exported, mmtf.load(tmp_path / "exports"), mmtf.load(str(run.path))):
        np.testing.assert_array_equal(found.posterior(values).mean(), model.posterior(values).mean())
        np.testing.assert_array_equal(found.reconstruct(values)["b"], model.reconstruct(values)["b"])


def test_a_run_goes_on_with_its_own_networks_and_no_others(run, data):
    with pytest.raises(mmtf.UserError, match="trained with other networks than those given"):
        mmtf.train(data, run_dir=run.path, resume=True, steps=4, encoders={"a": encoder(6)}, **SIZES, **QUICK)
    mmtf.train(data, run_dir=run.path, resume=True, steps=4, **SIZES, **QUICK)
    assert run.read_json("training.json")["steps"] == 4
    assert [layer.name for layer in mmtf.load(run).coders.encoders["a"].layers] == ["own"]


def test_a_model_that_was_built_by_hand_is_trained_evaluated_and_exported(data, tmp_path):
    modalities = data.modalities
    model = mmtf.MMJSD(modalities, {"a": encoder()}, shared_dim=2, beta=2.5, seed=3)
    before = {name: np.array(v) for name, v in model.named_weights().items()}
    metrics = mmtf.evaluate(model, data=data, output=tmp_path / "evaluated", **PARTS)
    assert metrics["step"] == 0
    assert mmtf.RunDirectory.open(tmp_path / "evaluated").config().model.beta == 2.5
    values = data.test.take(range(4))
    loaded = mmtf.load(mmtf.export(model, tmp_path / "exports"))
    np.testing.assert_array_equal(loaded.posterior(values).mean(), model.posterior(values).mean())
    run = mmtf.train(data, model=model, run_dir=tmp_path / "run", steps=2, learning_rate=1e-9, **QUICK)
    for name, value in mmtf.load(run).named_weights().items():
        np.testing.assert_allclose(value, before[name], atol=1e-7, err_msg=name)


def test_a_whole_config_may_be_given(data, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr("mmtf.verbs.train.train", lambda *given, **how: asked.update(given=given, how=how))
    mmtf.train(small_runs.config(), run_dir=tmp_path, data=data, resume=True)
    assert asked["given"] == (small_runs.config(), tmp_path)
    assert asked["how"]["data"] is data
    assert asked["how"]["resume"]
    mmtf.train("digits", model="mvae", run_dir=tmp_path, beta=2.0, pairings=3, steps=7)
    config = asked["given"][0]
    assert (config.data.dataset, config.data.pairings, config.model.model, config.model.beta) == ("digits", 3, "mvae", 2.0)
    assert (config.train.steps, asked["how"]["data"]) == (7, None)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"shard_dim": 3}, "no option 'shard_dim' here. Did you mean shared_dim?"),
        ({"run_dir": None}, "wants a directory to write to"),
        ({"model": "mmjds"}, "Unknown --model='mmjds'.*Did you mean 'mmjsd'?"),
        ({"prior_weight": 0.5, "model": "mvae"}, "--prior_weight does nothing for --model=mvae"),
        ({"encoders": {"c": encoder()}, **QUICK}, "encoders has a network for 'c', but the modalities are a, b"),
        ({"dataset": "digits"}, "no option 'dataset' here"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_nothing_is_written(data, tmp_path, how, message):
    with pytest.raises(mmtf.UserError, match=message):
        mmtf.train(data, **{"run_dir": tmp_path / "run"} | how)
    assert not (tmp_path / "run").exists()


def test_data_that_are_none_are_refused(data, tmp_path):
    with pytest.raises(mmtf.UserError, match=r"not dict; for a dict of arrays call mmtf\.train\(mmtf\.from_arrays"):
        mmtf.train({"a": np.zeros((9, 3))}, run_dir=tmp_path / "run")
    with pytest.raises(mmtf.UserError, match="train wants data"):
        mmtf.train(run_dir=tmp_path / "run")
    model = mmtf.MMJSD(data.modalities, shared_dim=2)
    with pytest.raises(mmtf.UserError, match=r"evaluate\(model, data=data\)"):
        mmtf.evaluate(model)
    with pytest.raises(mmtf.UserError, match="no option 'part' here. Did you mean parts?"):
        mmtf.evaluate(model, data=data, part="probe")
    with pytest.raises(mmtf.UserError, match="holds no run"):
        mmtf.load(tmp_path / "nothing")
