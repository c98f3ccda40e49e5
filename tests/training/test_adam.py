"""Adam of the papers' releases: epsilon after the bias correction, against the algorithm in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.training.adam import Adam

EPSILON = 1e-3  # large enough to tell the two places apart


def moved(optimizer, gradients):
    variable = keras.Variable(np.zeros(gradients.shape[1], np.float32))
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [variable])
    return variable.numpy()


@pytest.fixture
def gradients():
    return (np.random.default_rng(0).normal(size=(7, 5)) * [1, 1e-1, 1e-2, 1e-3, 1e-4]).astype(np.float32)


def test_steps_are_those_of_the_paper(gradients):
    """[Kingma, Ba 2015] algorithm 1 in float64."""
    value, mean, square = np.zeros(5), np.zeros(5), np.zeros(5)
    for step, gradient in enumerate(gradients.astype(np.float64), 1):
        mean, square = 0.5 * mean + 0.5 * gradient, 0.999 * square + 0.001 * gradient**2
        value -= 0.1 * mean / (1 - 0.5**step) / (np.sqrt(square / (1 - 0.999**step)) + EPSILON)
    np.testing.assert_allclose(moved(Adam(0.1, 0.5, epsilon=EPSILON), gradients), value, rtol=1e-4)


def test_keras_adds_its_epsilon_before_the_correction(gradients):
    """Why there is an Adam of our own: Keras' takes small gradients for next to nothing in its first steps."""
    ours, keras_own = (moved(made(0.1, 0.5, epsilon=EPSILON), gradients) for made in (Adam, keras.optimizers.Adam))
    assert abs(keras_own[-1]) < 0.5 * abs(ours[-1])


def test_without_epsilon_to_speak_of_it_is_keras_adam(gradients):
    ours, keras_own = (moved(made(0.1, 0.5, epsilon=1e-12), gradients) for made in (Adam, keras.optimizers.Adam))
    np.testing.assert_allclose(ours, keras_own, rtol=1e-4)


def test_it_is_kept_and_read_again():
    again = keras.optimizers.get(keras.optimizers.serialize(Adam(0.1, 0.5, epsilon=1e-6)))
    assert isinstance(again, Adam)
    assert (float(again.learning_rate.numpy()), again.beta_1, again.epsilon) == (pytest.approx(0.1), 0.5, 1e-6)


def test_what_it_does_not_have_is_refused():
    with pytest.raises(ValueError, match="amsgrad"):
        Adam(amsgrad=True)
