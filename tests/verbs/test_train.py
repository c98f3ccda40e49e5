"""The first verb: what a run leaves, how it goes on, on which devices, and what is refused before anything is lost."""

import dataclasses

import numpy as np
import pytest
import toys
from shared import copied
from small_runs import arrays, assert_alike, assert_equal, assert_saved_alike, config, saved, steps

from mmtf import registry
from mmtf.config import Config, DataConfig, TrainConfig
from mmtf.data import record
from mmtf.distributed import platform, strategies
from mmtf.errors import UserError
from mmtf.runs import RunDirectory, events
from mmtf.runs.checkpoint import Checkpoints
from mmtf.runs.same_run import differences
from mmtf.tensorboard import histograms, projector
from mmtf.training.plan import plan
from mmtf.verbs import evaluate, train


@pytest.fixture(scope="module")
def data():
    return arrays()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data):
    """Four steps, in two epochs."""
    return train.train(config(4, histograms_every=2), tmp_path_factory.mktemp("runs") / "finished", data=data)


def test_a_run_leaves_its_config_record_and_checkpoints(finished, data):
    found = finished.read_json("training.json")
    assert found["planned_steps"] == found["steps"] == 4
    # Both are rounded.
    assert found["steps"] / found["steps_per_second"] == pytest.approx(found["seconds"], abs=0.02)
    assert finished.config() == config(4, histograms_every=2)
    assert [m.private_dim for m in finished.modalities()] == [2, 2]
    assert sorted(p.name for p in finished.checkpoints.iterdir()) == ["step-2", "step-4"]
    assert finished.read_json("data.json")["examples"] == {"train": 72, "test": 18}
    assert_equal(record.restored(finished, data).train.rows, data.train.rows)


def test_checkpoints_have_the_whole_optimizer(finished):
    model, step = evaluate.load_model(finished)
    assert step == 4
    # Adam: two averages per weight, its step and its rate.
    assert len(saved(finished)) == len(model.weights) + 2 * len(model.trainable_variables) + 2
    assert Checkpoints(finished.checkpoints, model.named_weights()).steps == [2, 4]
    assert_equal({name: v.numpy() for name, v in model.named_weights().items()}, weights_of(finished))


def weights_of(run, step=None):
    return {name: value for name, value in saved(run, step).items() if not name.startswith("optimizer")}


def test_a_run_is_made_longer_as_if_it_had_been_so_from_the_start(tmp_path, finished, data):
    """With the pairs that it began with, were they drawn otherwise today. The whole one died before its first checkpoint."""
    longer = config(6, histograms_every=2)
    whole = RunDirectory.claim(tmp_path / "whole", longer)
    whole.begin(longer, (), record.files(data))
    train.train(longer, whole.path, data=data, resume=True)
    # The same seed gives the same weights.
    assert_saved_alike(saved(finished, 2), saved(whole, 2))
    assert_saved_alike(saved(finished, 4), saved(whole, 4))
    run = copied(finished, tmp_path / "run")
    with pytest.raises(UserError, match="already has 4 steps, and 4 were asked for"):
        train.train(finished.config(), run.path, data=data, resume=True)
    order = np.random.default_rng(5).permutation(len(data.train))
    train.train(longer, run.path, data=dataclasses.replace(data, train=data.train.at(order)), resume=True)
    assert steps(run) == [2, 4, 6]
    assert_alike(whole, run)


def test_a_refused_overwrite_loses_nothing_and_another_seed_gives_other_weights(tmp_path, finished, data):
    run = copied(finished, tmp_path / "run")
    for refused in (config(2, batch_size=2000), config(2, {"likelihood_weights": "c=2"})):
        with pytest.raises(UserError):
            train.train(refused, run.path, data=data, overwrite=True)
        assert run.config() == finished.config()
        assert differences(finished.path, run.path) == []
    train.train(config(2, seed=1), run.path, data=data, overwrite=True)
    assert steps(run) == [2]
    first, other = weights_of(finished, 2), weights_of(run, 2)
    assert all(not np.allclose(value, other[name]) for name, value in first.items() if value.std() > 0)


def test_several_devices_train_resume_draw_and_are_watched_as_one(tmp_path, finished, data):
    """The whole run under MirroredStrategy, panels and checkpoints included; the same weights as on one device."""
    how = {"strategy": "mirrored", "panels_every": 2, "histograms_every": 2, "embeddings_every": 2, "steps_per_execution": 1}
    run = train.train(config(2, **how), tmp_path / "two", data=data)
    train.train(config(4, **how), run.path, data=data, resume=True)
    assert list(run.logs.glob("*.panels"))
    assert (run.logs / projector.FOLDER).is_dir()
    for name, weight in weights_of(finished).items():
        np.testing.assert_allclose(weights_of(run)[name], weight, rtol=1e-3, atol=1e-4, err_msg=name)
    norms, wanted = (events.read_scalars(r.logs / histograms.FOLDER) for r in (run, finished))
    assert "gradient_norm/encoder.a" in wanted
    for name, (at, values) in wanted.items():
        assert norms[name][0] == at == [4]
        np.testing.assert_allclose(norms[name][1], values, rtol=2e-2, err_msg=name)


def test_what_a_mask_hides_may_be_no_number_and_examples_that_lack_modalities_are_trained_on(tmp_path, data):
    """A tenth of the examples have both modalities."""
    there = np.arange(len(data.train)) % 10
    pools = {name: pool.copy() for name, pool in data.train.pools.items()}
    pools["a"][there > 5] = np.nan
    holed = dataclasses.replace(data.train, pools=pools, mask={"a": there <= 5, "b": (there == 0) | (there > 5)})
    run = train.train(config(4), tmp_path / "run", data=dataclasses.replace(data, train=holed))
    assert all(np.all(np.isfinite(value)) for value in saved(run).values())
    assert np.isfinite(events.read_scalars(run.logs)["loss"][1]).all()
    shown = dataclasses.replace(holed, mask=None)
    with pytest.raises(UserError, match="a: wanted finite values"):
        train.train(config(4), tmp_path / "refused", data=dataclasses.replace(data, train=shown))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"model": "mmjds"}}, "Unknown --model='mmjds'.*Did you mean 'mmjsd'"),
        ({"model": {"private_weights": "c=2"}}, "names 'c', but the modalities are a, b"),
        ({"batch_size": 100}, "--batch_size=100 is more than the 72 training examples"),
        ({"steps": 0, "epochs": 3, "batch_size": 36, "profile_steps": "6,7"}, "--profile_steps=6,7 is beyond the 6 steps"),
        ({"batch_size": 15, "strategy": "mirrored"}, "cannot be shared evenly by 2 devices"),
        (
            {"batch_size": 1, "strategy": "mirrored"},
            "^--batch_size=1 cannot be shared evenly by 2 devices; choose a multiple of 2",
        ),
        (
            {"model": {"model": "mmali"}, "batch_size": 2, "strategy": "mirrored"},
            "^--batch_size=2 gives a device 1 examples, but an adversarial model takes 2 or more",
        ),
        ({"model": {"model": "mmali"}, "batch_size": 40}, "--batch_size=40, 2 times in each step, is more than the 72"),
        ({"microbatch": 5}, "--microbatch=5 does not divide the 8 examples"),
        ({"strategy": "mirrored", "microbatch": 8}, "--microbatch=8 does not divide the 4 examples"),
        (
            {"model": {"contrast": "iwae", "contrast_negatives": 4}, "strategy": "mirrored"},
            "--contrast_negatives=4 other examples must be on the same device, to which --batch_size=8 gives 4",
        ),
        ({"model": {"model": "mmvae_plus", "private_dim": 0}}, "mmvae_plus is about private codes, and a has none"),
        ({"coherence_every": 1}, "--coherence_every does nothing for arrays, which has no labels"),
    ],
)
def test_bad_configs_are_refused_before_anything_is_written(tmp_path, data, changes, message):
    """Each epoch has as many steps as the data allow, which is known when they are there."""
    changes = dict(changes)
    with pytest.raises(UserError, match=message):
        train.train(config(changes.pop("steps", 2), **changes), tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()


def test_an_adversarial_model_without_complete_examples_is_refused(tmp_path):
    none = arrays(masks={"a": np.arange(90) < 40, "b": np.arange(90) >= 40})
    with pytest.raises(UserError, match="has all of a, b: an adversarial model needs some complete ones"):
        train.train(config(2, {"model": "mmali"}), tmp_path / "run", data=none)
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_loaded_leaves_no_directory(tmp_path):
    with pytest.raises(UserError, match=r"holds no NAME\.npy"):
        train.train(Config(data=DataConfig("arrays", data_dir=str(tmp_path))), tmp_path / "run")
    with pytest.raises(UserError, match="Unknown --dataset='digit'.*Did you mean 'digits'"):
        DataConfig("digit")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"epochs": 3}, (3 * 109, 100)),
        ({"steps": 25}, (25, 20)),
        ({"steps": 7}, (7, 7)),
        ({"steps": 100, "steps_per_epoch": 35}, (100, 30)),
        ({"steps": 100, "steps_per_epoch": 3}, (100, 3)),
    ],
)
def test_epochs_end_where_executions_end(options, expected):
    """28,000 examples in batches of 256 are 109 steps. Keras would overrun an epoch by the rest of an execution."""
    assert plan(TrainConfig(batch_size=256, steps_per_execution=10, **options), 28_000) == expected


@pytest.mark.parametrize(
    ("flag", "setting"), [({"deterministic": True}, "be_deterministic"), ({"microbatch": 4}, "leave_sums_as_they_are")]
)
def test_what_a_flag_asks_of_the_whole_process_is_done(monkeypatch, tmp_path, data, flag, setting):
    """It cannot be undone, hence not here."""

    def asked():
        raise NotImplementedError(setting)

    monkeypatch.setattr(platform, setting, asked)
    with pytest.raises(NotImplementedError, match=setting):
        train.train(config(2, **flag), tmp_path / "run", data=data)


def test_optimizers_are_as_the_config_says():
    model = toys.model(count=2)
    how = config(30, learning_rate=0.25, adam_beta_1=0.5, learning_rate_schedule="cosine", steps_per_execution=10).train
    train.compile_model(model, how, 30, 8, strategies.make_strategy("one"))
    optimizer = model.optimizer
    assert (optimizer.beta_1, model.steps_per_execution) == (0.5, 8)
    assert optimizer.built
    for step, wanted in ((0, 0.25), (15, 0.125), (30, 0.0)):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(wanted, abs=1e-7)


@pytest.mark.slow
def test_a_run_on_the_digits_is_resumed_with_the_pairs_that_it_began_with(tmp_path, monkeypatch, digits_run):
    """Were pairs drawn otherwise today (a newer NumPy), the resumed run still repeats the uninterrupted one."""
    longer = dataclasses.replace(digits_run.config(), train=dataclasses.replace(digits_run.config().train, steps=3))
    whole = train.train(longer, tmp_path / "whole")
    load = registry.load_data

    def otherwise(settings):
        data = load(settings)
        return dataclasses.replace(data, train=data.train.at(np.random.default_rng(5).permutation(len(data.train))))

    monkeypatch.setattr(registry, "load_data", otherwise)
    run = copied(digits_run, tmp_path / "run")
    train.train(longer, run.path, resume=True)
    assert_saved_alike(saved(whole), saved(run))
