"""Relaxed values, which a game compares: what becomes of values, and what a decoder's answer means in their own unit."""

import numpy as np
import tensorflow as tf

from mmtf.distributions.likelihood import mean_value, shown_value
from mmtf.modality import Modality
from mmtf.models.gan.relaxation import output_distribution, relax


def test_numbers_are_standardised():
    real = Modality("a", (2,), "normal", location=(10.0, 0.0), spread=(2.0, 1.0))
    np.testing.assert_allclose(shown_value(real, output_distribution(real, tf.constant([[1.0, 1.0]]))), [[12.0, 1.0]])
    np.testing.assert_allclose(relax(real, tf.constant([[12.0, 1.0]])), [[1.0, 1.0]])


def test_bytes_are_from_0_to_1():
    image = Modality("image", (1, 2, 1))
    np.testing.assert_allclose(relax(image, tf.constant([[[[0.25], [1.0]]]])), [[[[0.25], [1.0]]]])
    np.testing.assert_allclose(
        mean_value(image, output_distribution(image, tf.constant([[[[0.25], [1.0]]]]))), [[[[0.25], [1.0]]]]
    )


def test_counts_are_standardised_logarithms_and_never_negative():
    counts = Modality("counts", (4,), "negative_binomial", location=(1.0,), spread=(0.5,))
    x = tf.constant([[0.0, 1.0, 7.0, 100.0]])
    np.testing.assert_allclose(relax(counts, x), (np.log1p(x) - 1.0) / 0.5, rtol=1e-5)
    np.testing.assert_allclose(shown_value(counts, output_distribution(counts, relax(counts, x))), x, rtol=1e-4, atol=1e-5)
    assert np.all(shown_value(counts, output_distribution(counts, tf.fill([1, 4], -9.0))) == 0)


def test_classes_are_one_hot_codes_and_an_answer_their_probabilities():
    classes = Modality("classes", (3,), "categorical", num_classes=4)
    rows = tf.nn.softmax(tf.random.stateless_normal([2, 3, 4], (0, 1)))
    np.testing.assert_array_equal(shown_value(classes, output_distribution(classes, rows)), tf.argmax(rows, -1))
    np.testing.assert_allclose(mean_value(classes, output_distribution(classes, rows)), rows, rtol=1e-5)
    np.testing.assert_array_equal(relax(classes, tf.constant([[0, 3, 1]])), [np.eye(4)[[0, 3, 1]]])


def test_of_bits_an_answer_is_the_probability():
    bits = Modality("bits", (7,), "bernoulli")
    np.testing.assert_allclose(
        mean_value(bits, output_distribution(bits, tf.fill([1, 7], 0.3))), np.full((1, 7), 0.3), rtol=1e-5
    )
