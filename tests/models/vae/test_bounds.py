"""Importance-weighted bounds on a model whose likelihood and posterior are known, and the estimators of their gradients."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from mmtf.models.vae import bounds

tfd = tfp.distributions

# z ~ N(0, 1), x|z ~ N(a z, s^2): x ~ N(0, a^2 + s^2), and z|x ~ N(a x / (a^2 + s^2), s^2 / (a^2 + s^2)).
A, S, X = 0.8, 0.6, 1.3
VARIANCE = A**2 + S**2
LOG_PX = -0.5 * (np.log(2 * np.pi * VARIANCE) + X**2 / VARIANCE)
POSTERIOR = A * X / VARIANCE, np.sqrt(S**2 / VARIANCE)


def gaussian(loc, scale):
    return tfd.MultivariateNormalDiag(tf.constant([loc], tf.float64), tf.constant([scale], tf.float64))


def log_joint(z, slope=A):
    z = z[..., 0]
    log_prior = -0.5 * (np.log(2 * np.pi) + z**2)
    return log_prior - 0.5 * (np.log(2 * np.pi * S**2) + (X - slope * z) ** 2 / S**2)


def log_weights(q, count, draws, seed=0):
    z = q.sample([count, draws], seed=[seed, 1])
    return log_joint(z) - q.log_prob(z)


def test_with_the_true_posterior_every_bound_is_exact():
    weights = log_weights(gaussian(*POSTERIOR), 3, 50)
    for bound in (bounds.importance_bound, bounds.chi_bound):
        np.testing.assert_allclose(bound(weights), LOG_PX, rtol=1e-12)


def mean_and_error(values):
    return np.mean(values), np.std(values) / np.sqrt(len(values))


def test_the_lower_bound_rises_with_the_samples_to_the_likelihood():
    q, found = gaussian(0.2, 0.9), []
    for count in (1, 4, 16, 256):
        found.append(mean_and_error(bounds.importance_bound(log_weights(q, count, 20_000))))
    (first, error), (last, last_error) = found[0], found[-1]
    kl = np.log(POSTERIOR[1] / 0.9) + (0.9**2 + (0.2 - POSTERIOR[0]) ** 2) / (2 * POSTERIOR[1] ** 2) - 0.5
    assert abs(first - (LOG_PX - kl)) < 4 * error, "with one sample it is the ELBO"
    means = [mean for mean, _ in found]
    assert means == sorted(means)
    assert means[2] < LOG_PX + 4 * found[2][1]
    assert abs(last - LOG_PX) < 4 * last_error + 2e-3


def test_cubo_is_above_the_likelihood_by_half_the_renyi_divergence():
    """1/2 log E[w^2] in closed form, of Gaussians with 2 / posterior variance > 1 / q's variance."""
    loc, scale = 0.2, 0.9
    q = gaussian(loc, scale)
    m, s = POSTERIOR
    mixed = 2 * scale**2 - s**2  # s*^2 of order 2
    renyi = np.log(scale / s) + 0.5 * np.log(scale**2 / mixed) + (m - loc) ** 2 / mixed
    weights = log_weights(q, 400_000, 1)
    found = float(bounds.chi_bound(weights)[0])
    assert found > LOG_PX
    np.testing.assert_allclose(found, LOG_PX + 0.5 * renyi, atol=5e-3)


@functools.cache
def gradients(estimator, count, draws=20_000):
    """Gradients of the bound by q's location and scale and by the decoder's slope, `[draws, 3]`."""
    # One of each for every draw, so that one backward pass gives all draws' gradients.
    loc, scale, slope = (tf.fill([1, draws, 1], tf.constant(v, tf.float64)) for v in (0.2, 0.9, A))
    noise = tf.random.stateless_normal([count, draws, 1], [count, 5], dtype=tf.float64)
    with tf.GradientTape() as tape:
        tape.watch([loc, scale, slope])
        q = tfd.MultivariateNormalDiag(loc, scale)
        gradient = bounds.Gradient(estimator)
        z = gradient.samples(loc + scale * noise)
        bound = gradient.bound(log_joint(z, slope[..., 0]) - gradient.density(q).log_prob(z))
    return np.concatenate([np.asarray(g)[0] for g in tape.gradient(bound, [loc, scale, slope])], axis=-1)


def differ(one, other):
    """By how many standard errors the means of the two differ, in each parameter."""
    errors = np.sqrt(one.var(0) / len(one) + other.var(0) / len(other))
    return np.abs(one.mean(0) - other.mean(0)) / errors


@pytest.mark.parametrize("count", [1, 2, 8])
def test_dreg_has_the_expectation_of_iwae(count):
    assert differ(gradients("dreg", count), gradients("iwae", count)).max() < 4


def test_stl_has_it_with_one_sample_and_not_with_more():
    assert differ(gradients("stl", 1), gradients("iwae", 1)).max() < 4
    assert differ(gradients("stl", 8), gradients("iwae", 8))[:2].max() > 10


def test_decoders_get_the_same_gradient_from_all():
    for estimator in ("stl", "dreg"):
        np.testing.assert_allclose(gradients(estimator, 8)[:, 2], gradients("iwae", 8)[:, 2], rtol=1e-9)


def test_dreg_s_signal_does_not_drown_as_samples_are_added():
    def noise_over_signal(estimator, count):
        found = gradients(estimator, count, 10_000)[:, :2]
        return found.std(0) / np.abs(found.mean(0))

    assert np.all(gradients("dreg", 32, 10_000).var(0)[:2] < gradients("iwae", 32, 10_000).var(0)[:2] / 4)
    assert np.all(noise_over_signal("iwae", 64) > 1.5 * noise_over_signal("iwae", 4))
    assert np.all(noise_over_signal("dreg", 64) < 1.5 * noise_over_signal("dreg", 4))


def test_dreg_works_inside_a_graph():
    noise = tf.random.stateless_normal([4, 3, 1], [0, 0], dtype=tf.float64)

    def step(loc):
        with tf.GradientTape() as tape:
            tape.watch(loc)
            q = tfd.MultivariateNormalDiag(loc, tf.ones_like(loc))
            gradient = bounds.Gradient("dreg")
            z = gradient.samples(loc + noise)
            bound = gradient.bound(log_joint(z) - gradient.density(q).log_prob(z))
        return tape.gradient(bound, loc)

    loc = tf.constant([[0.3], [0.1], [-0.5]], tf.float64)
    np.testing.assert_allclose(tf.function(step)(loc), step(loc), rtol=1e-12)
    np.testing.assert_allclose(tf.function(step, jit_compile=True)(loc), step(loc), rtol=1e-9)


def test_an_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match="iwae, stl, dreg, not 'vimco'"):
        bounds.Gradient("vimco")
