"""Rule: the same numbers in another type or container mean the same, in training, in verbs and in what is measured.

What a byte stands for is said once, by the modality (`Modality.has_pixels`).
"""

import dataclasses
import tempfile

import numpy as np
import pandas
import polars
import pytest
import scipy.sparse
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from own_values import LABELS, REAL, N, both

from mmtf import registry
from mmtf.config import Config, DataConfig, ModelConfig
from mmtf.errors import UserError
from mmtf.evaluation.batches import in_own_unit
from mmtf.modality import Modality

RNG = np.random.default_rng(4)
TYPES = ("bool", "uint8", "int8", "uint16", ">i4", "int64", "float32", ">f8")
CONTAINERS = {
    "array": lambda x: x,
    "list": lambda x: x.tolist(),
    "reversed strides": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "Fortran order": np.asfortranarray,
    "pandas": lambda x: pandas.DataFrame(x.astype(x.dtype.newbyteorder("="))),
    "pandas, nullable": lambda x: pandas.DataFrame(x.astype(x.dtype.newbyteorder("="))).convert_dtypes(),
    "polars": lambda x: polars.DataFrame(x.astype(x.dtype.newbyteorder("="))),
    "pyarrow": lambda x: pandas.DataFrame(x.astype(x.dtype.newbyteorder("="))).convert_dtypes(dtype_backend="pyarrow"),
    "memmap": lambda x: _mapped(x),
    "tensor": lambda x: tf.constant(x.astype(x.dtype.newbyteorder("="))),
    "sparse": lambda x: scipy.sparse.csr_matrix(x.astype(x.dtype.newbyteorder("="))),
}


def _mapped(x):
    with tempfile.TemporaryFile() as file:
        file.write(x.tobytes())
        file.flush()
        return np.memmap(file, x.dtype, "r", shape=x.shape)


def model_of(data):
    config = Config(DataConfig("arrays"), ModelConfig("mmjsd", shared_dim=3))
    return registry.build_model(config, registry.configure(data.modalities, config.model))


def means(model, x, name="x"):
    return model.encode({name: x}).shared[name].loc.numpy()


WHOLE = {
    "bernoulli": RNG.integers(0, 2, (N, 4)),
    "normal": np.stack([RNG.integers(0, 2, N), RNG.integers(3, 90, N), 7 * LABELS, LABELS], 1),
    "laplace": RNG.integers(2, 120, (N, 4)),
    "negative_binomial": RNG.poisson(5, (N, 4)),
    "categorical": RNG.integers(0, 5, (N, 4)),
}


@pytest.fixture(scope="module")
def models():
    return {kind: model_of(both(x.astype(np.float32), likelihoods={"x": kind})) for kind, x in WHOLE.items()}


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.sampled_from(TYPES), st.sampled_from(sorted(CONTAINERS)))
def test_encode_answers_alike_for_every_type_and_container(models, kind, dtype, container):
    # What is inside tensors is not looked at: fractions could not be told from classes.
    assume(not (kind == "categorical" and container == "tensor" and dtype in ("float32", ">f8")))
    x = WHOLE[kind]
    if dtype == "bool":
        x = x * 0 + (x > x.min())
    model, typed = models[kind], x.astype(dtype)
    found = means(model, CONTAINERS[container](typed))
    np.testing.assert_array_equal(found, means(model, x.astype(np.int32 if kind == "categorical" else np.float32)))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.sampled_from(TYPES[1:]), st.sampled_from(sorted(CONTAINERS)))
def test_training_takes_every_type_and_container_alike(kind, dtype, container):
    expected = both(WHOLE[kind].astype(np.float64), likelihoods={"x": kind})
    found = both(CONTAINERS[container](WHOLE[kind].astype(dtype)), likelihoods={"x": kind})
    assert found.modalities == expected.modalities
    np.testing.assert_array_equal(found.train.pools["x"], expected.train.pools["x"])


MASK = RNG.integers(0, 2, (N, 8, 8, 1))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32", "float64"])
def test_a_mask_of_0_and_1_is_no_picture_of_bytes(dtype):
    """With bytes as pixels the inside of a mask would be 1 / 255."""
    data = both(MASK.astype(dtype))
    modality = data.modalities[0]
    assert (modality.likelihood, modality.has_pixels) == ("bernoulli", False)
    assert data.train.pools["x"].max() == 1.0
    model = model_of(data)
    answers = [means(model, MASK.astype(other)) for other in ("bool", "uint8", "int64", "float32")]
    for other in answers[1:]:
        np.testing.assert_array_equal(other, answers[0])


@pytest.mark.parametrize("likelihood", ["laplace", "bernoulli", "normal"])
def test_a_mask_of_bytes_stays_0_and_1_under_any_likelihood(likelihood):
    data = both(MASK.astype(np.uint8), likelihoods={"x": likelihood})
    assert data.train.pools["x"].max() == 1.0
    assert data.modalities == both(MASK.astype(np.float32), likelihoods={"x": likelihood}).modalities


def test_pixels_are_bytes_or_their_shares():
    bytes_ = RNG.integers(0, 256, (N, 8, 8, 3)).astype(np.uint8)
    for trained in (bytes_, bytes_ / np.float32(255)):
        model = model_of(both(trained))
        np.testing.assert_allclose(means(model, bytes_), means(model, bytes_ / np.float32(255)), atol=1e-6)
        with pytest.raises(UserError, match=r"floats of pixels are in 0\.\.1, but they run 0\.\.255"):
            model.encode({"x": bytes_.astype(np.float32)})
        with pytest.raises(UserError, match="wanted pixels as uint8 in .* not int64"):
            model.encode({"x": bytes_.astype(np.int64)})


def test_images_in_a_unit_of_their_own_are_not_divided_where_they_come_as_bytes():
    floats = np.floor(RNG.uniform(0, 255, (N, 8, 8, 1)))
    data = both(floats + 0.5)
    assert not data.modalities[0].has_pixels
    model = model_of(data)
    np.testing.assert_array_equal(means(model, floats.astype(np.uint8)), means(model, floats.astype(np.float32)))


def test_who_says_pixels_is_believed():
    flat = RNG.integers(0, 256, (N, 64)).astype(np.uint8)
    data = both(flat, likelihoods={"x": {"likelihood": "laplace", "pixels": True}})
    assert data.modalities[0].has_pixels
    assert data.modalities[0].spread == ()
    model = model_of(data)
    np.testing.assert_allclose(means(model, flat), means(model, flat / np.float32(255)), atol=1e-6)
    images = flat.reshape(N, 8, 8)
    numbers = both(images, likelihoods={"x": {"likelihood": "normal", "pixels": False}})
    assert numbers.train.pools["x"].max() > 1
    assert numbers.modalities[0].spread
    for wrong, said in ((REAL[:, :4], "pixels are in 0..1, but they run"), (LABELS, "pixels are uint8 in 0..255 or floats")):
        with pytest.raises(UserError, match=said):
            both(wrong, likelihoods={"x": {"likelihood": "laplace", "pixels": True}})


def test_whether_values_are_pixels_follows_from_the_modality():
    image = Modality("x", (4, 4, 3))
    assert image.has_pixels
    for other in (
        {"event_shape": (4, 4)}, {"location": (0.0,), "spread": (1.0,)}, {"likelihood": "categorical", "num_classes": 2},
        {"pixels": False},
    ):  # fmt: skip
        assert not dataclasses.replace(image, **other).has_pixels
    assert Modality("x", (16,), pixels=True).has_pixels


def test_what_is_measured_takes_bytes_as_the_model_does():
    bytes_ = np.array([[[[0], [255]]]], np.uint8)
    np.testing.assert_array_equal(in_own_unit(bytes_, Modality("x", (1, 2, 1))), [[[[0.0], [1.0]]]])
    np.testing.assert_array_equal(in_own_unit(bytes_, Modality("x", (1, 2, 1), pixels=False)), [[[[0.0], [255.0]]]])


def test_measurements_of_whole_numbers_are_not_counts():
    table = np.stack([RNG.normal(2000, 5, N), RNG.normal(170, 10, N)], 1).round()
    assert both(table).modalities[0].likelihood == "normal"
    assert both(table, likelihoods={"x": "negative_binomial"}).modalities[0].likelihood == "negative_binomial"
    for counts in (RNG.poisson(3, (N, 5)), RNG.negative_binomial(2, 0.01, (N, 5)) * (RNG.uniform(size=(N, 5)) > 0.3)):
        assert both(counts.astype(float)).modalities[0].likelihood == "negative_binomial"
