"""The contrastive term against loops in NumPy, its identities, and the likelihoods that it estimates."""

import itertools

import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
import toys
from references import decoded_log_px, draws, experts, logmeanexp, weighted
from toys import ROUNDING, SHARED, FixedNoise

from mmtf import runtime
from mmtf.modality import Modality
from mmtf.vae.contrast import Contrast
from mmtf.vae.elbo import Betas
from mmtf.vae.jmvae import JMVAE
from mmtf.vae.mmjsd import MMJSD
from mmtf.vae.mmvae_iw import ImportanceMMVAE
from mmtf.vae.mopoe import MoPoE
from mmtf.vae.mvae import MVAE
from mmtf.vae.mvtcae import MVTCAE

N, K, OTHERS = 6, 3, 2
MASK = {
    "vector": np.array([1, 1, 0, 1, 0, 1], bool),
    "image": np.array([1, 0, 1, 1, 1, 0], bool),
    "text": np.array([1, 1, 1, 0, 0, 0], bool),
}
POWERS = {"iwae": 1, "cubo": 2}
# With samples of their own, beside a contrast: estimators of the gradient that go with it.
WEIGHTED = {"mmvae_iw": {"samples": K}, "mmvae_plus": {"samples": K}, "mvae": {"samples": K}, "jmvae": {"samples": K}}


def model_of(kind, estimate="iwae", private=0, count=3, contrast=None, **options):
    contrast = contrast or Contrast(estimate, 2.0, OTHERS, K)
    return toys.model(kind, private, count, contrast=contrast, **WEIGHTED.get(kind, {}), **options)


def exchanged(values, noise):
    """For every example, modality and other example the values with that modality exchanged: one at a time, by loops."""
    shifts = noise.shifts("contrast/shifts", OTHERS)
    for b, m, n in itertools.product(range(N), values, range(OTHERS)):
        # Of two modalities one distance serves both: who gets an example's x is who that example gets its y from.
        back = len(values) == 2 and m == next(iter(values))
        other = (b - shifts[n] if back else b + shifts[n]) % N
        yield b, m, n, other


def contrast(values, noise, log_px, mask=None):
    """The second term from `log_px(b, m, n, other)`: the mean over m of log sum_n p, for what can be exchanged."""
    sums = [{} for _ in range(N)]
    for b, m, n, other in exchanged(values, noise):
        if mask is None or (mask[m][b] and mask[m][other] and sum(there[b] for there in mask.values()) > 1):
            sums[b].setdefault(m, []).append(log_px(b, m, n, other))
    # As many as there should have been stand for those that cannot be exchanged.
    each = [[np.logaddexp.reduce(x) + np.log(OTHERS / len(x)) for x in found.values()] for found in sums]
    return np.array([np.mean(x) if x else 0.0 for x in each])


def bound_of(log_weights, estimate):
    return logmeanexp(POWERS[estimate] * np.asarray(log_weights)) / POWERS[estimate]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("estimate", ["iwae", "cubo"])
@pytest.mark.parametrize("kind", ["mmvae_iw", "mmvae", "mmjsd"])
def test_samples_of_experts_are_used_again_as_loops_would(kind, estimate, count, masked):
    values, noise = toys.values(N, count=count), FixedNoise(N)
    mask = {n: MASK[n] if masked else np.ones(N, bool) for n in values}
    model = model_of(kind, estimate, count=count)
    shared, _ = experts(model, values)
    drawn = {n: m[:, None] + d[:, None] * draws(noise, f"shared/{n}", SHARED, K) for n, (m, d) in shared.items()}

    def log_px(b, m, n, other):
        names = [name for name in values if mask[name][b]]
        row = {name: other if name == m else b for name in names}
        x = {name: values[name][row[name]][None] for name in names}
        log_weights = []
        for expert, k in itertools.product(names, range(K)):
            c = drawn[expert][row[expert], k][None]
            log_q = logmeanexp([oracles.log_normal(c, shared[j][0][row[j]], shared[j][1][row[j]]) for j in names])
            divergence = log_q - oracles.log_normal(c, 0.0, np.ones(SHARED))
            log_weights.append(weighted(model, decoded_log_px(model, x, c, {}, names), divergence, {})[0])
        return bound_of(log_weights, estimate)

    terms = model.terms(values, mask if masked else None, noise, 0)
    np.testing.assert_allclose(terms["contrast"], contrast(values, noise, log_px, mask), rtol=1e-5)
    np.testing.assert_allclose(terms["loss"], 2.0 * terms["plain_loss"] + terms["contrast"], rtol=1e-6)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("private", [0, 2])
@pytest.mark.parametrize("kind", ["mvae", "jmvae", "mvtcae"])
def test_posteriors_of_exchanged_examples_are_those_of_the_model(kind, private, count):
    """Each exchanged example is encoded by itself, and its samples are decoded one by one."""
    values, noise = toys.values(N, count=count), FixedNoise(N)
    model, names = model_of(kind, "iwae", private, count), list(values)

    def log_px(b, m, n, other):
        x = {name: v[other if name == m else b][None] for name, v in values.items()}
        codes, posterior = model.encode(x), model.posterior(x)
        # The one place of the draw: sample k of exchange n, at the row of the example that is seen to be exchanged.
        row, stream = (b, m) if count > 2 or m == names[-1] else (other, names[-1])
        found = []
        for k in range(K):
            normal = noise.normal(f"contrast/{stream}", K * OTHERS * SHARED).reshape(N, K, OTHERS, SHARED)[row, k, n]
            c = np.float64(posterior.mean()) + np.float64(posterior.stddev()) * normal
            s, kl = {}, {}
            for j, q in codes.private.items():
                drawn = noise.normal(f"contrast/{stream}/private/{j}", K * OTHERS * 2).reshape(N, K, OTHERS, 2)[row, k, n]
                s[j] = np.float64(q.loc) + np.float64(q.stddev()) * drawn
                kl[j] = oracles.log_normal(s[j], np.float64(q.loc), np.float64(q.stddev())) - oracles.log_normal(s[j], 0.0, 1.0)
            log_q = oracles.log_normal(c, np.float64(posterior.mean()), np.float64(posterior.stddev()))
            divergence = log_q - oracles.log_normal(c, 0.0, np.ones(SHARED))
            found.append(weighted_as(model, decoded_log_px(model, x, c, s, names), divergence, kl))
        return bound_of(found, "iwae")

    terms = model.terms(values, None, noise, 0)
    np.testing.assert_allclose(terms["contrast"], contrast(values, noise, log_px), rtol=1e-5)


def weighted_as(model, log_px, divergence, kl_private):
    """The sampled bound with the model's own weights; those of MVTCAE stand in its equation."""
    if not isinstance(model, MVTCAE):
        return weighted(model, log_px, divergence, kl_private)[0]
    count = len(log_px)
    log_px = {n: (count - model.alpha) / count * x for n, x in log_px.items()}
    return weighted(model, log_px, (1 - model.alpha) * divergence, kl_private)[0]


# ---- identities and limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "private"), toys.SETTINGS)
def test_without_negatives_and_with_gamma_1_it_is_the_plain_objective(kind, private):
    values, options = toys.values(N), dict(WEIGHTED.get(kind, {}))
    if kind in ("mmvae_iw", "mmvae_plus"):
        options["estimator"] = "iwae"
    found = []
    for contrast in (None, Contrast("iwae", 1.0, 0, K)):
        model = toys.model(kind, private, contrast=contrast, **options)
        with tf.GradientTape() as tape:
            loss = model.terms(values, None, FixedNoise(N), 0)["loss"]
        weights = {n: v.value for n, v in model.named_weights().items()}
        found.append((loss.numpy(), tape.gradient(loss, weights)))
    np.testing.assert_allclose(found[0][0], found[1][0], **ROUNDING)
    for name, gradient in found[0][1].items():
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), tf.convert_to_tensor(found[1][1][name]), **ROUNDING)


@pytest.mark.parametrize(("kind", "private"), toys.SETTINGS)
def test_weights_get_a_finite_gradient_of_the_contrast(kind, private):
    model, values = model_of(kind, "cubo", private), toys.values(N)
    weights = {n: v.value for n, v in model.named_weights().items()}
    with tf.GradientTape() as tape:
        term = model.terms(values, None, FixedNoise(N), 0)["contrast"]
    gradients = {n: tf.convert_to_tensor(g) for n, g in tape.gradient(term, weights).items() if g is not None}
    assert all(np.all(np.isfinite(g)) for g in gradients.values())
    # Where a joint encoder answers for all modalities, the single ones' shared codes have no part.
    assert {n.split(".")[0] for n in gradients} >= {"decoder", "joint" if kind == "jmvae" else "encoder"}


@pytest.mark.parametrize(("kind", "private"), toys.SETTINGS)
def test_the_decoders_alone_can_be_trained_by_it(kind, private):
    """The same number, whose gradient reaches every decoder as before and nothing else."""
    found = {}
    for trained in ("all", "decoders"):
        model = model_of(kind, private=private, contrast=Contrast("iwae", 2.0, OTHERS, K, trained))
        weights = {n: v.value for n, v in model.named_weights().items()}
        with tf.GradientTape() as tape:
            term = model.terms(toys.values(N), None, FixedNoise(N), 0)["contrast"]
        found[trained] = term, {n: g for n, g in tape.gradient(term, weights).items() if g is not None}
    np.testing.assert_allclose(found["all"][0], found["decoders"][0], rtol=1e-6)
    decoders = {n for n in found["all"][1] if n.startswith("decoder.")}
    assert decoders
    assert set(found["decoders"][1]) == decoders < set(found["all"][1])
    for name in decoders:
        np.testing.assert_allclose(*(tf.convert_to_tensor(found[t][1][name]) for t in found), rtol=1e-4, atol=1e-5)


SIZE, DIM, SCALE = 3, 2, 0.7


def linear_model(kind, names, contrast, **options):
    """Decoders and encoders that are true: the posterior of each modality alone, nearest among diagonal Gaussians."""
    rng = np.random.default_rng(7)
    slopes = {n: rng.normal(size=(DIM, SIZE)).astype(np.float32) for n in names}
    modalities = [Modality(n, (SIZE,), "normal", scale=SCALE) for n in names]

    def encoders():
        return {n: keras.Sequential([keras.Input((SIZE,)), keras.layers.Dense(SIZE)]) for n in names}

    if kind is JMVAE:
        options["joint_encoders"] = encoders()
    decoders = {n: keras.Sequential([keras.Input((DIM,)), keras.layers.Dense(SIZE)]) for n in names}
    model = kind(modalities, encoders(), decoders, shared_dim=DIM, betas=Betas(beta=1.0), contrast=contrast, **options)
    for n, w in slopes.items():
        model.coders.encoders[n].layers[-1].set_weights([np.eye(SIZE), np.zeros(SIZE)])
        model.coders.decoders[n].layers[-1].set_weights([w, np.zeros(SIZE)])
        precision = np.eye(DIM) + w @ w.T / SCALE**2
        to_mean = np.linalg.solve(precision, w / SCALE**2).T
        # Of a product of experts each is wider, so that the product is no narrower than the posterior.
        log_variance = -np.log(np.diag(precision)) + np.log(len(names) if kind is MVAE else 1)
        model.coders.heads[n].set_weights(
            [np.concatenate([to_mean, np.zeros((SIZE, DIM))], axis=1), np.concatenate([np.zeros(DIM), log_variance])]
        )
    return model, np.concatenate(list(slopes.values()), axis=1)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kind", [MVAE, MoPoE, MMJSD, ImportanceMMVAE])
def test_it_is_the_likelihood_of_exchanged_examples_where_that_is_known(kind, count):
    """IWAE of many samples comes to log p(X) of every exchanged example, in closed form; CUBO is above it."""
    names, size = ["one", "two", "three"][:count], 5
    options = {"samples": 2} if kind in (MVAE, ImportanceMMVAE) else {}
    found = {}
    for estimate in ("iwae", "cubo"):
        model, slopes = linear_model(kind, names, Contrast(estimate, 2.0, OTHERS, 4_000), **options)
        rng = np.random.default_rng(8)
        x = rng.normal(size=(size, DIM)) @ slopes + SCALE * rng.normal(size=(size, SIZE * count))
        values = {n: np.float32(x[:, SIZE * j : SIZE * (j + 1)]) for j, n in enumerate(names)}
        noise = runtime.Noise(tf.constant([0, 1]), size)
        found[estimate] = model.terms(values, None, noise, 0)["contrast"].numpy()
    covariance = slopes.T @ slopes + SCALE**2 * np.eye(SIZE * count)
    shifts, wanted = noise.shifts("contrast/shifts", OTHERS).numpy(), np.zeros(size)
    for b, j in itertools.product(range(size), range(count)):
        each = []
        for shift in shifts:
            mixed, other = x[b].copy(), (b - shift if count == 2 and j == 0 else b + shift) % size
            mixed[SIZE * j : SIZE * (j + 1)] = x[other, SIZE * j : SIZE * (j + 1)]
            quadratic = mixed @ np.linalg.solve(covariance, mixed)
            each.append(-0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1]))
        wanted[b] += np.logaddexp.reduce(each) / count
    np.testing.assert_allclose(found["iwae"], wanted, atol=0.15)
    assert np.all(found["cubo"] > wanted)


def test_every_example_gets_others_and_never_itself():
    noise = runtime.Noise(tf.constant([3, 1]), 6)
    found = {tuple(runtime.Noise(tf.constant([s, 1]), 6).shifts("x", 5).numpy()) for s in range(20)}
    assert all(sorted(shifts) == [1, 2, 3, 4, 5] for shifts in found)
    assert len(found) > 10
    np.testing.assert_array_equal(noise.shifts("x", 3), noise.shifts("x", 3))


# ---- incomplete examples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "private"), toys.SETTINGS)
def test_masks_leave_what_is_there(kind, private):
    model, values = model_of(kind, "iwae", private), toys.values(N)
    full = {n: np.ones(N, bool) for n in values}
    plain, masked = (model.terms(values, mask, FixedNoise(N), 0) for mask in (None, full))
    for name in plain:
        np.testing.assert_allclose(plain[name], masked[name], **ROUNDING)
    missing = {
        n: np.where(MASK[n].reshape(-1, *[1] * (x.ndim - 1)), x, -1 if n == "text" else np.nan) for n, x in values.items()
    }
    found, filled = (model.terms(x, MASK, FixedNoise(N), 0) for x in (values, missing))
    for name in found:
        np.testing.assert_allclose(found[name], filled[name], **ROUNDING)
        assert np.all(np.isfinite(found[name]))
    # The last two examples have one modality: there is nothing to exchange.
    np.testing.assert_array_equal(found["contrast"][4:], 0.0)
    assert np.all(found["contrast"][:4] != 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimate": "elbo"}, "iwae, cubo, not 'elbo'"),
        ({"gamma": 0.0}, "contrast_gamma must be positive"),
        ({"negatives": -1}, "contrast_negatives 0 or more"),
        ({"samples": 0}, "importance_samples 1 or more"),
        ({"trained": "encoders"}, "all, decoders, not 'encoders'"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Contrast(**options)


def test_more_negatives_than_other_examples_are_refused():
    model = model_of("mmvae_iw", contrast=Contrast(negatives=N, samples=K))
    with pytest.raises(ValueError, match="contrast_negatives=6 asks for as many other examples, and a batch .* has 6"):
        model.terms(toys.values(N), None, FixedNoise(N), 0)


def test_dreg_is_refused_beside_a_contrast():
    with pytest.raises(ValueError, match="beside a contrast take one of iwae, stl"):
        model_of("mmvae_iw", estimator="dreg")
