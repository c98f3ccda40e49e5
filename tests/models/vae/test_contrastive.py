"""The contrastive term against loops in NumPy, its identities, and the likelihoods that it estimates."""

import itertools

import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
import toys
from drawn import assert_same
from references import decoded_log_px, draws, experts, logmeanexp, weighted
from toys import ROUNDING, SHARED, FixedNoise

from mmtf.distributed import random
from mmtf.modality import Modality
from mmtf.models.vae.contrastive import Contrast
from mmtf.models.vae.jmvae import JMVAE
from mmtf.models.vae.mmjsd import MMJSD
from mmtf.models.vae.mmvae_iw import ImportanceMMVAE
from mmtf.models.vae.mopoe import MoPoE
from mmtf.models.vae.mvae import MVAE
from mmtf.models.vae.mvtcae import MVTCAE

N, K, OTHERS = 6, 3, 2
MASK = {
    "vector": np.array([1, 1, 0, 1, 0, 1], bool),
    "image": np.array([1, 0, 1, 1, 1, 0], bool),
    "text": np.array([1, 1, 1, 0, 0, 0], bool),
}
POWERS = {"iwae": 1, "cubo": 2}
# Samples of experts; of a posterior that is a mixture of experts or of products, a product, or a joint encoder's.
WAYS = [("mmvae_iw", 0), ("mmjsd", 2), ("mopoe", 2), ("mvae", 2), ("mvtcae", 2), ("jmvae", 0)]


def model_of(kind, estimate="iwae", private=0, count=3, **options):
    return toys.model(kind, private, count, **toys.contrastive(estimate, 2.0, OTHERS, K) | options)


def exchanged(values, noise):
    """For every example b, modality m and number n of another example, which one that is: `(b, m, n, other)`, by loops."""
    shifts, found = noise.shifts("contrast/shifts", OTHERS), []
    for b, m, n in itertools.product(range(N), values, range(OTHERS)):
        # Of two modalities one distance serves both: who gets an example's x is who that example gets its y from.
        back = len(values) == 2 and m == next(iter(values))
        found.append((b, m, n, int(b - shifts[n] if back else b + shifts[n]) % N))
    return found


def mixed(values, cases):
    """What every exchanged example has: of each modality the row that it comes from, and the value."""
    rows = {name: np.array([other if name == m else b for b, m, _, other in cases]) for name in values}
    return rows, {name: x[rows[name]] for name, x in values.items()}


def contrast(cases, log_px, mask):
    """The second term from log p of the exchanged examples: the mean over m of log sum_n p, for what can be exchanged."""
    sums = [{} for _ in range(N)]
    for (b, m, _, other), found in zip(cases, log_px, strict=True):
        if mask[m][b] and mask[m][other] and sum(there[b] for there in mask.values()) > 1:
            sums[b].setdefault(m, []).append(found)
    # As many as there should have been stand for those that cannot be exchanged.
    each = [[np.logaddexp.reduce(x) + np.log(OTHERS / len(x)) for x in found.values()] for found in sums]
    return np.array([np.mean(x) if x else 0.0 for x in each])


def bound_of(log_weights, estimate):
    return logmeanexp(POWERS[estimate] * np.asarray(log_weights)) / POWERS[estimate]


@pytest.mark.parametrize(
    ("kind", "estimate", "count", "masked"),
    [
        ("mmvae_iw", "iwae", 3, True),
        ("mmvae_iw", "cubo", 2, False),
        ("mmvae", "cubo", 3, False),
        ("mmjsd", "cubo", 3, True),
        ("mmjsd", "iwae", 2, True),
    ],
)
def test_samples_of_experts_are_used_again_as_loops_would(kind, estimate, count, masked):
    """Those that the model has drawn for its own bound, or others."""
    values, noise = toys.values(N, count=count), FixedNoise(N)
    mask = {n: MASK[n] if masked else np.ones(N, bool) for n in values}
    model = model_of(kind, estimate, count=count)
    shared, _ = experts(model, values)
    drawn = {n: m[:, None] + d[:, None] * draws(noise, f"shared/{n}", SHARED, K) for n, (m, d) in shared.items()}
    cases = exchanged(values, noise)
    rows, x = mixed(values, cases)
    # `[number of cases]` each: whether an exchanged example counts the modality, which its first example has or not.
    there = {n: np.array([mask[n][b] for b, *_ in cases]) for n in values}
    log_weights, counts = [], []
    for expert, k in itertools.product(values, range(K)):
        c = drawn[expert][rows[expert], k]
        log_q = [oracles.log_normal(c, shared[j][0][rows[j]], shared[j][1][rows[j]]) for j in values]
        log_q = [np.where(there[j], term, -np.inf) for j, term in zip(values, log_q, strict=True)]
        divergence = np.logaddexp.reduce(log_q) - np.log(sum(there.values())) - oracles.log_normal(c, 0.0, np.ones(SHARED))
        log_px = {n: np.where(there[n], term, 0.0) for n, term in decoded_log_px(model, x, c, {}, values).items()}
        log_weights.append(weighted(model, log_px, divergence, {}))
        counts.append(there[expert])
    log_weights, counts = np.array(log_weights), np.array(counts)
    bounds = [bound_of(log_weights[counts[:, i], i], estimate) for i in range(len(cases))]
    terms = model.terms(values, mask if masked else None, noise, 0)
    np.testing.assert_allclose(terms["contrast"], contrast(cases, bounds, mask), rtol=1e-5)
    np.testing.assert_allclose(terms["loss"], 2.0 * terms["plain_loss"] + terms["contrast"], rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "private", "count"), [("mvae", 2, 3), ("mvae", 0, 2), ("jmvae", 2, 2), ("jmvae", 0, 3), ("mvtcae", 2, 3)]
)
def test_posteriors_of_exchanged_examples_are_those_of_the_model(kind, private, count):
    """The exchanged examples are encoded by themselves, and their samples are decoded each by itself."""
    values, noise = toys.values(N, count=count), FixedNoise(N)
    model, names = model_of(kind, "iwae", private, count), list(values)
    cases = exchanged(values, noise)
    _, x = mixed(values, cases)
    codes, posterior = model.encode(x), model.posterior(x)
    mean, deviation = np.float64(posterior.mean()), np.float64(posterior.stddev())
    # The one place of each draw: sample k of exchange n, at the row of the example that is seen to be exchanged.
    places = [(b, m, n) if count > 2 or m == names[-1] else (other, names[-1], n) for b, m, n, other in cases]

    def sample_standard(k, dim, part=""):
        return np.stack(
            [
                noise.normal(f"contrast/{m}{part}", K * OTHERS * dim).reshape(N, K, OTHERS, dim)[row, k, n]
                for row, m, n in places
            ]
        )

    found = []
    for k in range(K):
        c, s, kl = mean + deviation * sample_standard(k, SHARED), {}, {}
        for j, q in codes.private.items():
            loc, scale = np.float64(q.loc), np.float64(q.stddev())
            s[j] = loc + scale * sample_standard(k, 2, f"/private/{j}")
            kl[j] = oracles.log_normal(s[j], loc, scale) - oracles.log_normal(s[j], 0.0, 1.0)
        divergence = oracles.log_normal(c, mean, deviation) - oracles.log_normal(c, 0.0, np.ones(SHARED))
        found.append(weighted_as(model, decoded_log_px(model, x, c, s, names), divergence, kl))
    terms, everything = model.terms(values, None, noise, 0), {n: np.ones(N, bool) for n in names}
    np.testing.assert_allclose(terms["contrast"], contrast(cases, bound_of(found, "iwae"), everything), rtol=1e-5)


def weighted_as(model, log_px, divergence, kl_private):
    """The sampled bound with the model's own weights; those of MVTCAE stand in its equation."""
    if not isinstance(model, MVTCAE):
        return weighted(model, log_px, divergence, kl_private)
    count = len(log_px)
    log_px = {n: (count - model.alpha) / count * x for n, x in log_px.items()}
    return weighted(model, log_px, (1 - model.alpha) * divergence, kl_private)


# ---- identities and limits -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: f"{way[0]}-{way[1]}")
def model(request):
    """Each way to the second term; of whose model the contrast is the test's to choose."""
    kind, private = request.param
    return model_of(kind, "iwae", private)


def differentiated(model, contrast, term):
    """A term of the objective with that contrast, and its gradients by name, without those that are none."""
    model.contrast = contrast
    weights = {n: v.value for n, v in model.named_weights().items()}
    with tf.GradientTape() as tape:
        found = model.terms(toys.values(N), None, FixedNoise(N), 0)[term]
    gradients = tape.gradient(found, weights)
    return np.asarray(found), {n: np.asarray(tf.convert_to_tensor(g)) for n, g in gradients.items() if g is not None}


def test_without_negatives_and_with_gamma_1_it_is_the_plain_objective(model):
    (loss, gradients), (plain, wanted) = (differentiated(model, c, "loss") for c in (Contrast("iwae", 1.0, 0, K), None))
    np.testing.assert_allclose(loss, plain, **ROUNDING)
    assert_same(gradients, wanted, **ROUNDING)


def test_the_decoders_alone_can_be_trained_by_it(model):
    """The same number, whose finite gradient reaches every decoder as before and nothing else."""
    (term, gradients), (same, decoders) = (
        differentiated(model, Contrast("cubo", 2.0, OTHERS, K, trained), "contrast") for trained in ("all", "decoders")
    )
    np.testing.assert_allclose(same, term, rtol=1e-6)
    assert all(np.all(np.isfinite(g)) for g in gradients.values())
    # Where a joint encoder answers for all modalities, the single ones' shared codes have no part.
    joint = any(n.startswith("joint") for n in gradients)
    assert {n.split(".")[0] for n in gradients} >= {"decoder", "joint" if joint else "encoder"}
    assert joint == hasattr(model, "joint_encoder")
    assert set(decoders) == {n for n in gradients if n.startswith("decoder.")} < set(gradients)
    assert_same(decoders, {n: gradients[n] for n in decoders}, rtol=1e-4, atol=1e-5)


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
    model = kind(modalities, encoders(), decoders, shared_dim=DIM, beta=1.0, **options)
    # Its estimates may have more samples than the bound has.
    model.contrast = contrast
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


@pytest.mark.parametrize(("kind", "count"), [(MVAE, 3), (MoPoE, 2), (MMJSD, 3), (ImportanceMMVAE, 2)])
def test_it_is_the_likelihood_of_exchanged_examples_where_that_is_known(kind, count):
    """IWAE of many samples comes to log p(X) of every exchanged example, in closed form; CUBO is above it."""
    names, size = ["one", "two", "three"][:count], 5
    options = {"importance_samples": 2} if kind in (MVAE, ImportanceMMVAE) else {}
    found = {}
    for estimate in ("iwae", "cubo"):
        model, slopes = linear_model(kind, names, Contrast(estimate, 2.0, OTHERS, 4_000), **options)
        rng = np.random.default_rng(8)
        x = rng.normal(size=(size, DIM)) @ slopes + SCALE * rng.normal(size=(size, SIZE * count))
        values = {n: np.float32(x[:, SIZE * j : SIZE * (j + 1)]) for j, n in enumerate(names)}
        noise = random.Noise(tf.constant([0, 1]), size)
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
    noise = random.Noise(tf.constant([3, 1]), 6)
    found = {tuple(random.Noise(tf.constant([s, 1]), 6).shifts("x", 5).numpy()) for s in range(20)}
    assert all(sorted(shifts) == [1, 2, 3, 4, 5] for shifts in found)
    assert len(found) > 10
    np.testing.assert_array_equal(noise.shifts("x", 3), noise.shifts("x", 3))


# ---- incomplete examples ---------------------------------------------------------------------------------------------


def test_masks_leave_what_is_there(model):
    model.contrast, values = Contrast("iwae", 2.0, OTHERS, K), toys.values(N)
    missing = {
        n: np.where(MASK[n].reshape(-1, *[1] * (x.ndim - 1)), x, -1 if n == "text" else np.nan) for n, x in values.items()
    }
    found, filled = (model.terms(x, MASK, FixedNoise(N), 0) for x in (values, missing))
    assert_same(filled, found, **ROUNDING)
    assert all(np.all(np.isfinite(x)) for x in found.values())
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
    model = model_of("mmvae_iw", contrast_negatives=N)
    with pytest.raises(ValueError, match="contrast_negatives=6 asks for as many other examples, and a batch .* has 6"):
        model.terms(toys.values(N), None, FixedNoise(N), 0)


def test_dreg_is_refused_beside_a_contrast():
    with pytest.raises(ValueError, match="beside a contrast take one of iwae, stl"):
        model_of("mmvae_iw", gradient_estimator="dreg")
