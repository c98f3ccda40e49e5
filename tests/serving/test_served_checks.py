"""Requests that make no sense end with a sentence; what is masked may be anything."""

import adversarial_toys
import numpy as np
import pytest
import tensorflow as tf
import toys

from mmtf.modality import Modality
from mmtf.serving import checks, signatures
from mmtf.serving.requests import PRESENT

NAMES = ("vector", "image", "text")
VALUES = toys.values(3)


@pytest.fixture(scope="module", params=["vae", "game"])
def served(request):
    model = toys.model("mvae") if request.param == "vae" else adversarial_toys.model("joint")
    verbs = signatures.verbs_of(model)
    wanted = ("encode_any", "encode", "generate", "compare", "decode", "score_text")
    return {name: verbs[name].traced() for name in wanted if name in verbs}


def asked(mask=None, **changed):
    values = {n: tf.constant(changed.get(n, x)) for n, x in VALUES.items()}
    present = {n: np.ones(3, bool) for n in NAMES} | (mask or {})
    return values | {PRESENT.format(n): tf.constant(x) for n, x in present.items()}


def with_cell(name, value, row=1):
    x = VALUES[name].copy()
    x[row].flat[-1] = value
    return {name: x}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (with_cell("vector", np.nan), "vector: wanted finite numbers, but example 1 has nan"),
        (with_cell("vector", -np.inf, row=2), "vector: wanted finite numbers, but example 2 has -inf"),
        (with_cell("image", 255), r"image: wanted numbers in 0\.\.1, but example 1 has 255"),
        (with_cell("image", -0.5, row=0), r"image: wanted numbers in 0\.\.1, but example 0 has -0.5"),
        (with_cell("image", np.nan), r"image: wanted numbers in 0\.\.1, but example 1 has nan"),
        (with_cell("text", 5), r"text: wanted class indices in 0\.\.4, but example 1 has 5"),
        (with_cell("text", -1, row=2), r"text: wanted class indices in 0\.\.4, but example 2 has -1"),
        ({"image": VALUES["image"][:2]}, r"wanted as many examples of each of .* there are \[3 2 3 3 3 3\]"),
    ],
)
def test_a_present_value_is_checked_and_a_missing_one_is_not(served, changed, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        served["encode_any"](**asked(**changed))
    name, value = next(iter(changed.items()))
    if len(value) == 3:
        missing = {name: np.zeros(3, bool)}
        found = served["encode_any"](**asked(missing, **changed))["mean"]
        np.testing.assert_allclose(found, served["encode_any"](**asked(missing))["mean"], **toys.ROUNDING)


def test_an_example_without_anything_is_named(served):
    nothing = {n: np.array([True, True, False]) for n in NAMES}
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="wanted one of vector, image, text in every example, but example 2"
    ):
        served["encode_any"](**asked(nothing))


@pytest.mark.parametrize("n", [0, -3])
def test_a_number_of_samples_is_at_least_one(served, n):
    message = f"n: wanted 1 or more, but it is {n}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        served["generate"](n=tf.constant(n), seed=tf.constant([0, 1]))
    if "score_text" in served:
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            served["score_text"](text=tf.constant(VALUES["text"]), n=tf.constant(n), seed=tf.constant([0, 1]))


def test_codes_and_embeddings_are_checked(served):
    codes = np.ones((2, 2 * toys.SHARED), np.float32)
    codes[1, -1] = 0.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="candidates: wanted finite numbers above 0, but example 1 has 0"):
        served["compare"](queries=tf.ones([1, 6]), candidates=tf.constant(codes))
    private = {f"private_{n}": tf.zeros([2, 2]) for n in NAMES}
    with pytest.raises(tf.errors.InvalidArgumentError, match="shared: wanted finite numbers, but example 0 has nan"):
        served["decode"](shared=tf.fill([2, toys.SHARED], np.float32(np.nan)), **private)


def test_another_size_is_refused_by_the_signature_itself(served):
    with pytest.raises((TypeError, ValueError, tf.errors.InvalidArgumentError), match="shape|Shape|compatible|Binding"):
        served["encode"](**{n: tf.constant(x) for n, x in (VALUES | {"image": np.zeros((3, 4, 4, 1), np.float32)}).items()})


@pytest.mark.parametrize(
    ("modality", "good", "bad"),
    [
        (Modality("x", (1,), "normal", missing_cells=True), [np.nan, 3.0, -9.0], [np.inf]),
        (Modality("x", (1,), "bernoulli"), [0.0, 0.3, 1.0], [1.5, -0.1, np.nan]),
        (Modality("x", (1,), "negative_binomial"), [0.0, 17.0], [0.5, -1.0, np.nan, np.inf]),
        (Modality("x", (1,), "categorical", num_classes=3, missing_cells=True), [-1, 0, 2], [-2, 3]),
        (Modality("x", (1, 1, 1), "laplace"), [0.0, 1.0], [1.001, -0.001]),
        (Modality("x", (1, 1, 1), "laplace", location=(0.5,), spread=(2.0,)), [-7.0, 9.0], [np.nan]),
        (Modality("x", (1,), "laplace"), [-7.0, 9.0], [np.nan]),
    ],
)
def test_what_a_likelihood_allows_is_what_arrays_are_checked_for(modality, good, bad):
    dtype = tf.int32 if modality.num_classes else tf.float32

    @tf.function
    def read(x):
        return checks.after([checks.in_range(modality, x)], x)

    for value in good:
        read(tf.fill([2, *modality.event_shape], tf.constant(value, dtype)))
    for value in bad:
        with pytest.raises(tf.errors.InvalidArgumentError, match="x: wanted"):
            read(tf.fill([2, *modality.event_shape], tf.constant(value, dtype)))
