"""The SavedModel: equal to the Python verbs, loaded in a process that has never heard of mmtf, and never overwritten."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toys

from mmtf import evaluate, export, train
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import digits, text
from mmtf.errors import UserError
from mmtf.modality import subsets
from mmtf.serving.card import without_places

SHORT = TrainConfig(batch_size=16, steps=2, panels_every=0, strategy="one")


@pytest.fixture(scope="module", params=["mmjsd", "jmvae"])
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    config = Config(DataConfig(pairings=1), ModelConfig(model=request.param, shared_dim=4, private_dim=2), SHORT)
    run = train.train(config, folder / "run")
    return run, export.export(run.path, folder / "exported")


@pytest.fixture(scope="module")
def values():
    batch = digits.load(pairings=1).test.take(np.arange(3))
    return {n: x / np.float32(255) if x.dtype == np.uint8 else x for n, x in batch.items()}


def constants(values, *names):
    return {n: tf.constant(values[n]) for n in names}


def shown(values):
    """What is served of what a verb says: a linear decoder's pixels within 0..1."""
    return {n: np.clip(x, 0, 1) if n in ("digit", "scene") else x for n, x in values.items()}


def assert_close(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_signatures_equal_the_verbs(exported, values):
    run, path = exported
    model, _ = evaluate.load_model(run)
    served = tf.saved_model.load(str(path)).signatures
    seed = tf.constant([3, 4])
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


def test_bytes_and_strings_of_any_set_of_modalities_give_what_the_verbs_say(exported):
    run, path = exported
    model, _ = evaluate.load_model(run)
    served, test = tf.saved_model.load(str(path)).signatures, digits.load(pairings=1).test.take(np.arange(7))
    sets = subsets(model.names)
    mask = {n: np.array([n in s for s in sets]) for n in model.names}
    # What is missing: white pixels, and bytes that are no text.
    given = {n: np.where(mask[n][:, None, None, None], test[n], np.uint8(255)) for n in ("digit", "scene")}
    words = np.array([w.rstrip().upper().encode() for w in text.decode(test["word"])], object)
    given["word"] = np.where(mask["word"], words, b"\xff" * 20)
    given |= {f"present_{n}": m for n, m in mask.items()}
    given = {n: tf.constant(x) for n, x in given.items()}
    values, seed = test | {"word": test["word"].astype(np.int32)}, tf.constant([5, 6])
    found, drawn = served["encode_any_raw"](**given), served["sample_from_any_raw"](**given, seed=seed)
    for row, given in enumerate(sets):
        some = {n: values[n] for n in given}
        q, wanted = model.posterior(some), model.translate(some, to=model.names, seed=seed)
        for name, x in (("mean", q.mean()), ("stddev", q.stddev())):
            np.testing.assert_allclose(found[name][row], x[row], rtol=1e-5, atol=1e-5)
        assert drawn["word"][row].numpy().decode() == text.decode(wanted["word"][row : row + 1])[0].rstrip()
        for name in ("digit", "scene"):
            np.testing.assert_allclose(drawn[name][row], 255 * np.clip(wanted[name][row], 0, 1), atol=0.51)


def test_generation_follows_its_seed(exported):
    generate = tf.saved_model.load(str(exported[1])).signatures["generate"]
    first, again, other = (generate(n=tf.constant(4), seed=tf.constant([0, s]))["digit"] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_it_runs_where_mmtf_and_tfp_cannot_be_imported(exported, tmp_path):
    program = f"""
import sys
sys.modules["mmtf"] = sys.modules["tensorflow_probability"] = None
import tensorflow as tf
served = tf.saved_model.load({str(exported[1])!r}).signatures
assert served["generate"](n=tf.constant(2), seed=tf.constant([0, 1]))["scene"].shape == (2, 32, 32, 3)
assert served["translate_digit"](digit=tf.zeros([7, 28, 28, 1]))["word"].shape == (7, 8)
print("served")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "served", done.stderr[-2000:]


def test_saved_model_cli_runs_it(exported, tmp_path):
    command = [
        str(Path(sys.executable).with_name("saved_model_cli")), "run", "--dir", str(exported[1]), "--tag_set", "serve",
        "--signature_def", "generate", "--input_exprs", "n=2;seed=[0,1]", "--outdir", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert np.load(tmp_path / "digit.npy").shape == (2, 28, 28, 1)


def test_the_card_says_what_was_exported(exported):
    run, path = exported
    card = json.loads((path / export.EXTRA / "mmtf.json").read_text())
    assert card["config"] == without_places(run.config().to_json())
    assert "data_dir" not in card["config"]["data"]
    assert Config.from_json(card["config"]) == run.config()
    assert [m["name"] for m in card["modalities"]] == ["digit", "scene", "word"]
    assert card["step"] == 2


def test_each_export_is_a_new_version(exported):
    run, path = exported
    again = export.export(run.path, path.parent)
    assert int(again.name) == int(path.name) + 1
    assert (path / "saved_model.pb").exists()
    assert not [p for p in os.listdir(path.parent) if p.startswith(".")]


def test_of_two_exports_at_once_each_is_a_version(exported, tmp_path, monkeypatch):
    """The other one writes its version after this one has counted."""
    other = tmp_path / "1"
    other.mkdir()
    (other / "saved_model.pb").write_text("the other's")
    counted, count = iter([1]), export._next_version
    monkeypatch.setattr(export, "_next_version", lambda folder: next(counted, None) or count(folder))
    assert export.export(exported[0].path, tmp_path) == tmp_path / "2"
    assert (tmp_path / "2/saved_model.pb").is_file()
    assert [p.name for p in other.iterdir()] == ["saved_model.pb"]
    assert (other / "saved_model.pb").read_text() == "the other's"


def test_nothing_to_export_is_said(tmp_path, exported):
    with pytest.raises(UserError, match="holds no run"):
        export.export(tmp_path, tmp_path / "exported")
    with pytest.raises(UserError, match="Cannot write to /proc/nowhere"):
        export.export(exported[0].path, "/proc/nowhere")


def test_one_modality_has_nothing_to_translate_to():
    found = set(export.signatures(toys.model(count=1)))
    assert {"serving_default", "encode", "encode_vector", "generate", "reconstruct"} <= found
    assert not [name for name in found if "translate" in name or "sample" in name or "any" in name]
