"""What TensorBoard shows of a run, read by TensorBoard's own plugins, and held against the model that it is about."""

import dataclasses
import json
import socket

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import data_provider, event_accumulator, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import hparams_plugin
from tensorboard.plugins.projector import projector_plugin
from werkzeug.test import Client

from mmtf import catalog, evaluate, runtime, train
from mmtf.board import histograms, hparams, profile, projector
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig, profile_window
from mmtf.data import from_arrays, record
from mmtf.errors import UserError
from mmtf.metrics import latents
from mmtf.rundir import events, same_run

SHORT = {"batch_size": 16, "steps_per_epoch": 2, "panels_every": 0, "strategy": "one", "steps_per_execution": 1}
WATCHED = {"histograms_every": 2, "embeddings_every": 1, "profile_steps": "3,4"}


def config(steps=4, model="mmjsd", **train_options):
    data = DataConfig(pairings=1, modalities="digit,word")
    return Config(
        data, ModelConfig(model, shared_dim=4, private_dim=2), TrainConfig(**SHORT | {"steps": steps} | train_options)
    )


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    return train.train(config(**WATCHED), tmp_path_factory.mktemp("runs") / "watched")


@pytest.fixture(scope="module")
def model(watched):
    return evaluate.load_model(watched)[0]


@pytest.fixture(scope="module")
def data(watched):
    return record.restored(watched, catalog.load_data(watched.config().data))


def context(folder):
    multiplexer = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance={"tensors": 0})
    multiplexer.AddRunsFromDirectory(str(folder)).Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    return base_plugin.TBContext(data_provider=provider, logdir=str(folder), multiplexer=multiplexer, assets_zip_provider=None)


def table(folder):
    """The rows of the HParams dashboard, as its own server answers: by the run's folder, values, metrics and status."""
    app = hparams_plugin.HParamsPlugin(context(folder)).get_plugin_apps()["/session_groups"]
    wanted = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    asked = {"colParams": [], "startIndex": 0, "sliceSize": 100, "allowedStatuses": wanted}
    answer = Client(app).post("/", data=json.dumps(asked), content_type="application/json")
    rows = {}
    for group in json.loads(answer.get_data())["sessionGroups"]:
        (session,) = group["sessions"]
        metrics = {m["name"]["tag"]: m for m in session.get("metricValues", [])}
        rows[session["name"].split("/")[0]] = group["hparams"], metrics, session
    return rows


def test_the_hparams_dashboard_has_a_row_with_what_a_run_was_made_with(watched):
    values, metrics, session = table(watched.path.parent)["watched"]
    wanted = {n: v for part in watched.config().to_json().values() for n, v in part.items() if v is not None}
    assert values == {n: v for n, v in wanted.items() if n not in hparams.LEFT_OUT}
    assert {"beta", "seed", "steps", "shared_dim", "model", "dataset"} <= set(values)
    assert session["status"] == "STATUS_SUCCESS"
    assert session["endTimeSecs"] >= session["startTimeSecs"] > 0
    assert metrics["training/loss"]["value"] == pytest.approx(events.read_scalars(watched.logs)["loss"][1][-1], rel=1e-6)
    assert metrics["training/loss"]["trainingStep"] == 4


def test_what_was_measured_last_is_in_the_row(tmp_path):
    for name, beta in (("a", 1.0), ("b", 2.0)):
        with hparams.Session(tmp_path / name / "logs", Config(model=ModelConfig(beta=beta))):
            pass
    hparams.write_metrics(tmp_path / "a/logs", {"probe/1 given": 0.25, "coherence/random": 0.5}, step=10)
    hparams.write_metrics(tmp_path / "a/logs", {"probe/1 given": 0.75}, step=20)
    found = table(tmp_path)
    assert {name: row[0]["beta"] for name, row in found.items()} == {"a": 1.0, "b": 2.0}
    assert {tag: (m["value"], m["trainingStep"]) for tag, m in found["a"][1].items()} == {"probe/1 given": (0.75, 20)}
    assert found["b"][1] == {}


def test_sessions_that_fail_or_were_killed_or_go_on_say_so(tmp_path):
    logs = tmp_path / "run" / "logs"
    with pytest.raises(KeyboardInterrupt), hparams.Session(logs, config()):
        assert table(tmp_path)["run"][2]["status"] == "STATUS_UNKNOWN"
        raise KeyboardInterrupt
    assert table(tmp_path)["run"][2]["status"] == "STATUS_FAILURE"
    with hparams.Session(logs, config(8)):
        pass
    values, _, session = table(tmp_path)["run"]
    assert (session["status"], values["steps"]) == ("STATUS_SUCCESS", 8)


def summaries(logs, kind):
    """By name, the last tensor of a plugin's summaries and the steps of all of them."""
    found = event_accumulator.EventAccumulator(str(logs), size_guidance={event_accumulator.TENSORS: 0}).Reload()
    names = [n for n in found.Tags()["tensors"] if found.SummaryMetadata(n).plugin_data.plugin_name == kind]
    return {n: (tf.make_ndarray(found.Tensors(n)[-1].tensor_proto), [e.step for e in found.Tensors(n)]) for n in names}


def test_histograms_are_of_the_weights_and_posteriors_that_the_run_has(watched, model, data):
    drawn = summaries(watched.logs / histograms.FOLDER, "histograms")
    assert all(steps == [4] for _, steps in drawn.values())
    for part, variables in histograms.parts(model).items():
        weights, (bins, _) = np.concatenate([np.ravel(v) for v in variables]), drawn[f"weights/{part}"]
        assert bins[:, 2].sum() == len(weights)
        np.testing.assert_allclose([bins[0, 0], bins[-1, 1]], [weights.min(), weights.max()], rtol=1e-5)
    q = model.encode(data.test.first(histograms.EXAMPLES).take(slice(None))).private["digit"]
    kl = latents.kl_to_prior(q.mean().numpy(), q.stddev().numpy()).mean(axis=0)
    bins, _ = drawn["kl/private<-digit"]
    assert bins[:, 2].sum() == len(kl) == 2
    np.testing.assert_allclose([bins[0, 0], bins[-1, 1]], [kl.min(), kl.max()], rtol=1e-3)
    codes = ["shared<-digit", "shared<-word", "shared<-digit,word", "private<-digit", "private<-word"]
    assert {name.split("/", 1)[1] for name in drawn if not name.startswith("weights")} == set(codes)
    used = summaries(watched.logs / histograms.FOLDER, "scalars")["used_dimensions/private<-digit"][0]
    assert int(used) == int((kl >= latents.COLLAPSED_BELOW).sum())
    assert summaries(watched.logs / histograms.FOLDER, "images")["kl_by_dimension"][0][2].startswith(b"\x89PNG")


def test_a_resumed_run_is_watched_at_the_steps_of_the_whole_one(tmp_path, monkeypatch):
    """Every second epoch of the run, and not of a session that began within a pair of them."""
    embedded, honest = [], projector.write

    def write(logs, found, *rest, **how):
        embedded.append((logs.parent.name, runtime.step_of(found.optimizer)))
        honest(logs, found, *rest, **how)

    monkeypatch.setattr(projector, "write", write)
    how = {"histograms_every": 2, "embeddings_every": 2}
    train.train(config(8, **how), tmp_path / "whole")
    run = train.train(config(2, **how), tmp_path / "parts")
    train.train(config(8, **how), run.path, resume=True)
    assert embedded == [("whole", 4), ("whole", 8), ("parts", 4), ("parts", 8)]
    norms = events.read_scalars(run.logs / histograms.FOLDER)
    assert {tuple(steps) for steps, _ in norms.values()} == {(4, 8)}
    assert same_run.differences(tmp_path / "whole", run.path) == []


def test_parts_are_networks_and_have_all_weights(model):
    found = histograms.parts(model)
    assert list(found) == [f"{role}.{name}" for role in ("encoder", "head", "decoder") for name in ("digit", "word")]
    assert sum(len(v) for v in found.values()) == len(model.named_weights())


def small(kind):
    """A model of two vectors, ready to train, and its data."""
    rng = np.random.default_rng(0)
    arrays = from_arrays({name: rng.normal(size=(60, 3)).astype(np.float32) for name in "ab"})
    options = ModelConfig(kind, shared_dim=2, private_dim=2)
    settings = Config(DataConfig("arrays"), options, TrainConfig(**SHORT | {"steps": 2}))
    found = catalog.build_model(settings, catalog.configure(arrays.modalities, options))
    train.compile_model(found, settings.train, 2, 2, tf.distribute.get_strategy())
    return found, arrays


def test_gradient_norms_are_those_of_the_loss():
    """Against a difference quotient: along its gradient the loss grows by the gradient's norm."""
    found, arrays = small("mmjsd")
    norms = histograms.GradientNorms(found, arrays, 16)
    norm, variables = norms()["decoder.a"], histograms.parts(found)["decoder.a"]

    def loss():
        noise = runtime.Noise(tf.constant([found.seed, 0]), 16)
        return tf.reduce_mean(found.terms(norms._batch["values"], None, noise, 0)["loss"])

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, [v.value for v in variables])
    size, before, ends = 1e-3, [v.numpy() for v in variables], []
    for sign in (1, -1):
        for v, start, gradient in zip(variables, before, gradients, strict=True):
            v.assign(start + sign * size * gradient / norm)
        ends.append(float(loss()))
    assert (ends[0] - ends[1]) / (2 * size) == pytest.approx(norm, rel=0.03)


@pytest.mark.parametrize(("kind", "who"), [("mmjsd", ""), ("mmali", "player.")])
def test_gradient_norms_are_of_all_networks_that_learn(kind, who):
    """In a game not of the moving average, nor of the discriminators, which have another loss."""
    norms = histograms.GradientNorms(*small(kind), 16)()
    assert list(norms) == [f"{who}{role}.{name}" for role in ("encoder", "head", "decoder") for name in "ab"]
    assert all(np.isfinite(norm) and norm > 0 for norm in norms.values())


def test_scalars_of_the_objective_stay_what_they_were(watched, model):
    """Histograms and hyper-parameters are not among what the report draws."""
    scalars = events.read_scalars(watched.logs)
    assert set(model.terms_about()) <= set(scalars)
    assert not [name for name in scalars if "/" in name and name.split("/")[0] in ("weights", "kl", "training")]
    assert "weights/encoder.digit" not in events.read_scalars(watched.logs / histograms.FOLDER)


def test_several_devices_and_games_can_be_watched(tmp_path):
    run = train.train(config(2, strategy="mirrored", histograms_every=1, embeddings_every=1), tmp_path / "two")
    one = train.train(config(2, histograms_every=1), tmp_path / "one")
    for name, (norm, _) in summaries(one.logs / histograms.FOLDER, "scalars").items():
        np.testing.assert_allclose(summaries(run.logs / histograms.FOLDER, "scalars")[name][0], norm, rtol=2e-2, err_msg=name)
    game = train.train(config(2, model="mmali", histograms_every=1), tmp_path / "game")
    assert "gradient_norm/player.encoder.word" in summaries(game.logs / histograms.FOLDER, "scalars")


class Projector:
    """Asks TensorBoard's projector as its page does."""

    def __init__(self, folder):
        plugin = projector_plugin.ProjectorPlugin(context(folder))
        self._apps = plugin.get_plugin_apps()
        plugin._update_configs()

    def ask(self, what, **arguments):
        answer = Client(self._apps[what]).get("/", query_string=arguments)
        assert answer.status_code == 200, answer.get_data()
        return answer.get_data()


def test_the_projector_has_the_codes_with_labels_and_pictures(watched, model, data):
    page, run = Projector(watched.path.parent), "watched/logs"
    assert run in json.loads(page.ask("/runs"))
    found = {e["tensorName"]: e for e in json.loads(page.ask("/info", run=run))["embeddings"]}
    count = len(data.test.first(projector.EXAMPLES))
    assert {n: e["tensorShape"] for n, e in found.items()} == {
        "shared": [3 * count, 4],
        "private_digit": [count, 2],
        "private_word": [count, 2],
    }
    points = np.frombuffer(page.ask("/tensor", run=run, name="shared", num_rows=10_000), np.float32).reshape(-1, 4)
    values = data.test.first(count).take(slice(None))
    posteriors = model.posteriors(values)
    expected = [posteriors[key].mean().numpy() for key in (("digit",), ("word",), ("digit", "word"))]
    np.testing.assert_allclose(points, np.concatenate(expected), rtol=1e-4, atol=1e-5)
    labels = [line.split("\t") for line in page.ask("/metadata", run=run, name="shared", num_rows=10_000).decode().splitlines()]
    assert labels[0] == ["given", "example", "class"]
    assert labels[1] == ["digit", "0", data.class_names[data.test.label[0]]]
    assert labels[count + 3] == ["word", "2", data.class_names[data.test.label[2]]]
    assert labels[-1] == ["digit,word", str(count - 1), data.class_names[data.test.label[count - 1]]]
    side = found["shared"]["sprite"]["singleImageDim"][0]
    sheet = tf.io.decode_png(page.ask("/sprite_image", run=run, name="private_digit")).numpy()
    across = sheet.shape[1] // side
    for number in (0, 1, across, count - 1):
        row, column = divmod(number, across)
        shown = sheet[row * side : (row + 1) * side, column * side : (column + 1) * side, 0]
        picture = values["digit"][number, :, :, 0]
        # Magnified to squares of pixels: the very values, each of them at least twice.
        places = ((np.arange(28) + 0.5) * side / 28).astype(int)
        np.testing.assert_array_equal(shown[np.ix_(places, places)], picture)


def test_values_that_cannot_be_seen_have_points_without_pictures(tmp_path):
    rng = np.random.default_rng(0)
    attributes = rng.integers(0, 2, size=(60, 3))
    arrays = from_arrays({name: rng.normal(size=(60, 3)) for name in "ab"}, labels=attributes)
    options = ModelConfig(shared_dim=2)
    found = catalog.build_model(Config(DataConfig("arrays"), options), catalog.configure(arrays.modalities, options))
    projector.write(tmp_path, found, dataclasses.replace(arrays, show={}))
    folder = tmp_path / projector.FOLDER
    assert {path.name for path in folder.iterdir()} == {"projector_config.pbtxt", "shared.tsv", "shared_labels.tsv"}
    header, first, *_ = (folder / "shared_labels.tsv").read_text().splitlines()
    assert header.split("\t")[:2] == ["given", "example"]
    assert first.split("\t")[2:] == [str(int(x)) for x in arrays.test.label[0]]


def test_nothing_is_written_of_data_without_complete_examples(tmp_path, model, data):
    missing = {"digit": np.zeros(len(data.test), bool), "word": np.ones(len(data.test), bool)}
    projector.write(tmp_path, model, dataclasses.replace(data, test=dataclasses.replace(data.test, mask=missing)))
    assert list(tmp_path.iterdir()) == []


def test_a_profile_of_the_steps_asked_for_names_the_model_s_operations(watched):
    (trace,) = (watched.logs / "plugins/profile").glob("*/*.xplane.pb")
    content = trace.read_bytes()
    assert len(content) > 10_000
    for name in (b"MatMul", b"Conv2D", b"digit_encoder", b"word_encoder", b"gradient_tape"):
        assert name in content, name


@pytest.mark.parametrize(("text", "found"), [("", None), ("3,7", (3, 7)), (" 5 , 5 ", (5, 5))])
def test_profile_steps_are_read(text, found):
    assert profile_window(text) == found


@pytest.mark.parametrize("text", ["3", "7,3", "0,3", "a,b", "3,", "3,4,5", "-1,2"])
def test_profile_steps_that_mean_nothing_are_refused(text):
    with pytest.raises(UserError, match="wants the first and the last step"):
        Config(train=TrainConfig(profile_steps=text))


def test_steps_that_a_run_does_not_have_are_refused():
    with pytest.raises(UserError, match="--profile_steps=10,30 is beyond the 20 steps"):
        Config(train=TrainConfig(profile_steps="10,30", steps=20))


def test_steps_beyond_the_epochs_are_refused_before_training(tmp_path):
    """How many steps `--epochs` makes is known when the data are: 1,400 examples in batches of 700 are two a pass."""
    with pytest.raises(UserError, match="--profile_steps=6,7 is beyond the 6 steps"):
        train.train(config(0, epochs=3, batch_size=700, profile_steps="6,7"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Step:
    """Stands for an optimizer at a step."""

    def __init__(self, step):
        self.iterations = tf.constant(step)


@pytest.mark.parametrize(
    ("each", "window", "traced"), [(1, (3, 4), [3, 4]), (2, (4, 5), [3, 4, 5, 6]), (10, (1, 1), range(1, 11))]
)
def test_whole_executions_are_traced(monkeypatch, tmp_path, each, window, traced):
    log = []
    monkeypatch.setattr(tf.profiler.experimental, "start", lambda logs: log.append("start"))
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: log.append("stop"))
    with profile.Profile(tmp_path, window) as found:
        model = type("Model", (), {"steps_per_execution": each})()
        found._model = model
        for first in range(0, 20, each):
            model.optimizer = Step(first)
            found.on_train_batch_begin(0)
            log += range(first + 1, first + each + 1)
            model.optimizer = Step(first + each)
            found.on_train_batch_end(0)
    assert log[log.index("start") + 1 : log.index("stop")] == list(traced)
    assert (log.count("start"), log.count("stop")) == (1, 1)


def test_a_run_that_breaks_off_ends_its_profile(monkeypatch, tmp_path):
    log = []
    monkeypatch.setattr(tf.profiler.experimental, "start", lambda logs: log.append("start"))
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: log.append("stop"))
    with pytest.raises(KeyboardInterrupt), profile.Profile(tmp_path, (1, 9)) as found:
        found._model = type("Model", (), {"steps_per_execution": 1, "optimizer": Step(0)})()
        found.on_train_batch_begin(0)
        raise KeyboardInterrupt
    assert log == ["start", "stop"]


def test_a_resumed_run_that_is_beyond_the_steps_to_trace_says_so(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(tf.profiler.experimental, "start", lambda logs: pytest.fail("traced"))
    for done, said in ((3, False), (4, True)):
        with profile.Profile(tmp_path, (3, 4)) as found:
            found._model = type("Model", (), {"steps_per_execution": 1, "optimizer": Step(done)})()
            found.on_train_begin()
            found.on_train_begin()
        assert caplog.text.count("--profile_steps=3,4 traces nothing: training goes on after step 4") == said


def test_training_goes_on_while_somebody_else_traces(tmp_path, caplog):
    """TensorFlow takes one trace of a process at a time."""
    tf.profiler.experimental.start(str(tmp_path / "other"))
    try:
        with profile.Profile(tmp_path / "own", (1, 9)) as found:
            found._model = type("Model", (), {"steps_per_execution": 1, "optimizer": Step(0)})()
            for _ in range(2):
                found.on_train_batch_begin(0)
                found.on_train_batch_end(0)
    finally:
        tf.profiler.experimental.stop()
    assert caplog.text.count("--profile_steps=1,9 is left out") == 1
    assert list((tmp_path / "other").rglob("*.xplane.pb"))
    assert not (tmp_path / "own").exists()


def test_a_port_that_is_taken_is_refused_before_anything_is_written(tmp_path):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--profiler_port={port} cannot be listened on"):
            train.train(config(profiler_port=port), tmp_path / "run")
    assert not (tmp_path / "run").exists()
