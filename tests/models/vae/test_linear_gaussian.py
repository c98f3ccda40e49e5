"""Lower bounds on a model whose likelihood log p(X) is known: linear decoders, Gaussian likelihoods, one shared code."""

import functools

import keras
import linear_gaussian as known
import numpy as np
import pytest
import tensorflow as tf

from mmtf.distributed import random
from mmtf.modality import Modality
from mmtf.models.vae.jmvae import JMVAE
from mmtf.models.vae.mmjsd import MMJSD
from mmtf.models.vae.mmvae import MMVAE
from mmtf.models.vae.mmvae_iw import ImportanceMMVAE
from mmtf.models.vae.mmvae_plus import MMVAEPlus
from mmtf.models.vae.mopoe import MoPoE
from mmtf.models.vae.mvae import MVAE
from mmtf.models.vae.mvtcae import MVTCAE

DIM, SIZE, SCALE = 2, 3, 0.7
DRAWS = 4_000
NAMES = ("one", "two", "three")


@functools.cache
def slopes(count):
    rng = np.random.default_rng(7)
    return {n: rng.normal(size=(DIM, SIZE)).astype(np.float32) for n in NAMES[:count]}


@functools.cache
def example(count):
    rng = np.random.default_rng(8)
    z = rng.normal(size=DIM)
    return {n: (z @ w + SCALE * rng.normal(size=SIZE)).astype(np.float32) for n, w in slopes(count).items()}


def log_likelihood(count):
    """log p(X) in closed form: X is Gaussian."""
    w = np.concatenate(list(slopes(count).values()), axis=1).astype(float)
    x = np.concatenate(list(example(count).values())).astype(float)
    covariance = w.T @ w + SCALE**2 * np.eye(x.size)
    return -0.5 * (x @ np.linalg.solve(covariance, x) + np.linalg.slogdet(2 * np.pi * covariance)[1])


def posterior(names, count, prior=1.0):
    """Mean and covariance of p(c|X_K), whose prior may be left out."""
    precision, mean = prior * np.eye(DIM), np.zeros(DIM)
    for n in names:
        w = slopes(count)[n].astype(float)
        precision, mean = precision + w @ w.T / SCALE**2, mean + w @ example(count)[n] / SCALE**2
    return np.linalg.solve(precision, mean), np.linalg.inv(precision)


def linear(kind, count, **options):
    """A model whose decoders are the true ones, and whose encoders answer N(m_j, S_j) whatever they read."""
    modalities = [Modality(n, (SIZE,), "normal", scale=SCALE) for n in slopes(count)]
    model = kind(
        modalities,
        {m.name: keras.Sequential([keras.Input((SIZE,)), keras.layers.Dense(1)]) for m in modalities},
        {m.name: keras.Sequential([keras.Input((DIM,)), keras.layers.Dense(SIZE)]) for m in modalities},
        shared_dim=DIM,
        beta=1.0,
        **options,
    )
    for n, w in slopes(count).items():
        model.coders.decoders[n].layers[-1].set_weights([w, np.zeros(SIZE, np.float32)])
        # The nearest diagonal Gaussian to the posterior of this modality alone.
        mean, covariance = posterior([n], count)
        head = model.coders.heads[n]
        head.set_weights([np.zeros((1, 2 * DIM)), np.concatenate([mean, -np.log(np.diag(np.linalg.inv(covariance)))])])
    return model


def bound(model, count, number=DRAWS):
    """Mean of minus the loss over many draws, and its standard error."""
    values = {n: np.tile(x, (number, 1)) for n, x in example(count).items()}
    found = -np.asarray(model.terms(values, None, random.Noise(tf.constant([0, 1]), number), 0)["loss"], float)
    return found.mean(), found.std() / np.sqrt(number)


def expected_log_px(mean, covariance, count):
    """E log p(X|c) of c ~ N(mean, covariance), in closed form."""
    total = 0.0
    for n, w in slopes(count).items():
        residual = example(count)[n] - mean @ w
        spread = np.trace(w.T @ covariance @ w)
        total -= (residual @ residual + spread) / (2 * SCALE**2) + SIZE * np.log(SCALE * np.sqrt(2 * np.pi))
    return total


def kl_to_prior(mean, covariance):
    variance = np.diag(covariance)
    return 0.5 * np.sum(variance + mean**2 - 1 - np.log(variance))


def experts(model, count):
    codes = model.encode({n: x[None] for n, x in example(count).items()}).shared
    return {n: (np.float64(q.loc)[0], np.diag(np.float64(q.stddev())[0] ** 2)) for n, q in codes.items()}


def product(parts, prior):
    precisions = [np.linalg.inv(c) for _, c in parts] + [prior * np.eye(DIM)]
    covariance = np.linalg.inv(sum(precisions))
    return covariance @ sum(p @ m for p, (m, _) in zip(precisions, parts, strict=False)), covariance


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kind", [MMVAE, MMJSD, MoPoE])
def test_each_bound_is_its_closed_form_below_the_likelihood(kind, count):
    model = linear(kind, count)
    parts = list(experts(model, count).values())
    if kind is MoPoE:
        sets = [[k for k in range(count) if s >> k & 1] for s in range(1, 2**count)]
        parts = [product([parts[k] for k in s], float(len(s) == count)) for s in sets]
    wanted = np.mean([expected_log_px(*q, count) for q in parts])
    if kind is MMJSD:
        locs, variances = (
            np.array([m for m, _ in parts] + [np.zeros(DIM)]),
            np.array([np.diag(c) for _, c in parts] + [np.ones(DIM)]),
        )
        precision = np.mean(1 / variances, axis=0)
        middle = np.mean(locs / variances, axis=0) / precision
        ratio = variances * precision
        wanted -= np.mean(0.5 * np.sum(ratio + (locs - middle) ** 2 * precision - 1 - np.log(ratio), axis=1))
    else:
        wanted -= np.mean([kl_to_prior(*q) for q in parts])
    mean, error = bound(model, count)
    assert abs(mean - wanted) < 4 * error
    if kind is not MMJSD:
        assert wanted < log_likelihood(count)


@pytest.mark.parametrize("count", [2, 3])
def test_the_joint_bound_of_mvae_is_its_closed_form(count):
    model = linear(MVAE, count)
    values = {n: np.tile(x, (DRAWS, 1)) for n, x in example(count).items()}
    terms = model.terms(values, None, random.Noise(tf.constant([0, 1]), DRAWS), 0)
    found = sum(np.asarray(t, float) for n, t in terms.items() if n.startswith("joint/log")) - terms["joint/divergence"]
    q = product(list(experts(model, count).values()), 1.0)
    wanted = expected_log_px(*q, count) - kl_to_prior(*q)
    assert abs(np.mean(found) - wanted) < 4 * np.std(found) / np.sqrt(DRAWS)
    assert wanted < log_likelihood(count)


@pytest.mark.parametrize("count", [2, 3])
def test_importance_samples_bring_the_bounds_up_to_the_likelihood(count):
    exact, found = log_likelihood(count), {}
    for kind in ("looser", "tight"):
        found[kind] = [
            bound(linear(ImportanceMMVAE, count, importance_samples=k, importance_bound=kind), count) for k in (1, 8, 64)
        ]
        means = [mean for mean, _ in found[kind]]
        assert means == sorted(means)
        assert all(mean < exact + 4 * error for mean, error in found[kind])
    assert found["tight"][1][0] > found["looser"][1][0]
    assert (
        exact - bound(linear(ImportanceMMVAE, count, importance_samples=256, importance_bound="tight"), count, 1000)[0] < 0.03
    )


def test_the_bound_of_mmvae_plus_rises_to_the_likelihood():
    """With private codes, and auxiliary priors that are the priors, as they are at the start."""
    x, exact = known.drawn(1, 12), known.exact(known.drawn(1, 12), 1, known.NAMES)
    found = []
    for samples in (1, 10, 100, 3000):
        model = known.model_of(MMVAEPlus, 1, importance_samples=samples, importance_bound="tight")
        seeds = range(6 if samples < 3000 else 1)
        losses = [model.terms(x, None, random.Noise(tf.constant([0, s]), 12), 0)["loss"] for s in seeds]
        found.append(-np.mean(losses, axis=0))
    means = [bounds.mean() for bounds in found]
    assert means == sorted(means)
    assert means[0] < exact.mean() - 1.0
    assert means[-1] == pytest.approx(exact.mean(), abs=0.05)


@pytest.mark.parametrize("count", [2, 3])
def test_jmvae_and_mvtcae_are_their_closed_forms_below_the_likelihood(count):
    joint = {"joint_encoders": {n: keras.Sequential([keras.Input((SIZE,)), keras.layers.Dense(1)]) for n in slopes(count)}}
    model = linear(JMVAE, count, alpha=0.3, **joint)
    mean, covariance = posterior(slopes(count), count)
    diagonal = np.diag(1 / np.diag(np.linalg.inv(covariance)))
    model.joint_encoder.head.set_weights(
        [np.zeros_like(model.joint_encoder.head.kernel), np.concatenate([mean, np.log(np.diag(diagonal))])]
    )
    parts = list(experts(model, count).values())

    def drawn(m, c):
        ratios = [(np.diag(c) + (m - m_j) ** 2) / np.diag(c_j) - 1 - np.log(np.diag(c) / np.diag(c_j)) for m_j, c_j in parts]
        return 0.5 * np.sum(ratios)

    plain = expected_log_px(mean, diagonal, count) - kl_to_prior(mean, diagonal)
    assert plain < log_likelihood(count)
    found, error = bound(model, count)
    assert abs(found - (plain - 0.3 * drawn(mean, diagonal))) < 4 * error
    q = product(parts, 0.0)
    wanted = (count - 0.2) / count * expected_log_px(*q, count) - 0.8 * kl_to_prior(*q) - 0.2 / count * drawn(*q)
    found, error = bound(linear(MVTCAE, count, alpha=0.2), count)
    assert abs(found - wanted) < 4 * error
