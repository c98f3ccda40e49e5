"""The SavedModel: equal to the Python verbs, of operations of TensorFlow alone, and never overwritten."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shared
import small_served
import tensorflow as tf
from small_served import shown
from tensorflow.core.protobuf import saved_model_pb2

from mmtf import text
from mmtf.config import Config
from mmtf.data import from_arrays
from mmtf.errors import UserError
from mmtf.modality import subsets
from mmtf.serving import signatures
from mmtf.serving.card import without_places
from mmtf.verbs import evaluate, export

SEED = [3, 4]


@pytest.fixture(scope="module")
def run(place):
    return small_served.run(place)


@pytest.fixture(scope="module")
def exported(place):
    return small_served.exported(place)


@pytest.fixture(scope="module")
def model(run):
    return evaluate.load_model(run)[0]


@pytest.fixture(scope="module")
def served(exported):
    return tf.saved_model.load(str(exported)).signatures


def constants(values, *names):
    return {n: tf.constant(values[n]) for n in names}


def assert_close(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_signatures_equal_the_verbs(model, served):
    values, seed = small_served.values(small_served.data().test, np.arange(3)), tf.constant(SEED)
    everything = constants(values, *model.names)
    posterior = model.posterior(values)
    assert_close(served["encode"](**everything), {"mean": posterior.mean(), "stddev": posterior.stddev()})
    assert_close(served["serving_default"](**everything), served["encode"](**everything))
    assert_close(served["reconstruct"](**everything), shown(model.reconstruct(values)))
    assert_close(served["generate"](n=tf.constant(5), seed=seed), shown(model.generate(5, seed)))
    for name in model.names:
        one = constants(values, name)
        codes = model.encode(one)
        q, s = codes.shared[name], codes.private[name]
        expected = {"shared_mean": q.loc, "shared_stddev": q.stddev(), "private_mean": s.loc, "private_stddev": s.stddev()}
        assert_close(served[f"encode_{name}"](**one), expected)
        assert_close(served[f"translate_{name}"](**one), shown(model.translate(one)))
        assert_close(served[f"sample_from_{name}"](**one, seed=seed), shown(model.translate(one, seed=seed)))


def test_bytes_and_strings_of_any_set_of_modalities_give_what_the_verbs_say(model, served):
    split, sets = small_served.data().test, subsets(model.names)
    test = split.take(np.arange(len(sets)))
    mask = {n: np.array([n in s for s in sets]) for n in model.names}
    # What is missing: white pixels, bytes that are no text, and no numbers.
    words = np.array([w.rstrip().upper().encode() for w in text.decode(test["text"])], object)
    asked = {
        "image": np.where(mask["image"][:, None, None, None], test["image"], np.uint8(255)),
        "text": np.where(mask["text"], words, b"\xff" * 20),
        "vector": np.where(mask["vector"][:, None], test["vector"], np.float32(np.nan)),
    }
    asked = {n: tf.constant(x) for n, x in (asked | {f"present_{n}": m for n, m in mask.items()}).items()}
    values, seed = small_served.values(split, np.arange(len(sets))), tf.constant(SEED)
    found, drawn = served["encode_any_raw"](**asked), served["sample_from_any_raw"](**asked, seed=seed)
    for row, given in enumerate(sets):
        some = {n: values[n] for n in given}
        q, wanted = model.posterior(some), model.translate(some, to=model.names, seed=seed)
        for name, x in (("mean", q.mean()), ("stddev", q.stddev())):
            np.testing.assert_allclose(found[name][row], x[row], rtol=1e-5, atol=1e-5)
        assert drawn["text"][row].numpy().decode() == text.decode(np.asarray(wanted["text"][row : row + 1]))[0].rstrip()
        np.testing.assert_allclose(drawn["image"][row], 255 * np.clip(wanted["image"][row], 0, 1), atol=0.51)
        np.testing.assert_allclose(drawn["vector"][row], wanted["vector"][row], rtol=1e-4, atol=1e-4)


def test_generation_follows_its_seed(served):
    first, again, other = (served["generate"](n=tf.constant(4), seed=tf.constant([0, s]))["vector"] for s in (1, 1, 2))
    np.testing.assert_allclose(first, again, rtol=1e-5)
    assert not np.allclose(first, other)


def test_of_an_adversarial_model_its_averages_are_served(tmp_path, monkeypatch):
    """Of its signatures some, each of which takes its time."""
    some, verbs_of = ("encode", "reconstruct", "generate"), signatures.verbs_of
    monkeypatch.setattr(signatures, "verbs_of", lambda model: {name: verbs_of(model)[name] for name in some})
    rng = np.random.default_rng(0)
    data = from_arrays({n: rng.normal(5, 2, (20, 3)) for n in ("one", "two")}, test=0.5)
    run = small_served.started(tmp_path / "run", "mmali_joint", data)
    model, values = evaluate.load_model(run)[0], data.test.take(np.arange(3))
    served = tf.saved_model.load(str(export.export(run.path, tmp_path / "exported"))).signatures
    posterior = model.posterior(values)
    assert_close(served["encode"](**constants(values, *values)), {"mean": posterior.mean(), "stddev": posterior.stddev()})
    assert_close(served["reconstruct"](**constants(values, *values)), model.reconstruct(values))
    assert_close(served["generate"](n=tf.constant(5), seed=tf.constant(SEED)), model.generate(5, SEED))


def test_the_graph_calls_no_python(exported):
    graphs = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes()).meta_graphs
    used = {n.op for graph in graphs for f in graph.graph_def.library.function for n in f.node_def}
    assert {"StatefulPartitionedCall", "MatMul"} <= used
    assert not [op for op in used if "PyFunc" in op or "Numpy" in op]


@pytest.mark.slow
def test_it_runs_where_mmtf_and_tfp_cannot_be_imported(exported, tmp_path):
    program = f"""
import sys
sys.modules["mmtf"] = sys.modules["tensorflow_probability"] = None
import tensorflow as tf
served = tf.saved_model.load({str(exported)!r}).signatures
assert served["generate"](n=tf.constant(2), seed=tf.constant([0, 1]))["image"].shape == (2, 4, 4, 1)
assert served["translate_image"](image=tf.zeros([7, 4, 4, 1]))["text"].shape == (7, 5)
print("served")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "served", done.stderr[-2000:]


@pytest.mark.slow
def test_saved_model_cli_runs_it(exported, tmp_path):
    command = [
        str(Path(sys.executable).with_name("saved_model_cli")), "run", "--dir", str(exported), "--tag_set", "serve",
        "--signature_def", "generate", "--input_exprs", "n=2;seed=[0,1]", "--outdir", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert np.load(tmp_path / "image.npy").shape == (2, 4, 4, 1)


def test_the_card_says_what_was_exported(run, exported):
    card = json.loads((exported / export.EXTRA / "mmtf.json").read_text())
    assert card["config"] == without_places(run.config().to_json())
    assert "data_dir" not in card["config"]["data"]
    assert Config.from_json(card["config"]) == run.config()
    assert [m["name"] for m in card["modalities"]] == list(small_served.NAMES)
    assert card["step"] == small_served.STEPS


def test_texts_are_filled_up_as_those_of_the_data_set(run, model, tmp_path, monkeypatch):
    run, given = shared.copied(run, tmp_path / "run"), []
    config = run.read_json("config.json")
    config["data"]["dataset"] = "celeba"
    run.write_json("config.json", config)

    def signatures(model, fills):
        given.append(dict(fills))
        raise UserError("That is all.")

    monkeypatch.setattr(export, "signatures", signatures)
    # Networks of CelebA are of other sizes.
    monkeypatch.setattr(export, "load_model", lambda run, checkpoint: (model, small_served.STEPS))
    with pytest.raises(UserError, match="That is all"):
        export.export(run.path, tmp_path / "exported")
    assert given == [{"text": "*"}]


# ---- versions --------------------------------------------------------------------------------------------------------


@pytest.fixture
def unwritten(monkeypatch):
    """In place of a SavedModel, which takes seconds, a file with a number."""
    numbers = iter(range(9))

    def write(model, run, step, path):
        path.mkdir()
        (path / "saved_model.pb").write_text(str(next(numbers)))

    monkeypatch.setattr(export, "_write", write)


def content(folder):
    return {p.name: (p / "saved_model.pb").read_text() for p in folder.iterdir()}


def test_an_export_leaves_nothing_but_its_version(exported):
    assert (exported / "saved_model.pb").is_file()
    assert [p.name for p in exported.parent.iterdir()] == ["1"]


def test_each_export_is_a_new_version(run, tmp_path, unwritten):
    assert [export.export(run.path, tmp_path / "a").name for _ in range(3)] == ["1", "2", "3"]
    assert content(tmp_path / "a") == {"1": "0", "2": "1", "3": "2"}
    # The highest, not the number, of those that are there.
    (tmp_path / "a/3").rename(tmp_path / "a/10")
    assert export.export(run.path, tmp_path / "a").name == "11"


def test_of_two_exports_at_once_each_is_a_version(run, tmp_path, monkeypatch, unwritten):
    """The other one writes its version after this one has counted."""
    other = tmp_path / "1"
    other.mkdir()
    (other / "saved_model.pb").write_text("the other's")
    counted, count = iter([1]), export._next_version
    monkeypatch.setattr(export, "_next_version", lambda folder: next(counted, None) or count(folder))
    assert export.export(run.path, tmp_path) == tmp_path / "2"
    assert content(tmp_path) == {"1": "the other's", "2": "0"}


def test_an_export_that_fails_leaves_what_was_there(run, tmp_path, monkeypatch, unwritten):
    export.export(run.path, tmp_path)

    def full(model, run, step, path):
        path.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_write", full)
    with pytest.raises(UserError, match=f"Cannot write to {tmp_path}: No space left on device"):
        export.export(run.path, tmp_path)
    assert content(tmp_path) == {"1": "0"}


def test_a_step_can_be_chosen(run, tmp_path, monkeypatch):
    run, steps = shared.copied(run, tmp_path / "run"), []
    shutil.copytree(run.checkpoints / f"step-{small_served.STEPS}", run.checkpoints / "step-7")
    monkeypatch.setattr(export, "_write", lambda model, run, step, path: steps.append(step) or path.mkdir())
    for checkpoint in ("latest", str(small_served.STEPS)):
        export.export(run.path, tmp_path / "exported", checkpoint)
    assert steps == [7, small_served.STEPS]


def test_nothing_to_export_is_said(run, tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        export.export(tmp_path, tmp_path / "exported")
    with pytest.raises(UserError, match="Cannot write to /proc/nowhere"):
        export.export(run.path, "/proc/nowhere")
