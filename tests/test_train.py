"""Training as a user does it: on the embedded digits, killed, resumed, broken."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import tensorflow as tf
import toys
from absl import flags
from checkout import CONFIGS

from mmtf import catalog, evaluate, judge, runtime, train
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays, record
from mmtf.errors import UserError
from mmtf.hyperparameters import GAMES, VAES
from mmtf.rundir import RunDirectory, events
from mmtf.rundir.checkpoint import Checkpoints
from mmtf.training import monitor, saving

DATA = DataConfig(pairings=1)
SHORT = {"batch_size": 16, "steps_per_epoch": 2, "panels_every": 0, "strategy": "one", "steps_per_execution": 2}


def config(steps=4, model="mmjsd", train_options=None, **model_options):
    options = SHORT | {"steps": steps} | (train_options or {})
    return Config(DATA, ModelConfig(model=model, shared_dim=4, **model_options), TrainConfig(**options))


def weights(run):
    model, step = evaluate.load_model(run)
    return {name: np.asarray(v) for name, v in model.named_weights().items()}, step


def assert_equal(first, second):
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train.train(config(private_dim=2), tmp_path_factory.mktemp("runs") / "finished")


def test_a_run_leaves_its_config_record_and_checkpoints(finished):
    record = finished.read_json("training.json")
    assert record["planned_steps"] == record["steps"]
    assert record["steps"] == 4
    assert record["steps_per_second"] == pytest.approx(4 / record["seconds"], rel=0.01)
    assert finished.config() == config(private_dim=2)
    assert [m.private_dim for m in finished.modalities()] == [2, 2, 2]
    assert sorted(p.name for p in finished.checkpoints.iterdir()) == ["step-2", "step-4"]


def test_tensorboard_has_every_term_under_its_own_name(finished):
    scalars = events.read_scalars(finished.logs)
    model, _ = evaluate.load_model(finished)
    assert set(model.terms_about()) <= set(scalars)
    assert {"schedule/private_weight", "schedule/learning_rate"} <= set(scalars)
    assert scalars["loss"][0] == [2, 4]
    assert scalars["schedule/shared_weight"][1][0] == pytest.approx(5.0)


def test_training_lowers_the_loss(tmp_path):
    run = train.train(config(40, train_options={"steps_per_epoch": 10, "learning_rate": 3e-3}), tmp_path / "run")
    losses = events.read_scalars(run.logs)["loss"][1]
    assert losses[-1] < 0.95 * losses[0]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path, finished):
    first, second = (train.train(config(private_dim=2, train_options={"seed": s}), tmp_path / str(s)) for s in (0, 1))
    assert_equal(weights(first)[0], weights(finished)[0])
    other = weights(second)[0]
    assert all(not np.allclose(v, other[name]) for name, v in weights(first)[0].items() if v.std() > 0)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch, schedule):
    """Broken off between two checkpoints: the steps after the last one are done again, with the same outcome."""
    options = {"learning_rate_schedule": schedule, "steps_per_execution": 1}
    wanted = config(6, private_dim=2, train_options=options, warmup_steps=5, private_beta_start=9.0)
    whole = train.train(wanted, tmp_path / "whole")
    calls = itertools.count(1)

    def power_cut(self, batch, logs=None):
        if next(calls) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(monitor.Scalars, "on_train_batch_end", power_cut)
        train.train(wanted, tmp_path / "cut")
    cut = RunDirectory.open(tmp_path / "cut")
    assert weights(cut)[1] == 4
    train.train(wanted, cut.path, resume=True)
    assert_equal(weights(whole)[0], weights(cut)[0])
    assert weights(cut)[1] == 6
    assert cut.read_json("training.json")["steps"] == 6


def test_a_finished_run_can_be_made_longer(tmp_path):
    run = train.train(config(3), tmp_path / "run")
    assert weights(run)[1] == 3
    with pytest.raises(UserError, match="already has 3 steps"):
        train.train(config(3), run.path, resume=True)
    train.train(config(5), run.path, resume=True)
    whole = train.train(config(5), tmp_path / "whole")
    assert_equal(weights(whole)[0], weights(run)[0])


def test_a_run_that_died_before_its_first_checkpoint_starts_again(tmp_path):
    run = RunDirectory.claim(tmp_path / "run", config())
    run.begin(config(), (), record.files(catalog.load_data(config().data)))
    train.train(config(), run.path, resume=True)
    assert weights(run)[1] == 4


def test_a_term_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    build = catalog.build_model

    def poisoned(*args):
        model = build(*args)
        honest = model.terms

        def terms(values, mask, noise, step):
            found = honest(values, mask, noise, step)
            broken = tf.where(step >= 3, np.nan, 0.0)
            return found | {"log_likelihood/word": found["log_likelihood/word"] + broken}

        model.terms = terms
        return model

    monkeypatch.setattr(catalog, "build_model", poisoned)
    with pytest.raises(monitor.NotFiniteError, match="At step 3 .*log_likelihood/word"):
        train.train(config(8), tmp_path / "run")
    run = RunDirectory.open(tmp_path / "run")
    monkeypatch.undo()
    found, step = weights(run)
    assert step == 2
    assert all(np.all(np.isfinite(v)) for v in found.values())


def test_several_devices_train_resume_and_draw_as_one(tmp_path):
    """The whole run under MirroredStrategy, panels and checkpoints included; the same weights as on one device."""
    options = {"strategy": "mirrored", "panels_every": 1, "steps_per_execution": 1}
    run = train.train(config(2, train_options=options, private_dim=2), tmp_path / "two")
    train.train(config(4, train_options=options, private_dim=2), run.path, resume=True)
    one = train.train(config(4, private_dim=2), tmp_path / "one")
    for name, weight in weights(one)[0].items():
        np.testing.assert_allclose(weights(run)[0][name], weight, rtol=1e-3, atol=1e-4, err_msg=name)


def test_broken_weights_are_not_saved(tmp_path, monkeypatch):
    """A last update with finite terms and a gradient that is none."""
    honest = saving.Record.on_epoch_begin

    def poison(self, epoch, logs=None):
        honest(self, epoch, logs)
        if runtime.step_of(self.model.optimizer) == 2:
            self.model.coders.heads["digit"].bias.assign(
                np.full(self.model.coders.heads["digit"].bias.shape, np.inf, np.float32)
            )

    monkeypatch.setattr(saving.Record, "on_epoch_begin", poison)
    monkeypatch.setattr(monitor.StopWhenNotFinite, "on_train_batch_end", lambda self, batch, logs=None: None)
    with pytest.raises(monitor.NotFiniteError, match="made weights NaN or infinite.*last good checkpoint is step-2"):
        train.train(config(4), tmp_path / "run")
    assert weights(RunDirectory.open(tmp_path / "run"))[1] == 2


@pytest.mark.parametrize("changes", [{"train_options": {"batch_size": 2000}}, {"likelihood_weights": "wrd=2"}])
def test_a_refused_overwrite_loses_nothing(tmp_path, changes):
    run = train.train(config(2), tmp_path / "run")
    before = weights(run)[0]
    with pytest.raises(UserError):
        train.train(config(**changes), run.path, overwrite=True)
    assert run.config() == config(2)
    assert_equal(before, weights(run)[0])
    train.train(config(4), run.path, overwrite=True)
    assert weights(run)[1] == 4


@pytest.mark.parametrize("model", sorted(catalog.MODELS))
def test_every_catalog_entry_trains_and_does_what_models_do(tmp_path, model):
    run = train.train(config(2, model=model, private_dim=2, train_options={"coherence_every": 0}), tmp_path / "run")
    found, _ = evaluate.load_model(run)
    drawn = found.generate(3, (0, 1))
    again = found.translate({n: np.asarray(x)[:2] for n, x in list(drawn.items())[:1]})
    assert list(drawn) == list(found.names)
    assert list(again) == list(found.names)[1:]


def test_a_release_s_departures_are_in_the_run_s_modalities(tmp_path):
    quirks = "log_softmax_as_probabilities,unit_weights_of_single_bounds"
    run = train.train(config(2, model="mvae", quirks=quirks), tmp_path / "run")
    found, _ = evaluate.load_model(run)
    assert [m.log_softmax_as_probabilities for m in found.modalities.values()] == [False, False, True]
    assert found.weighed("only_word")["word"].likelihood_weight == 1.0
    with pytest.raises(UserError, match="does nothing here: none of digit, scene is categorical"):
        images = dataclasses.replace(DATA, modalities="digit,scene")
        only = dataclasses.replace(config(2, quirks="log_softmax_as_probabilities"), data=images)
        train.train(only, tmp_path / "images")


@pytest.mark.parametrize("model", ["mmjsd", "mvae", "jmvae"])
def test_a_contrastive_run_is_killed_and_goes_on_as_if_nothing_had_happened(tmp_path, model):
    options = {"contrast": "iwae", "contrast_negatives": 2, "importance_samples": 2, "train_options": {"microbatch": 8}}
    whole = train.train(config(4, model=model, **options), tmp_path / "whole")
    train.train(config(2, model=model, **options), tmp_path / "parts")
    parts = train.train(config(4, model=model, **options), tmp_path / "parts", resume=True)
    assert_equal(weights(whole)[0], weights(parts)[0])
    scalars = events.read_scalars(whole.logs)
    assert {"contrast", "plain_loss"} <= set(scalars)


def test_a_contrast_that_wins_is_warned_of(tmp_path, caplog):
    options = {"contrast": "cubo", "contrast_gamma": 1e-3, "importance_samples": 1, "contrast_negatives": 10}
    train.train(config(12, model="mmvae", train_options={"learning_rate": 3e-3}, **options), tmp_path / "noise")
    assert len([r for r in caplog.records if "The contrast is winning" in r.message]) == 1
    caplog.clear()
    train.train(config(12, model="mmvae", train_options={"learning_rate": 3e-3}), tmp_path / "plain")
    assert not [r for r in caplog.records if "The contrast is winning" in r.message]


def test_every_vae_of_the_catalog_is_tested():
    assert {n: e.build for n, e in catalog.MODELS.items() if not e.adversarial} == toys.MODELS
    assert sorted(catalog.MODELS) == sorted(VAES + GAMES)


@pytest.mark.parametrize("model", GAMES)
def test_a_game_killed_between_checkpoints_goes_on_as_if_nothing_had_happened(tmp_path, model):
    """Both players, both optimizers, the average and the spectral directions; the average has started before the break."""
    rng = np.random.default_rng(0)
    data = from_arrays({name: rng.normal(size=(60, 3)) for name in "ab"})
    options = ModelConfig(model, shared_dim=2, private_dim=2, average_start=1, average_decay=0.5)
    short, long = (Config(DataConfig("arrays"), options, TrainConfig(**SHORT | {"steps": n})) for n in (2, 4))
    whole = train.train(long, tmp_path / "whole", data=data)
    run = train.train(short, tmp_path / "run", data=data)
    train.train(long, run.path, data=data, resume=True)
    found, expected = weights(run)[0], weights(whole)[0]
    assert_equal(expected, found)
    assert any(not np.array_equal(expected[f"player.{n}"], v) for n, v in expected.items() if f"player.{n}" in expected)


def test_a_game_of_fewer_examples_than_a_step_takes_is_refused(tmp_path):
    with pytest.raises(UserError, match="--batch_size=900, 2 times in each step, is more than the 1400"):
        train.train(config(2, model="mmali", private_dim=2, train_options={"batch_size": 900}), tmp_path / "run")


def test_a_game_without_complete_examples_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=(90, 3)) for name in "ab"}
    data = from_arrays(values, masks={"a": np.arange(90) < 40, "b": np.arange(90) >= 40})
    settings = Config(
        DataConfig("arrays"), ModelConfig("mmali", shared_dim=2, private_dim=2), TrainConfig(steps=2, batch_size=8)
    )
    with pytest.raises(UserError, match="has all of a, b: a game needs some complete ones"):
        train.train(settings, tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()


def test_some_modalities_of_a_data_set(tmp_path):
    settings = config(2, private_dim=2)
    settings = dataclasses.replace(settings, data=dataclasses.replace(settings.data, modalities="word,digit"))
    run = train.train(settings, tmp_path / "run")
    assert [m.name for m in run.modalities()] == ["digit", "word"]
    assert run.modalities()[0].likelihood_weight == 1.0
    with pytest.raises(UserError, match="--modalities=digit,wird: Unknown modality 'wird'"):
        catalog.load_data(dataclasses.replace(settings.data, modalities="digit,wird"))


def test_coherence_is_measured_during_training(tmp_path, monkeypatch):
    def untrained(data, how):
        return {m.name: catalog.DATASETS[data.name].classifiers[m.name](m, 10, seed=1) for m in data.modalities}

    monkeypatch.setattr(judge, "train_classifiers", untrained)
    monkeypatch.setattr(monitor, "COHERENCE_EXAMPLES", 30)
    run = train.train(config(4, train_options={"coherence_every": 2}), tmp_path / "run")
    scalars = events.read_scalars(run.logs)
    assert scalars["coherence/word<-digit"][0] == [4]
    assert {"coherence/random", "coherence_likeliest/word<-scene"} <= set(scalars)


def test_data_that_is_no_number_is_refused_unless_a_mask_hides_it(tmp_path, monkeypatch):
    load = catalog.load_data

    def holed(masked):
        data = load(DATA)
        digits = data.train.pools["digit"].astype(np.float32) / 255
        digits[0] = np.nan
        mask = {n: data.train.rows[n] != 0 if n == "digit" else np.ones(len(data.train), bool) for n in data.names}
        pools = {**data.train.pools, "digit": digits}
        return dataclasses.replace(data, train=dataclasses.replace(data.train, pools=pools, mask=mask if masked else None))

    monkeypatch.setattr(catalog, "load_data", lambda how: holed(False))
    with pytest.raises(UserError, match="digit: wanted finite values"):
        train.train(config(2), tmp_path / "run")
    monkeypatch.setattr(catalog, "load_data", lambda how: holed(True))
    found = weights(train.train(config(2), tmp_path / "run"))[0]
    assert all(np.all(np.isfinite(v)) for v in found.values())


def test_image_panels_are_written(tmp_path):
    run = train.train(config(2, train_options={"panels_every": 1}, private_dim=2), tmp_path / "run")
    files = list(run.logs.glob("*.panels"))
    text = b"".join(f.read_bytes() for f in files)
    for name in (b"random_digit", b"random_word", b"reconstruction", b"from_scene", b"swap_scene"):
        assert name in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "mmjds"}, "Unknown --model='mmjds'.*Did you mean 'mmjsd'"),
        ({"private_weights": "digits=2", "private_dim": 2}, "names 'digits', but the modalities are digit, scene, word"),
        ({"train_options": {"batch_size": 2000}}, "--batch_size=2000 is more than the 1400 training examples"),
        ({"train_options": {"batch_size": 15, "strategy": "mirrored"}}, "cannot be shared evenly by 2 devices"),
        (
            {"train_options": {"batch_size": 1, "strategy": "mirrored"}},
            "^--batch_size=1 cannot be shared evenly by 2 devices; choose a multiple of 2",
        ),
        (
            {"model": "mmali", "private_dim": 2, "train_options": {"batch_size": 4, "strategy": "mirrored"}},
            "^--batch_size=4 gives a device 2 examples, but a game takes 3 or more",
        ),
        ({"train_options": {"microbatch": 5}}, "--microbatch=5 does not divide the 16 examples"),
        ({"train_options": {"strategy": "mirrored", "microbatch": 16}}, "--microbatch=16 does not divide the 8 examples"),
        (
            {"contrast": "iwae", "contrast_negatives": 8, "train_options": {"strategy": "mirrored"}},
            "--contrast_negatives=8 other examples must be on the same device, to which --batch_size=16 gives 8",
        ),
        ({"model": "mmvae_plus"}, "mmvae_plus is about private codes, and digit has none; set --private_dim"),
    ],
)
def test_bad_configs_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train.train(config(**changes), tmp_path / "run")


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
    assert train.plan(TrainConfig(batch_size=256, steps_per_execution=10, **options), 28_000) == expected


@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_a_run_ends_when_its_time_is_up_and_can_go_on(tmp_path, clock):
    """After one epoch of two steps, or two, where building the graph took nearly all of the first."""
    short = config(40, train_options={"max_seconds": 1e-3, "clock": clock})
    run = train.train(short, tmp_path / "run")
    first = run.read_json("training.json")["steps"]
    assert first in (2, 4)
    assert train.train(short, run.path, resume=True).read_json("training.json")["steps"] in (first + 2, first + 4)
    assert train.train(config(9), run.path, resume=True).read_json("training.json")["steps"] == 9


@pytest.mark.parametrize("steps", [20, 23, 24])
def test_a_run_has_exactly_the_steps_asked_for(tmp_path, recwarn, steps):
    options = {"steps_per_epoch": 11, "steps_per_execution": 4}
    run = train.train(config(steps, train_options=options), tmp_path / "run")
    assert weights(run)[1] == steps
    assert not [w for w in recwarn if "ran out of data" in str(w.message)]
    assert events.read_scalars(run.logs)["loss"][0] == {20: [8, 16, 20], 23: [8, 16, 23], 24: [8, 16, 24]}[steps]


def test_unknown_dataset_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="Unknown --dataset='digit'.*Did you mean 'digits'"):
        train.train(Config(data=DataConfig(dataset="digit")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_during_a_checkpoint_is_said(tmp_path, monkeypatch):
    def full(self, path):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.train.Checkpoint, "write", full)
    with pytest.raises(UserError, match="Cannot write a checkpoint .*No space left"):
        train.train(config(), tmp_path / "run")


def test_every_flagfile_is_valid():

    files = sorted(CONFIGS.rglob("*.cfg"))
    assert len(files) >= 7
    for file in files:
        holder = flags.FlagValues()
        from mmtf import config as declared

        declared.define_flags(flag_values=holder)
        flags.DEFINE_string("flagfile", "", "", flag_values=holder)
        holder(["program", f"--flagfile={file}"])
        found = declared.from_flags(holder)
        catalog.check_names(found)
        assert json.loads(json.dumps(found.to_json()))
        assert file.read_text().startswith("#"), f"{file} must begin with what it reproduces and what it costs"


def test_checkpoints_have_the_whole_optimizer(finished):
    model, _ = evaluate.load_model(finished)
    saved = {name for name, _ in tf.train.list_variables(str(finished.checkpoints / "step-4/state"))}
    count = len(model.weights) + 2 * len(model.trainable_variables) + 2
    assert len([n for n in saved if n.startswith("variables/")]) == count
    assert Checkpoints(finished.checkpoints, model.named_weights()).steps == [2, 4]


def test_a_run_goes_on_with_the_pairing_it_began_with(tmp_path, monkeypatch):
    """Were pairs drawn otherwise today (a newer NumPy), the resumed run still repeats the uninterrupted one."""
    run = train.train(config(3), tmp_path / "run")
    whole = train.train(config(5), tmp_path / "whole")
    load = catalog.load_data

    def otherwise(settings):
        data = load(settings)
        order = np.random.default_rng(5).permutation(len(data.train))
        return dataclasses.replace(data, train=data.train.at(order))

    monkeypatch.setattr(catalog, "load_data", otherwise)
    train.train(config(5), run.path, resume=True)
    assert_equal(weights(whole)[0], weights(run)[0])


def test_unpaired_values_are_trained_on(tmp_path):
    """Pairs of a tenth of the digits, and all single values: examples that lack modalities reach the loss."""
    settings = dataclasses.replace(config(2), data=DataConfig(pairings=1, data_fraction=0.1, unpaired_pools=True))
    run = train.train(settings, tmp_path / "run")
    data = record.restored(run, catalog.load_data(settings.data))
    assert (~data.train.has(data.names)).mean() > 0.9
    assert np.isfinite(events.read_scalars(run.logs)["loss"][1]).all()


def test_data_can_be_given_in_place_of_a_name(tmp_path):
    data = catalog.load_data(config().data)
    fewer = dataclasses.replace(data, train=data.train.first(100))
    run = train.train(config(2), tmp_path / "run", data=fewer)
    assert run.read_json("data.json")["examples"]["train"] == 100
    assert len(record.restored(run, data).train) == 100


def test_coherence_of_data_without_labels_is_refused_before_training(tmp_path):
    data = catalog.load_data(config().data)
    nameless = dataclasses.replace(data, train=dataclasses.replace(data.train, label=None))
    with pytest.raises(UserError, match="--coherence_every does nothing for digits, which has no labels"):
        train.train(config(2, train_options={"coherence_every": 1}), tmp_path / "run", data=nameless)
    assert not (tmp_path / "run" / "config.json").exists()


def test_data_that_cannot_be_loaded_leaves_no_directory(tmp_path):
    missing = dataclasses.replace(config(), data=DataConfig(dataset="arrays", data_dir=str(tmp_path)))
    with pytest.raises(UserError, match=r"holds no NAME\.npy"):
        train.train(missing, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
