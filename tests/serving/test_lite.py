"""TensorFlow Lite files: encoders and decoders that answer what the model does, and what cannot be one."""

import warnings

import numpy as np
import pytest
import small_served
import tensorflow as tf

from mmtf import registry
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import celeba, digits
from mmtf.distributions.likelihood import shown_value
from mmtf.errors import UserError
from mmtf.modality import Modality
from mmtf.serving import lite
from mmtf.serving.signatures import PRIVATE, SHARED
from mmtf.verbs import evaluate
from mmtf.verbs.export import EXTRA, LITE

UNITS = {"location": (0.5,), "spread": (2.0,)}
CUB = (Modality("image", (2048,), "normal", **UNITS), Modality("caption", (1024,), "normal", **UNITS))
OWN = (
    Modality("counts", (5,), "negative_binomial", **UNITS),
    Modality("cells", (4,), "normal", missing_cells=True),
    Modality("flags", (6,), "bernoulli"),
    Modality("kinds", (3,), "categorical", num_classes=7),
)


def assert_answers(content, asked, what):
    """asked: pairs of what a file is given and what it has to answer."""
    with warnings.catch_warnings():
        # Its successor has the same interface, in a package of its own: ai-edge-litert.
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated.*", category=UserWarning)
        # The runner belongs to the interpreter, which must live as long.
        interpreter = tf.lite.Interpreter(model_content=content)
    run = interpreter.get_signature_runner("serving_default")
    for given, wanted in asked:
        found = run(**given)
        assert set(found) == set(wanted), what
        for output, x in wanted.items():
            np.testing.assert_allclose(found[output], x, rtol=1e-4, atol=1e-4, err_msg=f"{what} {output}")


def encoding(model, name, x):
    """What the encoder of a modality answers."""
    codes, found = model.encode({name: x}), {}
    for kind, q in (("shared", codes.shared[name]), ("private", codes.private[name])):
        found |= {f"{kind}_mean": q.mean(), f"{kind}_stddev": q.stddev()}
    return {name: x}, found


def decoding(model, name, size):
    """What the decoder of a modality answers to codes, pixels within 0..1."""
    rng, modality = np.random.default_rng(0), model.modalities[name]
    shared, private = (rng.normal(size=(size, d)).astype(np.float32) for d in (model.shared_dim, modality.private_dim))
    value = shown_value(modality, model.decode(shared, {name: private}, to=[name])[name])
    answer = np.clip(value, 0, 1) if modality.has_pixels else value
    return {SHARED: shared, PRIVATE.format(name): private}, {name: answer}


def check_files(folder, model, split):
    for name in model.names:
        values = (small_served.values(split, np.arange(size))[name] for size in (1, 5))
        kind = np.int32 if model.modalities[name].num_classes else np.float32
        asked = [encoding(model, name, x.astype(kind)) for x in values]
        assert_answers((folder / f"encode_{name}.tflite").read_bytes(), asked, f"encode_{name}")
        asked = [decoding(model, name, size) for size in (1, 5)]
        assert_answers((folder / f"decode_{name}.tflite").read_bytes(), asked, f"decode_{name}")


def test_exported_encoders_and_decoders_equal_the_model(small_run, small_export):
    files = small_export / EXTRA / LITE
    assert sorted(f.stem for f in files.iterdir()) == [f"{v}_{n}" for v in ("decode", "encode") for n in small_served.NAMES]
    check_files(files, evaluate.load_model(small_run)[0], small_served.data().test)


@pytest.mark.slow
def test_the_digits_encoders_and_decoders_equal_the_model(digits_run, digits_export):
    check_files(digits_export / EXTRA / LITE, evaluate.load_model(digits_run)[0], digits.load(pairings=1).test)


@pytest.mark.parametrize(
    ("dataset", "modalities", "model", "parts"),
    [
        ("arrays", OWN, "mvae", (*(f"encode_{m.name}" for m in OWN), "decode_counts", "decode_kinds")),
        pytest.param("celeba", celeba.MODALITIES, "mmjsd", ("encode_image", "decode_text"), marks=pytest.mark.slow),
        pytest.param("cub", CUB, "mvae", ("encode_image", "decode_image", "decode_caption"), marks=pytest.mark.slow),
        pytest.param("digits", digits.MODALITIES, "mmali", ("encode_scene", "decode_word"), marks=pytest.mark.slow),
    ],
)
def test_networks_of_every_data_set_are_converted(dataset, modalities, model, parts):
    """With random weights, alone and in a batch; of values where there are some, and of codes."""
    config = Config(DataConfig(dataset), ModelConfig(model=model, shared_dim=6, private_dim=3), TrainConfig())
    built = registry.build_model(config, registry.configure(modalities, config.model))
    rng = np.random.default_rng(0)
    for part in parts:
        function, specs = lite.parts_of(built)[part]
        given = [
            {s.name: rng.integers(0, 3, (size, *s.shape[1:])).astype(s.dtype.as_numpy_dtype) for s in specs} for size in (1, 3)
        ]
        asked = [(values, function(**{n: tf.constant(x) for n, x in values.items()})) for values in given]
        assert_answers(lite.convert(part, function, specs, list(built.served_weights().values())), asked, part)


def test_an_operation_that_lite_does_not_have_is_named():
    spec = [tf.TensorSpec([2, 2], name="x")]
    with pytest.raises(
        UserError, match=r"^odd cannot be .* TensorFlow Lite: it does not have tf.Cholesky. .* without --tflite"
    ):
        lite.convert("odd", lambda x: {"y": tf.linalg.cholesky(x)}, spec)
