"""Log-likelihoods of a linear-Gaussian model, which are known, by every kind of posterior; and what releases make of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from linear_gaussian import DIM, NAMES, SCALE, SIZE, drawn, exact, model_of, slopes, split_of
from scipy.special import logsumexp
from small_evaluations import eagerly

from mmtf import evaluation
from mmtf.config import EvaluateConfig
from mmtf.evaluation import likelihood
from mmtf.modality import Modality, subsets
from mmtf.models.vae.jmvae import JMVAE
from mmtf.models.vae.mmjsd import MMJSD
from mmtf.models.vae.mmvae_iw import ImportanceMMVAE
from mmtf.models.vae.mopoe import MoPoE
from mmtf.models.vae.mvae import MVAE

HOW = EvaluateConfig(likelihood_samples=402, likelihood_samples_many=102, likelihood_examples_many=20, test_examples=60)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """All examples in one call: how many there are is a matter of memory alone."""
    monkeypatch.setattr(likelihood, "DECODED", 402 * 60)


KINDS = [(MVAE, 0), (MVAE, 1), (MMJSD, 0), (MMJSD, 1), (MoPoE, 0), (MoPoE, 1), (JMVAE, 0)]


@pytest.mark.parametrize(("kind", "private"), KINDS)
def test_likelihoods_are_those_of_the_linear_gaussian_model(kind, private):
    """Unimodal, product, mixture and mixture-of-products proposals; joint, marginal and conditional, within 3 errors."""
    x = drawn(private)
    found = evaluation.log_likelihoods(model_of(kind, private), split_of(x), HOW)["likelihood"]
    truth = {k: exact(x, private, k) for k in subsets(NAMES)}
    for key, estimate in found["marginal"].items():
        wanted = truth[tuple(key.split(","))]
        assert abs(estimate["value"] - wanted.mean()) < 3 * estimate["sampling_error"] + _bias(estimate), key
        if estimate["pareto_k_too_high"] < 0.1:
            assert estimate["standard_error"] == pytest.approx(wanted.std(ddof=1) / np.sqrt(60), rel=0.1)
        assert (estimate["samples"], estimate["examples"]) == (402, 60)
    for key, estimate in found["joint"].items():
        if estimate["pareto_k_too_high"] < 0.1:
            assert abs(estimate["value"] - truth[NAMES].mean()) < 3 * estimate["sampling_error"] + _bias(estimate), key
    assert set(found["conditional"]) == {"one<-two", "one<-three", "one<-two,three", "two<-one", "two<-three",
                                         "two<-one,three", "three<-one", "three<-two", "three<-one,two"}  # fmt: skip
    for key, estimate in found["conditional"].items():
        target, _, given = key.partition("<-")
        given = tuple(given.split(","))
        both = tuple(n for n in NAMES if n in (target, *given))
        wanted = truth[both] - truth[given]
        assert abs(estimate["value"] - wanted.mean()) < 3 * estimate["sampling_error"] + _bias(estimate), key
        # Conditionals are not joint likelihoods under another proposal.
        assert abs(estimate["value"] - found["joint"][",".join(given)]["value"]) > 1.0


def test_the_sampling_error_of_a_mean_is_that_of_independent_estimates():
    """By the delta method: var(log mean w) = var(w) / (K mean(w)^2) of each example; of their mean, sqrt(sum) / N."""
    model, test = model_of(MVAE, 0), split_of(drawn(0))
    estimate = evaluation.log_likelihoods(model, test, HOW)["likelihood"]["joint"][",".join(NAMES)]
    log_weights = likelihood.log_weights(model, test, HOW.likelihood_samples, HOW.evaluation_seed).joint[NAMES]
    weights = np.exp(log_weights.astype(float) - log_weights.max(axis=0))
    variances = weights.var(axis=0) / (len(weights) * weights.mean(axis=0) ** 2)
    wanted = np.sqrt(variances.sum()) / len(variances)
    assert estimate["sampling_error"] == pytest.approx(wanted, rel=0.02, abs=1e-4)


def _bias(estimate):
    """An estimate is too low by half its variance: of one example, 1/2K of the squared relative error of a weight."""
    return estimate["examples"] * estimate["sampling_error"] ** 2 + 1e-3


def test_a_posterior_that_is_true_needs_one_sample():
    """Of one modality without other codes, whose q(c|x) is made exact: the log-weight is log p(x) whatever is drawn."""
    w = np.diag([1.0, 0.5]).astype(np.float32)
    m = Modality("one", (DIM,), "normal", scale=SCALE)
    encoder = keras.Sequential([keras.Input((DIM,)), keras.layers.Dense(DIM)])
    decoder = keras.Sequential([keras.Input((DIM,)), keras.layers.Dense(DIM)])
    model = MVAE([m], {"one": encoder}, {"one": decoder}, shared_dim=DIM, beta=1.0)
    encoder.layers[-1].set_weights([np.eye(DIM), np.zeros(DIM)])
    decoder.layers[-1].set_weights([w, np.zeros(DIM)])
    # Precision of the posterior is that of the prior, which the product adds itself, and of the expert.
    precision = np.diag(w) ** 2 / SCALE**2
    model.coders.heads["one"].set_weights(
        [np.concatenate([np.diag(1 / np.diag(w)), np.zeros((DIM, DIM))], axis=1), np.concatenate([[0, 0], -np.log(precision)])]
    )
    x = np.random.default_rng(5).normal(size=(20, DIM)).astype(np.float32)
    found = evaluation.log_likelihoods(
        model, split_of({"one": x}), EvaluateConfig(likelihood_samples=1, likelihood_examples_many=0)
    )
    covariance = w @ w + SCALE**2 * np.eye(DIM)
    wanted = -0.5 * (np.einsum("ni,ij,nj->n", x, np.linalg.inv(covariance), x) + np.linalg.slogdet(2 * np.pi * covariance)[1])
    assert found["likelihood"]["marginal"]["one"]["value"] == pytest.approx(wanted.mean(), abs=2e-4)
    assert "likelihood_many" not in found
    assert found["likelihood"]["marginal"]["one"]["effective_sample_size"] == 1.0


def test_the_estimate_rises_with_the_samples():
    x = drawn(1)
    found = evaluation.log_likelihoods(model_of(MMJSD, 1), split_of(x), HOW)["likelihood_many"]
    curve = found["by_samples"]
    assert list(curve) == ["1", "12", "100"]
    assert curve["1"] < curve["12"] < curve["100"]
    assert curve["100"] == pytest.approx(found["joint"]["one,two,three"]["value"], abs=0.02)
    assert found["joint"]["one,two,three"]["examples"] == 20


def test_in_parts_or_at_once_and_of_any_batch_it_is_the_same_law(monkeypatch):
    """More samples than are decoded at once go on in further calls."""
    model, x = model_of(MMJSD, 0), drawn(0, 8)
    monkeypatch.setattr(likelihood, "DECODED", 64)
    with eagerly(False):
        found = likelihood.log_weights(model, split_of(x), 1000, 0)
    (samples, examples) = found.joint[NAMES].shape
    assert (samples, examples) == (1008, 8)
    values = likelihood.likelihood.log_mean_exp(found.joint[NAMES])
    errors = np.sqrt(likelihood.likelihood.sampling_variance(found.joint[NAMES]))
    assert np.all(np.abs(values - exact(x, 0, NAMES)) < 5 * errors + 0.02)


def test_what_an_example_lacks_takes_no_part_and_its_filling_changes_nothing():
    x = drawn(1)
    mask = {n: np.random.default_rng(k).uniform(size=60) > 0.3 for k, n in enumerate(NAMES)}
    mask["one"] |= ~(mask["two"] | mask["three"])
    model, found = model_of(MMJSD, 1), []
    for filling in (0.0, np.nan):
        filled = {n: np.where(mask[n][:, None], v, np.float32(filling)) for n, v in x.items()}
        found.append(evaluation.log_likelihoods(model, split_of(filled, mask), HOW))
    assert found[0] == found[1]
    for key, estimate in found[0]["likelihood"]["marginal"].items():
        names = tuple(key.split(","))
        there = np.all([mask[n] for n in names], axis=0)
        assert estimate["examples"] == there.sum()
        wanted = exact({n: v[there] for n, v in x.items()}, 1, names).mean()
        assert abs(estimate["value"] - wanted) < 3 * estimate["sampling_error"] + _bias(estimate)


def test_laplace_codes_are_weighed_by_laplace_densities():
    """Against a sum over a grid of codes."""

    model, x = model_of(ImportanceMMVAE, 0, importance_samples=2, posterior_family="laplace"), drawn(0, 4)
    found = likelihood.log_weights(model, split_of(x), 3000, 0).marginal["one", "two"]
    side = np.linspace(-9, 9, 361)
    codes = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, DIM)
    log_p = -np.abs(codes).sum(axis=1) - DIM * np.log(2)
    for b in range(4):
        log_px = sum(
            -0.5 * np.square((x[n][b] - codes @ slopes(0)[n]) / SCALE).sum(axis=1) - SIZE * np.log(SCALE * np.sqrt(2 * np.pi))
            for n in ("one", "two")
        )
        wanted = logsumexp(log_px + log_p) + 2 * np.log(side[1] - side[0])
        value = likelihood.likelihood.log_mean_exp(found[:, b : b + 1])[0]
        error = np.sqrt(likelihood.likelihood.sampling_variance(found[:, b : b + 1])[0])
        assert abs(value - wanted) < 4 * error + 0.02


def test_published_means_run_over_other_examples():
    """By the releases' own steps: tiled sample by sample, read example by example, each under its component's density."""
    model, x = model_of(MMJSD, 0), drawn(0)
    how = EvaluateConfig(likelihood_samples=12, likelihood_examples_many=0)
    found = evaluation.log_likelihoods(model, split_of(x), how)
    lw = likelihood.log_weights(model, split_of(x), 12, how.evaluation_seed, published=True)
    flat = [lw.published[NAMES][k, n] for k in range(12) for n in range(60)]
    wanted = np.mean([logsumexp(flat[12 * b : 12 * (b + 1)]) - np.log(12) for b in range(60)])
    assert found["likelihood_published"]["joint"]["one,two,three"]["value"] == pytest.approx(wanted, abs=1e-4)
    truth = exact(x, 0, NAMES).mean()
    right = found["likelihood"]["joint"]["one,two,three"]
    assert abs(right["value"] - truth) < abs(found["likelihood_published"]["joint"]["one,two,three"]["value"] - truth)
    # The component's density is not the mixture's, and is that of one expert.
    assert not np.allclose(lw.published[NAMES], lw.joint[NAMES], atol=1e-2)
    np.testing.assert_allclose(lw.published[("one",)], lw.joint[("one",)], atol=1e-4)


def test_texts_are_weighed_as_published_beside():
    import toys

    model, values = toys.model("mvae", 0), toys.values(10)
    lw = likelihood.log_weights(model, split_of(values), 3, 0, published=True)
    names = ("vector", "image", "text")
    assert not np.allclose(lw.published[names], lw.joint[names], atol=1e-2)
    weights = tf.nest.flatten([lw.joint, lw.marginal])
    assert all(np.all(np.isfinite(w)) for w in weights)


def test_an_adversarial_model_has_none():
    class Game:
        def has_likelihood(self):
            return False

    assert evaluation.log_likelihoods(Game(), split_of(drawn(0)), HOW) == {}


@pytest.mark.parametrize("kind", [MMJSD, MVAE, MoPoE])
def test_published_private_codes_of_what_was_not_given_are_the_priors(kind):
    """What an encoder says of a modality's private code changes only the weights of sets that have the modality."""
    model, test, sets = model_of(kind, 1), split_of(drawn(1)), subsets(NAMES)
    before = likelihood.log_weights(model, test, 12, 3, sets, published=True)
    weights = model.coders.heads["two"].get_weights()
    # Its last columns are location and log-variance of the private code.
    weights[-1][2 * DIM :] += 1.5
    model.coders.heads["two"].set_weights(weights)
    after = likelihood.log_weights(model, test, 12, 3, sets, published=True)
    for subset in sets:
        same = np.array_equal(before.published[subset], after.published[subset])
        assert same == ("two" not in subset), subset
        # Where they are weighed for what they are, codes of the posterior serve every set.
        assert not np.array_equal(before.joint[subset], after.joint[subset])


def test_published_weights_of_unseen_modalities_are_those_of_the_decoder(monkeypatch):
    """The sum of their densities, without a ratio of private codes: its mean is p(X) here, too."""
    model, x = model_of(MVAE, 1), drawn(1)
    found = likelihood.log_weights(model, split_of(x), 4000, 0, [("one", "two")], published=True).published["one", "two"]
    value = likelihood.likelihood.log_mean_exp(found)
    error = np.sqrt(likelihood.likelihood.sampling_variance(found))
    wanted = exact(x, 1, NAMES)
    sure = error < 0.3
    assert sure.sum() > 20
    assert np.abs(value - wanted)[sure].mean() < 0.5
