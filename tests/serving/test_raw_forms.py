"""What is a picture, what a raw signature turns into another form, and that an answer can be sent back."""

import dataclasses

import numpy as np
import pytest
import small_served
import tensorflow as tf
import toys

from mmtf import registry
from mmtf.config import Config, DataConfig, ModelConfig, TrainConfig
from mmtf.data import from_arrays
from mmtf.modality import Modality
from mmtf.models.vae.mmjsd import MMJSD
from mmtf.serving import requests, signatures
from mmtf.verbs import evaluate

COUNT = 40


def test_a_text_is_never_that_of_several_examples(small_run):
    """What is masked by `present_text` would otherwise be laid on all of them."""
    model, _ = evaluate.load_model(small_run)
    batch = {
        "image": tf.zeros([3, 4, 4, 1], tf.uint8), "vector": tf.zeros([3, 3]),
        **{f"present_{n}": tf.constant([True] * 3) for n in model.names},
    }  # fmt: skip
    for name, seed in (("encode_any", {}), ("sample_from_any", {"seed": tf.constant([0, 1])})):
        asked = small_served.raw(model, name)
        for count in (1, 2):
            sizes = rf"wanted as many examples of each of image, text, vector, .*there are \[3 {count} 3 3 3 3\]"
            with pytest.raises(tf.errors.InvalidArgumentError, match=sizes):
                asked(**batch, text=tf.constant(["abc"] * count), **seed)


def model_of(*parts):
    decoders = {m.name: toys.decoder(m, toys.SHARED + m.private_dim) for m in parts}
    return MMJSD(parts, {m.name: toys.encoder(m) for m in parts}, decoders, shared_dim=toys.SHARED)


def test_codes_and_numbers_that_are_called_like_a_modality_stay_what_they_are():
    """Modalities called as outputs and inputs are: values become bytes, posteriors and codes do not."""
    names = ("mean", "shared")
    model = model_of(*(Modality(name, (2, 2, 1)) for name in names))
    verbs = signatures.verbs_of(model)
    bytes_ = {n: np.full((2, 2, 2, 1), 51 * k, np.uint8) for k, n in enumerate(names)}
    floats = {n: tf.constant(x / np.float32(255)) for n, x in bytes_.items()}
    every = {f"present_{n}": tf.constant([True, True]) for n in names}
    codes, asked = {"shared": tf.constant([[0.3, -1.0, 2.0]])}, {"n": tf.constant(3), "seed": tf.constant([0, 1])}
    for name, given, further in (
        ("encode", True, {}), ("encode_any", True, every), ("decode", False, codes), ("score_any", True, every | asked),
        ("reconstruct", True, {}),
    ):  # fmt: skip
        wanted = verbs[name].traced()(**(floats if given else {}), **further)
        asked = {n: tf.constant(x) for n, x in bytes_.items()} if given else {}
        found = small_served.raw(model, name)(**asked, **further)
        assert set(found) == set(wanted)
        for output, x in wanted.items():
            value = output in {m.name for m in verbs[name].gives}
            assert found[output].dtype == (tf.uint8 if value else tf.float32), f"{name} {output}"
            units = {"rtol": 0, "atol": 0.51 / 255} if value else toys.ROUNDING
            scaled = np.asarray(found[output], np.float32) / (255 if value else 1)
            np.testing.assert_allclose(scaled, x, **units, err_msg=f"{name} {output}")


def test_an_answer_can_be_sent_back():
    """Of a linear decoder, whose pixels may be anything: they come out as the nearest that there are."""
    model, x, seed = toys.model("mvae"), toys.values(5), tf.constant([1, 2])
    decoder = model.coders.decoders["image"]
    decoder.set_weights([5 * w for w in decoder.get_weights()])
    said = {"reconstruct": model.reconstruct(x), "generate": model.generate(50, seed)}
    given = {"reconstruct": {n: tf.constant(v) for n, v in x.items()}, "generate": {"n": tf.constant(50), "seed": seed}}
    verbs = signatures.verbs_of(model)
    beyond = [np.asarray(values["image"]) for values in said.values()]
    assert min(v.min() for v in beyond) < -0.1
    assert max(v.max() for v in beyond) > 1.1
    for name, values in said.items():
        found = verbs[name].traced()(**given[name])
        np.testing.assert_allclose(found["image"], np.clip(values["image"], 0, 1), atol=1e-5)
        np.testing.assert_allclose(found["vector"], values["vector"], rtol=1e-5, atol=1e-5)
        again = verbs["encode"].traced()(**found)
        assert np.all(np.isfinite(again["mean"]))


# ---- which values are pixels -----------------------------------------------------------------------------------------


def own(**options):
    """Decibels, bytes, grey values in 0..1 and booleans, each `[N, 4, 4, 1]`."""
    rng = np.random.default_rng(0)
    decibels = rng.normal(-40, 5, (COUNT, 4, 4, 1))
    bytes_ = rng.integers(0, 256, (COUNT, 4, 4, 1), np.uint8)
    values = {"decibels": decibels, "bytes_": bytes_, "grey": rng.uniform(size=(COUNT, 4, 4, 1)), "mask": bytes_ > 99}
    return from_arrays(values, **options)


@pytest.mark.parametrize("standardise", [True, False])
def test_own_values_are_pixels_where_they_were_read_as_such(standardise):
    parts = {m.name: m for m in own(standardise=standardise).modalities}
    found = {n: (m.likelihood, m.pixels) for n, m in parts.items()}
    assert found["decibels"] == ("normal", False)
    assert found["bytes_"] == found["grey"] == ("laplace", True)
    assert {n: m.has_pixels for n, m in parts.items()} == {n: m.pixels for n, m in parts.items()}
    again = own(likelihoods={"grey": {"likelihood": "normal", "location": [0.5], "spread": [0.3]}, "bytes_": {"pixels": False}})
    assert [m.pixels for m in again.modalities][:3] == [False, False, False]


def test_own_values_without_a_unit_are_served_in_their_own():
    data = own(standardise=False).only(["decibels", "bytes_"])
    settings = Config(DataConfig("arrays"), ModelConfig(shared_dim=4), TrainConfig(batch_size=8))
    model = registry.build_model(settings, registry.configure(data.modalities, settings.model))
    verbs, x = signatures.verbs_of(model), tf.constant(data.test.take(np.arange(2))["decibels"])
    found = verbs["encode_decibels"].traced()(decibels=x)
    np.testing.assert_allclose(found["shared_mean"], model.encode({"decibels": x}).shared["decibels"].mean(), rtol=1e-5)
    assert not requests.has_raw(model.modalities["decibels"])
    assert requests.has_raw(model.modalities["bytes_"])
    codes = tf.constant(np.full((1, 4), 3.0, np.float32))
    decoded = small_served.raw(model, "decode")(shared=codes)
    # Networks that were not trained are somewhere about 0, on both sides.
    assert decoded["decibels"].dtype == tf.float32
    assert np.asarray(decoded["decibels"]).min() < 0
    assert decoded["bytes_"].dtype == tf.uint8


def test_what_earlier_versions_kept_of_a_modality_is_read():
    fields = dataclasses.asdict(Modality("scene", (32, 32, 3)))
    del fields["pixels"]
    modality = Modality.from_json(fields)
    assert modality == Modality("scene", (32, 32, 3))
    assert modality.has_pixels
    assert not dataclasses.replace(modality, pixels=False).has_pixels


@pytest.mark.parametrize(
    "fields", [{"likelihood": "categorical", "num_classes": 3}, {"likelihood": "negative_binomial"}, {"spread": (2.0,)}]
)
def test_pixels_are_real_values_in_no_other_unit(fields):
    with pytest.raises(ValueError, match="pixels are laplace, normal or bernoulli values"):
        Modality("x", (4, 4, 1), pixels=True, **fields)
