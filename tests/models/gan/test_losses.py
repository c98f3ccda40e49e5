"""The game's equations: built from true density ratios they are the Bayes classifier, and their losses are what they say."""

import numpy as np
import pytest
import tensorflow as tf
from oracles import log_normal

from mmtf.models.gan import losses

N = 50


def known_densities(modalities, seed=0):
    """Log-densities of the M+1 kinds of tuples, and the log-ratios a, b_i, d_j, at N points, of Gaussians that are known.

    x_k = u + noise for a common u; s_k | x_k and c | x_k are Gaussian around linear functions of x_k; p(x_k | s_k, c) as well.
    """
    rng = np.random.default_rng(seed)
    x, s = rng.normal(size=(2, modalities, N, 1)) * 1.5
    c = rng.normal(size=(N, 2))
    covariance = np.ones((modalities, modalities)) + 0.5 * np.eye(modalities)
    joint = np.moveaxis(x[..., 0], 0, -1)
    log_qx_joint = -0.5 * np.einsum("ni,ij,nj->n", joint, np.linalg.inv(covariance), joint)
    log_qx_joint -= 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    log_qx = [log_normal(x[k], 0.0, np.sqrt(1.5)) for k in range(modalities)]
    log_qs = [log_normal(s[k], 0.3 * x[k], 0.7 + 0.1 * k) for k in range(modalities)]
    log_qc = [log_normal(c, x[k] * [0.5, -0.2 * k], 0.8 + 0.1 * k) for k in range(modalities)]
    log_ps, log_pc = [log_normal(s[k], 0.0, 1.0) for k in range(modalities)], log_normal(c, 0.0, 1.0)
    log_px = [log_normal(x[k], 0.4 * s[k] + 0.6 * c[:, :1], 0.9) for k in range(modalities)]
    kinds = [log_qx_joint + sum(log_qs) + log_qc[i] for i in range(modalities)]
    kinds.append(log_pc + sum(log_ps) + sum(log_px))
    a = log_qx_joint - sum(log_qx)
    b = [log_qc[i] - log_pc for i in range(modalities)]
    d = [log_qx[j] + log_qs[j] + log_qc[j] - (log_pc + log_ps[j] + log_px[j]) for j in range(modalities)]
    return np.stack(kinds, -1), a, b, d


def tensors(*arrays):
    return [
        tf.constant(x, tf.float32) if isinstance(x, np.ndarray) else [tf.constant(y, tf.float32) for y in x] for x in arrays
    ]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("modalities", [2, 3])
def test_logits_of_true_ratios_are_those_of_the_bayes_classifier(modalities):
    """[C] eq. 5: the optimal discriminator is each kind's density over the sum of all."""
    log_kinds, *ratios = known_densities(modalities)
    found = losses.factorized_logits(*tensors(*ratios))
    np.testing.assert_allclose(tf.nn.softmax(found), softmax(log_kinds), rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("modalities", [2, 3])
def test_log_ratios_are_those_of_eq_10(modalities):
    log_kinds, *ratios = known_densities(modalities)
    found = losses.factorized_log_ratios(*tensors(*ratios))
    np.testing.assert_allclose(found, log_kinds[:, :-1] - log_kinds[:, -1:], rtol=1e-4, atol=1e-4)


def test_a_ratio_learned_by_the_logistic_loss_is_the_true_one():
    """Four outcomes of two known distributions: the expected loss, which is convex, is flat at the true log-ratio alone."""
    p, q = np.array([0.1, 0.2, 0.3, 0.4], np.float32), np.array([0.4, 0.3, 0.2, 0.1], np.float32)

    def slope(logit):
        logit = tf.constant(logit)
        with tf.GradientTape() as tape:
            tape.watch(logit)
            # The other side of each is so certain that it costs nothing.
            above, below = losses.ratio_logistic_losses(logit, -100.0), losses.ratio_logistic_losses(100.0, logit)
            loss = tf.reduce_sum(p * above + q * below)
        return tape.gradient(loss, logit)

    np.testing.assert_allclose(slope(np.log(p / q)), np.zeros(4), atol=1e-7)
    assert np.all(slope(np.log(p / q) + 0.1) > 1e-3)
    assert np.all(slope(np.log(p / q) - 0.1) < -1e-3)


def test_class_losses_are_cross_entropies():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, N, 4)).astype(np.float32)
    expected = np.mean([-np.log(softmax(logits[k])[:, k]) for k in range(3)], axis=0)
    np.testing.assert_allclose(losses.class_losses(list(logits)), expected, rtol=1e-5)
    right = np.mean([logits[k].argmax(-1) == k for k in range(3)], axis=0)
    np.testing.assert_allclose(losses.class_accuracy(list(logits)), right, rtol=1e-6)


@pytest.mark.parametrize("kinds", [2, 3, 4])
def test_nonsaturating_losses_are_the_mean_over_the_other_kinds(kinds):
    logits = np.random.default_rng(1).normal(size=(kinds, N, kinds)).astype(np.float32)
    expected = np.zeros(N)
    for kind in range(kinds):
        log_p = np.log(softmax(logits[kind]))
        expected += 2 / kinds * np.mean([-log_p[:, i] for i in range(kinds) if i != kind], axis=0)
    np.testing.assert_allclose(losses.nonsaturating_losses(list(logits)), expected, rtol=1e-5)


@pytest.mark.parametrize(("modalities", "gradient"), [(2, (2, -1, -1)), (3, (3, -1, -1, -1)), (4, (4, -1, -1, -1, -1))])
def test_gradient_of_an_encoded_tuple_at_logits_of_zero(modalities, gradient):
    """Of kind 0: 2 / (1 + M) (1 / (M + 1), 1 / (M + 1) - 1 / M, ...); for two modalities (.222, -.111, -.111)."""
    logits = [tf.Variable(tf.zeros([1, modalities + 1])) for _ in range(modalities + 1)]
    with tf.GradientTape() as tape:
        loss = losses.nonsaturating_losses(logits)
    found = tape.gradient(loss, logits[0])[0]
    np.testing.assert_allclose(found, 2 * np.array(gradient) / (modalities * (modalities + 1) ** 2), rtol=1e-5)


def test_with_two_kinds_the_nonsaturating_loss_is_the_logistic_one_with_exchanged_kinds():
    d = np.random.default_rng(2).normal(size=(2, N)).astype(np.float32)
    logits = [tf.stack([x, tf.zeros(N)], -1) for x in d]
    expected = 2 * losses.ratio_logistic_losses(d[1], d[0])
    np.testing.assert_allclose(losses.nonsaturating_losses(logits), expected, rtol=1e-5)


def discrete_game(seed=0, modalities=2, states=3):
    """Tables q_i(x_1, .., x_M, c) and p(x_1, .., x_M, c) over few states, with logits for their encoders and decoders."""
    rng = np.random.default_rng(seed)
    data = rng.dirichlet(np.ones(states**modalities)).reshape([states] * modalities).astype(np.float32)
    return data, [tf.Variable(rng.normal(size=(states, states)).astype(np.float32)) for _ in range(2 * modalities)]


def kinds_of(data, logits):
    """Probabilities of (x_1, x_2, c) of the three kinds, no private codes: q(x)q(c|x_1), q(x)q(c|x_2), p(c)p(x_1|c)p(x_2|c)."""
    e1, e2, d1, d2 = (tf.nn.softmax(x) for x in logits)
    real = [data[:, :, None] * e1[:, None, :], data[:, :, None] * e2[None, :, :]]
    return [*real, tf.einsum("ca,cb->abc", d1, d2) / d1.shape[0]]


def test_factorized_and_joint_discriminator_have_the_same_optimum():
    """On a discrete example the optimal a, b_i, d_j, known from the tables, give the optimal joint discriminator of eq. 5."""
    data, logits = discrete_game()
    first, second, generated = (np.asarray(x, np.float64) for x in kinds_of(data, logits))
    states = data.shape[0]
    p_c = np.full(states, 1 / states)
    marginals = data.sum(1), data.sum(0)
    encoders = [np.asarray(tf.nn.softmax(x), np.float64) for x in logits[:2]]
    decoders = [np.asarray(tf.nn.softmax(x), np.float64) for x in logits[2:]]
    a = np.log(data / np.outer(*marginals))[:, :, None] * np.ones(states)
    b = [np.log(e / p_c) for e in encoders]
    d = [np.log(m[:, None] * e / (p_c * dec.T)) for m, e, dec in zip(marginals, encoders, decoders, strict=True)]
    spread = [b[0][:, None, :] + 0 * a, b[1][None] + 0 * a], [d[0][:, None, :] + 0 * a, d[1][None] + 0 * a]
    flat = [a.ravel()], *([x.ravel() for x in part] for part in spread)
    found = tf.nn.softmax(losses.factorized_logits(*(tensors(p)[0] if len(p) > 1 else tensors(p)[0][0] for p in flat)))
    together = np.stack([first.ravel(), second.ravel(), generated.ravel()], -1)
    np.testing.assert_allclose(found, together / together.sum(-1, keepdims=True), rtol=1e-3, atol=1e-6)
