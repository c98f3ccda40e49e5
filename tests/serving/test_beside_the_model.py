"""What lies in assets.extra: warm-up requests that a server can run, a card that says what the run knows, TensorFlow Lite."""

import json
import re
import warnings

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from mmtf import catalog
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import celeba, digits
from mmtf.errors import UserError
from mmtf.export import EXTRA, LITE
from mmtf.modality import Modality
from mmtf.rundir import RunDirectory
from mmtf.serving import card, lite, warmup
from mmtf.serving.signatures import PRIVATE, SHARED

# ---- warm-up ---------------------------------------------------------------------------------------------------------


def test_every_signature_has_a_warm_up_request_that_it_answers(exported, loaded):
    """As a server reads the file: records of PredictionLog, at most 1,000, each a request to a signature."""
    records = list(tf.data.TFRecordDataset(str(exported[1] / EXTRA / "tf_serving_warmup_requests")))
    asked = []
    for record in records:
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        inputs = {n: tf.constant(tf.make_ndarray(x)) for n, x in request.inputs.items()}
        for output in loaded.signatures[request.model_spec.signature_name](**inputs).values():
            assert output.dtype == tf.string or np.all(np.isfinite(output))
        asked.append(request.model_spec.signature_name)
    assert sorted(asked) == sorted(loaded.signatures)
    assert len(records) <= 1000


def test_warm_up_requests_are_of_one_example(loaded):
    found = warmup.example(loaded.signatures["score_any_raw"])
    assert {n: (x.shape.as_list(), x.dtype.name) for n, x in found.items() if "scene" not in n and "word" not in n} == {
        "digit": ([1, 28, 28, 1], "uint8"), "present_digit": ([1], "bool"), "n": ([], "int32"), "seed": ([2], "int32"),
    }  # fmt: skip
    assert found["word"].numpy().tolist() == [b""]
    assert found["n"].numpy() == 1


# ---- the card --------------------------------------------------------------------------------------------------------


def test_the_card_holds_what_the_run_knows(exported):
    run, path = exported
    found = json.loads((path / EXTRA / "model_card.json").read_text())
    assert found["configuration"] == card.without_places(run.config().to_json())
    assert found["training"] == run.read_json("training.json")
    assert found["data"]["digests"] == run.read_json("data.json")["digests"]
    assert [m["name"] for m in found["model"]["modalities"]] == ["digit", "scene", "word"]
    assert found["metrics"] == {}
    text = (path / EXTRA / "model_card.md").read_text()
    for needed in ("# mmjsd on digits, step 2", "CC BY 2.0", "Apache-2.0", "Nothing was measured", "do not decide about people",
                   found["data"]["digests"]["test"]["scene"], '"shared_dim": 4', "test scans"):  # fmt: skip
        assert needed in text, needed


def test_the_card_shows_numbers_with_their_intervals_and_the_step_that_they_are_of(exported, tmp_path):
    run = RunDirectory(tmp_path)
    for name in ("config.json", "modalities.json", "data.json"):
        (tmp_path / name).write_bytes((exported[0].path / name).read_bytes())
    measured = {
        "step": 7,
        "probe": {"digit": 0.9},
        "coherence": {"random": 0.25, "word<-digit": 0.5},
        "coherence_interval": {"random": [0.2, 0.3]},
        "likelihood": {"joint": {"digit": {"value": -10.5, "standard_error": 0.5, "low": -11.5, "high": -9.5, "samples": 12}}},
        "parts": {"probe": {"seconds": 3}},
    }
    (tmp_path / "metrics.json").write_text(json.dumps(measured))
    found = card.model_card(run, 7)
    assert found["metrics"] == measured
    assert found["training"] == {}
    text = card.as_markdown(found)
    for row in ("| probe digit | 0.9 |  |", "| coherence random | 0.25 | [0.2, 0.3] |", "| coherence word<-digit | 0.5 |  |",
                "| likelihood joint digit | -10.5 | [-11.5, -9.5] |"):  # fmt: skip
        assert row in text, row
    assert "| parts" not in text
    assert "of step" not in text
    assert "These numbers are of step 7." in card.as_markdown(card.model_card(run, 8))


def test_the_card_names_no_folder_of_the_machine(exported, tmp_path):
    run = RunDirectory(tmp_path)
    for name in ("modalities.json", "data.json"):
        (tmp_path / name).write_bytes((exported[0].path / name).read_bytes())
    config = exported[0].config().to_json()
    config["data"] |= {"data_dir": "/home/ada/data"}
    judged = {"data_dir": "/home/ada/data", "cache_dir": "/home/ada/cache", "inception_weights": "/home/ada/w.h5", "seed": 3}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "metrics.json").write_text(json.dumps({"step": 2, "probe": {"digit": 0.9}, "evaluation": judged}))
    card.write_card(tmp_path, run, 2)
    for name in ("model_card.json", "model_card.md"):
        assert "/home/" not in (tmp_path / name).read_text()
    found = json.loads((tmp_path / "model_card.json").read_text())
    assert found["metrics"]["evaluation"] == {"seed": 3}
    gone = ("data_dir", "features_dir", "download")
    config["data"] = {key: x for key, x in config["data"].items() if key not in gone}
    assert found["configuration"] == config


@pytest.mark.parametrize(
    ("training", "step", "wanted", "unwanted"),
    [
        ({"steps": 2500, "planned_steps": 2500}, 500, ["These numbers are of step 2500."], "stopped"),
        ({"steps": 2500, "planned_steps": 2500}, 2500, [], "stopped|These numbers"),
        ({"steps": 700, "planned_steps": 2500}, 700, ["Training stopped at step 700 of 2500 planned."], "These numbers"),
        ({"steps": 700, "planned_steps": 2500}, 500, ["are of step 700.", "stopped at step 700 of 2500"], "finished"),
        ({"steps": 700}, 700, [], "stopped|These numbers"),
        ({}, 700, ["No training.json: it was not trained by `train`"], "finished|stopped"),
    ],
)
def test_the_card_says_of_which_step_its_training_is(exported, training, step, wanted, unwanted):
    text = card.as_markdown(card.model_card(exported[0], step) | {"training": training})
    section = text[text.index("## Training") : text.index("## Measured")]
    assert all(sentence in section for sentence in wanted)
    assert not re.search(unwanted, section)
    assert all(f"- {key}: {value}" in section for key, value in training.items())


def test_every_data_set_has_a_sentence_on_its_terms():
    for dataset in catalog.DATASETS:
        assert all(part in card.LICENCES for part in card.PARTS.get(dataset, (dataset,)))


# ---- TensorFlow Lite -------------------------------------------------------------------------------------------------


def runner(content):
    with warnings.catch_warnings():
        # Its successor has the same interface, in a package of its own: ai-edge-litert.
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated.*", category=UserWarning)
        interpreter = tf.lite.Interpreter(model_content=content)
    # The runner belongs to the interpreter, which must live as long.
    return interpreter, interpreter.get_signature_runner("serving_default")


@pytest.mark.parametrize("size", [1, 5])
def test_lite_encoders_and_decoders_equal_the_saved_model(exported, loaded, size):
    _, path = exported
    batch = digits.load(pairings=1).test.take(np.arange(size))
    served, rng = loaded.signatures, np.random.default_rng(0)
    codes = {SHARED: rng.normal(size=(size, 4))} | {PRIVATE.format(n): rng.normal(size=(size, 2)) for n in batch}
    codes = {n: x.astype(np.float32) for n, x in codes.items()}
    decoded = served["decode"](**{n: tf.constant(x) for n, x in codes.items()})
    for name, x in batch.items():
        x = x / np.float32(255) if x.dtype == np.uint8 and name != "word" else x.astype(np.int32)
        kept, encode = runner((path / EXTRA / LITE / f"encode_{name}.tflite").read_bytes())
        wanted, found = served[f"encode_{name}"](**{name: tf.constant(x)}), encode(**{name: x})
        assert set(found) == set(wanted)
        for output, values in wanted.items():
            np.testing.assert_allclose(found[output], values, rtol=1e-4, atol=1e-4, err_msg=f"{name} {output}")
        kept, decode = runner((path / EXTRA / LITE / f"decode_{name}.tflite").read_bytes())
        found = decode(**{n: codes[n] for n in (SHARED, PRIVATE.format(name))})
        np.testing.assert_allclose(found[name], decoded[name], rtol=1e-4, atol=1e-4, err_msg=name)
        del kept


UNITS = {"location": (0.5,), "spread": (2.0,)}
CUB = (Modality("image", (2048,), "normal", **UNITS), Modality("caption", (1024,), "normal", **UNITS))
OWN = (
    Modality("counts", (5,), "negative_binomial", **UNITS),
    Modality("cells", (4,), "normal", missing_cells=True),
    Modality("flags", (6,), "bernoulli"),
    Modality("kinds", (3,), "categorical", num_classes=7),
)


@pytest.mark.parametrize(
    ("dataset", "modalities", "model", "parts"),
    [
        ("celeba", celeba.MODALITIES, "mmjsd", ("encode_image", "decode_text")),
        ("cub", CUB, "mvae", ("encode_image", "decode_image", "encode_caption", "decode_caption")),
        ("arrays", OWN, "mvae", tuple(f"{verb}_{m.name}" for m in OWN for verb in ("encode", "decode"))),
        ("digits", digits.MODALITIES, "mmali", ("encode_scene", "decode_word")),
    ],
)
def test_networks_of_every_data_set_are_converted(dataset, modalities, model, parts):
    """With random weights, alone and in a batch; of values where there are some, and of codes."""
    config = Config(DataConfig(dataset), ModelConfig(model=model, shared_dim=6, private_dim=3), TrainConfig())
    built = catalog.build_model(config, catalog.configure(modalities, config.model))
    rng = np.random.default_rng(0)
    for part in parts:
        function, specs = lite.parts_of(built)[part]
        kept, run = runner(lite.convert(part, function, specs, list(built.served_weights().values())))
        for size in (1, 3):
            draws = {s.name: rng.integers(0, 3, (size, *s.shape[1:])) for s in specs}
            given = {s.name: draws[s.name].astype(s.dtype.as_numpy_dtype) for s in specs}
            wanted, found = function(**{n: tf.constant(x) for n, x in given.items()}), run(**given)
            assert set(found) == set(wanted)
            for output, x in wanted.items():
                np.testing.assert_allclose(found[output], x, rtol=1e-4, atol=1e-4, err_msg=f"{part} {output}")
        del kept


def test_an_operation_that_lite_does_not_have_is_named():
    spec = [tf.TensorSpec([2, 2], name="x")]
    with pytest.raises(
        UserError, match=r"^odd cannot be .* TensorFlow Lite: it does not have tf.Cholesky. .* without --tflite"
    ):
        lite.convert("odd", lambda x: {"y": tf.linalg.cholesky(x)}, spec)
