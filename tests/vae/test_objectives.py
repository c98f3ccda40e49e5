"""The objectives against NumPy, their identities and limits."""

import keras
import numpy as np
import oracles
import pytest
import scipy.stats
import tensorflow as tf
import toys
from references import decoded_log_px, draws, experts, log_likelihood, logmeanexp, weighted
from toys import ROUNDING, SHARED, FixedNoise

from mmtf.modality import Modality, check_subset, subsets
from mmtf.probability.family import LAPLACE
from mmtf.runtime import Noise
from mmtf.vae.bounds import Gradient
from mmtf.vae.elbo import Betas
from mmtf.vae.mopoe import MoPoE

N = 6


def reference_loss(kind, model, values, noise):
    """The loss of [S] eq. 18, 19 or 20 with the weights of C.3.2, for complete examples."""
    names = list(values)
    shared, private = experts(model, values)
    s = {n: m + d * noise.normal(f"private/{n}", m.shape[1]) for n, (m, d) in private.items()}
    kl_private = {n: oracles.kl(m, d, 0.0, 1.0) for n, (m, d) in private.items()}
    locs, scales = (np.stack([shared[n][i] for n in names]) for i in (0, 1))
    if kind in ("mmvae_iw", "mmvae_plus"):
        return -importance_bound(model, values, locs, scales, private, noise, plus=kind == "mmvae_plus")
    if kind in ("jmvae", "mvtcae"):
        return -drawn_experts_bound(kind, model, values, locs, scales, s, kl_private, noise)
    if kind == "mvae":
        return -mvae_elbos(model, values, locs, scales, s, kl_private, noise)
    row = np.arange(N)
    if kind == "mopoe":
        locs, scales = products(locs, scales, [[names.index(n) for n in s] for s in subsets(names)])
    component = np.floor(noise.strata("component").astype(float) * len(locs)).astype(int)
    c = locs[component, row] + scales[component, row] * noise.normal("shared", SHARED)
    log_px = decoded_log_px(model, values, c, s, names)
    if kind in ("mmvae", "mopoe"):
        divergence = np.mean([oracles.kl(m, d, 0.0, 1.0) for m, d in zip(locs, scales, strict=True)], axis=0)
    else:
        pi = model.prior_weight
        weights = [(1 - pi) / len(names)] * len(names) + [pi]
        with_prior = np.concatenate([locs, np.zeros_like(locs[:1])]), np.concatenate([scales, np.ones_like(scales[:1])])
        divergence = oracles.jensen_shannon(*with_prior, weights)
    return -weighted(model, log_px, divergence, kl_private)


def drawn_experts_bound(kind, model, values, locs, scales, s, kl_private, noise):
    """JMVAE's and MVTCAE's, which differ in the posterior and in the weights."""
    names, shared_beta = list(values), float(model.betas.at(0).shared)
    if kind == "jmvae":
        joint = model.encode(values).joint
        mean, deviation, count = np.float64(joint.loc), np.float64(joint.stddev()), None
    else:
        precision = np.sum(scales**-2.0, axis=0)
        mean, deviation, count = np.sum(locs * scales**-2.0, axis=0) / precision, precision**-0.5, len(names)
    log_px = decoded_log_px(model, values, mean + deviation * noise.normal("shared", SHARED), s, names)
    prior = oracles.kl(mean, deviation, 0.0, 1.0)
    drawn = sum(oracles.kl(mean, deviation, m, d) for m, d in zip(locs, scales, strict=True))
    if kind == "jmvae":
        return weighted(model, log_px, prior, kl_private) - model.alpha * drawn
    log_px = {n: (count - model.alpha) / count * term for n, term in log_px.items()}
    return weighted(model, log_px, (1 - model.alpha) * prior, kl_private) - shared_beta * model.alpha / count * drawn


def importance_bound(model, values, locs, scales, private, noise, samples=30, tight=False, plus=False, family="normal"):
    """The bounds of [Shi 2019] by their formulas: the looser one is a mean over the experts, outside of the logarithm.

    With `plus` those of [Palumbo 2023]: beside another expert a private code is drawn from its auxiliary prior.
    """
    log_density = {"normal": oracles.log_normal, "laplace": oracles.log_laplace}[family]
    names, by_expert = list(values), []
    for r, expert in enumerate(names):
        each = []
        for k in range(samples):
            c, s, kl = (locs[r] + scales[r] * draws(noise, f"shared/{expert}", SHARED, samples, family)[:, k]), {}, {}
            for n, (m, d) in private.items():
                s[n] = m + d * draws(noise, f"private/{n}/{expert}", m.shape[1], samples, family)[:, k]
                kl[n] = log_density(s[n], m, d) - log_density(s[n], 0.0, np.ones_like(d))
                if plus and n != expert:
                    scale = np.exp(np.asarray(model.auxiliary[n], float) / 2)
                    s[n], kl[n] = scale * draws(noise, f"auxiliary/{n}/{expert}", m.shape[1], samples)[:, k], np.zeros(N)
            densities = [log_density(c, m, d) for m, d in zip(locs, scales, strict=True)]
            divergence = logmeanexp(densities) - log_density(c, 0.0, np.ones_like(c))
            each.append(weighted(model, decoded_log_px(model, values, c, s, names), divergence, kl))
        by_expert.append(each)
    return logmeanexp(np.reshape(by_expert, [-1, N])) if tight else np.mean([logmeanexp(x) for x in by_expert], axis=0)


def products(locs, scales, sets):
    """Of each set the product of its experts, and of the set of all with the prior."""
    found = []
    for members in sets:
        added = float(len(members) == len(locs))
        precision = added + np.sum(scales[members] ** -2.0, axis=0)
        found.append((np.sum(locs[members] * scales[members] ** -2.0, axis=0) / precision, precision**-0.5))
    return tuple(np.stack(x) for x in zip(*found, strict=True))


def mvae_elbos(model, values, locs, scales, s, kl_private, noise):
    names, total = list(values), 0.0
    bounds = {"joint": names} | ({f"only_{n}": [n] for n in names} if len(names) > 1 else {})
    for bound, members in bounds.items():
        index = [names.index(n) for n in members]
        precision = 1.0 + np.sum(scales[index] ** -2.0, axis=0)
        mean, deviation = np.sum(locs[index] * scales[index] ** -2.0, axis=0) / precision, precision**-0.5
        c = mean + deviation * noise.normal(f"shared/{bound}", SHARED)
        log_px = decoded_log_px(model, values, c, s, members)
        kls = {n: kl_private[n] for n in members if n in kl_private}
        total = total + weighted(model, log_px, oracles.kl(mean, deviation, 0.0, 1.0), kls)
    return total


@pytest.mark.parametrize(("kind", "private"), toys.SETTINGS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_loss_equals_numpy(kind, count, private):
    model, values, noise = toys.model(kind, private, count), toys.values(N, count=count), FixedNoise(N)
    for place, scale in enumerate(getattr(model, "auxiliary", {}).values()):
        scale.assign([0.5 - place, -1.0])
    found = model.terms(values, None, noise, 0)["loss"]
    np.testing.assert_allclose(found, reference_loss(kind, model, values, noise), rtol=1e-5)


def test_prior_weight_is_used():
    values, noise = toys.values(N), FixedNoise(N)
    light, heavy = (toys.model("mmjsd", prior_weight=w) for w in (0.05, 0.8))
    found = [m.terms(values, None, noise, 0)["divergence"] for m in (light, heavy)]
    assert not np.allclose(*found, rtol=0.01)
    np.testing.assert_allclose(
        heavy.terms(values, None, noise, 0)["loss"], reference_loss("mmjsd", heavy, values, noise), rtol=1e-5
    )


def test_one_modality_mmvae_is_a_plain_vae():
    """E log p(x|c) - beta KL(q(c|x) || N(0, I)), nothing else."""
    model, values, noise = toys.model("mmvae", 0, 1), toys.values(N, count=1), FixedNoise(N)
    terms = model.terms(values, None, noise, 0)
    q = model.encode(values).shared["vector"]
    c = q.loc + q.stddev() * noise.normal("shared", SHARED)
    m = model.modalities["vector"]
    expected = m.likelihood_weight * log_likelihood(m, model.coders.decoders["vector"](c), values["vector"])
    expected -= 2.0 * 0.7 * oracles.kl(np.float64(q.loc), np.float64(q.stddev()), 0.0, 1.0)
    np.testing.assert_allclose(terms["loss"], -expected, rtol=1e-5)


def test_one_modality_mvae_has_one_bound():
    """With one modality the joint and the single bound are the same, and it is counted once."""
    assert set(toys.model("mvae", 0, 1).explained()) == {"joint"}


def test_the_terms_add_up_to_the_loss():
    model, noise = toys.model("mmjsd"), FixedNoise(N)
    terms = model.terms(toys.values(N), None, noise, 0)
    log_px = {n: terms[f"log_likelihood/{n}"] for n in model.names}
    kls = {n: terms[f"kl_private/{n}"] for n in model.names}
    np.testing.assert_allclose(terms["loss"], -weighted(model, log_px, terms["divergence"], kls), rtol=1e-5)
    assert list(terms) == list(model.terms_about())


def test_random_subsets_add_bounds_of_two_modalities():
    model = toys.model("mvae", random_subsets=2)
    terms = model.terms(toys.values(60), None, FixedNoise(60), 0)
    shown = np.stack([terms[f"subset_0/log_likelihood/{n}"] != 0 for n in model.names])
    np.testing.assert_array_equal(shown.sum(axis=0), 2)
    np.testing.assert_array_equal(shown.sum(axis=1), 40)
    # Each drawn bound, example by example, from the experts of its two modalities.
    codes = model.encode(toys.values(60))
    for i in range(60):
        pair = [n for n, there in zip(model.names, shown[:, i], strict=True) if there]
        precision = 1.0 + sum(np.float64(codes.shared[n].stddev()[i]) ** -2 for n in pair)
        mean = sum(np.float64(codes.shared[n].loc[i]) * np.float64(codes.shared[n].stddev()[i]) ** -2 for n in pair) / precision
        expected = oracles.kl(mean, precision**-0.5, 0.0, 1.0)
        np.testing.assert_allclose(terms["subset_0/divergence"][i], expected, rtol=1e-4)
    assert "subset_1/divergence" in terms
    plain = toys.model("mvae").terms(toys.values(60), None, FixedNoise(60), 0)["loss"]
    assert not np.allclose(plain, terms["loss"])


@pytest.mark.parametrize(("options", "count"), [({"random_subsets": 1}, 2), ({"random_subsets": -1}, 3)])
def test_random_subsets_are_refused(options, count):
    with pytest.raises(ValueError, match="mvae_subsets"):
        toys.model("mvae", count=count, **options)


def test_prior_weight_is_refused_outside_0_to_1():
    with pytest.raises(ValueError, match="between 0 and 1"):
        toys.model("mmjsd", prior_weight=1.5)


@pytest.mark.parametrize("kind", list(toys.MODELS))
def test_gradient_of_the_loss_equals_finite_differences(kind):
    """Through encoder head, sampling, decoder and divergence, for one bias vector of the fused head."""
    # The other estimators are unbiased at best: they are no derivatives of this one sample of the loss.
    options = {"estimator": "iwae"} if kind in ("mmvae_iw", "mmvae_plus") else {}
    model, values, noise = toys.model(kind, **options), toys.values(2), FixedNoise(2)
    bias = model.coders.heads["vector"].bias

    def loss(b):
        bias.assign(b)
        return tf.reduce_mean(model.terms(values, None, noise, 0)["loss"])

    start = np.float32(np.linspace(-0.3, 0.4, bias.shape[0]))
    bias.assign(start)
    with tf.GradientTape() as tape:
        y = tf.reduce_mean(model.terms(values, None, noise, 0)["loss"])
    found = tape.gradient(y, bias.value)
    np.testing.assert_allclose(found, oracles.finite_difference(loss, start, 3e-3), rtol=3e-2, atol=2e-2)


@pytest.mark.parametrize("kind", list(toys.MODELS))
def test_every_weight_gets_a_gradient(kind):
    model = toys.model(kind)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.terms(toys.values(N), None, FixedNoise(N), 0)["loss"])
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    assert all(g is not None and np.any(tf.convert_to_tensor(g) != 0) for g in gradients)


def test_subsets_are_all_non_empty_ones_in_order():
    found = subsets(("a", "b", "c"))
    assert found == [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]
    assert check_subset(["c", "a"], ("a", "b", "c")) == ("a", "c")


def test_mopoe_of_single_modalities_is_mmvae():
    values, noise = toys.values(N), FixedNoise(N)
    single, plain = toys.model("mopoe", members=[[n] for n in values]), toys.model("mmvae")
    found, wanted = (m.terms(values, None, noise, 0) for m in (single, plain))
    for name, term in wanted.items():
        np.testing.assert_allclose(found[name], term, rtol=1e-6, err_msg=name)


def test_mopoe_of_all_modalities_is_the_joint_bound_of_mvae():
    values, noise = toys.values(N), FixedNoise(N)
    noise.drawn["shared/joint"] = noise.normal("shared", SHARED)
    joint, plain = toys.model("mopoe", members=[list(values)]), toys.model("mvae")
    found, wanted = (m.terms(values, None, noise, 0) for m in (joint, plain))
    for name in found.keys() - {"loss"}:
        np.testing.assert_allclose(found[name], wanted[f"joint/{name}"], rtol=1e-5, atol=1e-6, err_msg=name)


def test_mopoe_mixes_the_sets_of_what_an_example_has():
    model, values = toys.model("mopoe"), toys.values(2)
    mask = {"image": np.array([True, False])}
    q = model.posterior(values, mask=mask)
    shares = q.mixture_distribution.probs_parameter()
    np.testing.assert_allclose(shares[0], np.full(7, 1 / 7), rtol=1e-6)
    # vector, image, text; vector and image, vector and text, image and text; all.
    np.testing.assert_allclose(shares[1], np.array([1, 0, 1, 0, 1, 0, 0]) / 3, rtol=1e-6)
    fewer = model.posterior({n: values[n] for n in ("vector", "text")})
    x = np.random.default_rng(0).normal(size=(2, SHARED)).astype(np.float32)
    np.testing.assert_allclose(q.log_prob(x)[1], fewer.log_prob(x)[1], rtol=1e-5)


def test_mopoe_decodes_each_modality_once_for_all_sets_of_eight():
    parts = [Modality(f"m{k}", (2,), "normal") for k in range(8)]
    keras.utils.set_random_seed(0)
    decoders = {m.name: toys.decoder(m, SHARED) for m in parts}
    model = MoPoE(parts, {m.name: toys.encoder(m) for m in parts}, decoders, shared_dim=SHARED)
    calls = []
    model.coders.decode = lambda name, *codes: calls.append(name) or decoders[name](codes[0])
    rng = np.random.default_rng(0)
    values = {m.name: rng.normal(size=(5, 2)).astype(np.float32) for m in parts}
    terms = model.terms(values, None, FixedNoise(5), 0)
    assert calls == list(values)
    assert model.posterior(values).mixture_distribution.probs_parameter().shape == (5, 255)
    shared = {n: (np.float64(q.loc), np.float64(q.stddev())) for n, q in model.encode(values).shared.items()}
    locs, scales = (np.stack([shared[n][i] for n in values]) for i in (0, 1))
    each = products(locs, scales, [[int(n[1:]) for n in s] for s in subsets(tuple(values))])
    wanted = np.mean([oracles.kl(m, d, 0.0, 1.0) for m, d in zip(*each, strict=True)], axis=0)
    np.testing.assert_allclose(terms["divergence"], wanted, rtol=1e-5)


def test_mopoe_of_too_many_modalities_says_how_many_sets_that_were():
    parts = [Modality(f"m{k}", (1,), "normal") for k in range(13)]
    with pytest.raises(ValueError, match="of 13 modalities there are 8191"):
        MoPoE(parts, {m.name: toys.encoder(m) for m in parts}, {m.name: toys.decoder(m, 2) for m in parts}, shared_dim=2)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("bound", ["looser", "tight"])
def test_importance_weighted_bounds_equal_numpy(bound, samples):
    values, noise = toys.values(N), FixedNoise(N)
    model = toys.model("mmvae_iw", samples=samples, bound=bound)
    shared, private = experts(model, values)
    locs, scales = (np.stack([shared[n][i] for n in values]) for i in (0, 1))
    wanted = importance_bound(model, values, locs, scales, private, noise, samples, bound == "tight")
    np.testing.assert_allclose(model.terms(values, None, noise, 0)["loss"], -wanted, rtol=1e-5)


@pytest.mark.parametrize("bound", ["looser", "tight"])
def test_estimators_differ_in_the_encoders_gradient_alone(bound):
    values, found = toys.values(N), {}
    for estimator in ("iwae", "stl", "dreg"):
        model = toys.model("mmvae_iw", samples=4, bound=bound, estimator=estimator)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.terms(values, None, FixedNoise(N), 0)["loss"])
        variables = {name: v.value for name, v in model.named_weights().items()}
        gradients = tape.gradient(loss, variables)
        found[estimator] = float(loss), {n: np.asarray(tf.convert_to_tensor(g)) for n, g in gradients.items()}
    for estimator in ("stl", "dreg"):
        assert found[estimator][0] == found["iwae"][0]
        for name, wanted in found["iwae"][1].items():
            same = np.allclose(found[estimator][1][name], wanted, rtol=1e-4, atol=1e-5)
            assert same == name.startswith("decoder"), name


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"samples": 0}, "importance_samples must be 1 or more, not 0"),
        ({"bound": "loose"}, "looser, tight, not 'loose'"),
        ({"estimator": "vimco"}, "iwae, stl, dreg, not 'vimco'"),
    ],
)
def test_bounds_that_cannot_be_are_refused(options, problem):
    with pytest.raises(ValueError, match=problem):
        toys.model("mmvae_iw", **options)


def test_jmvae_without_alpha_ignores_the_unimodal_encoders():
    values, model = toys.values(N), toys.model("jmvae", alpha=0.0)
    before = model.terms(values, None, FixedNoise(N), 0)["loss"]
    for head in model.coders.heads.values():
        # Those of the shared code; the private one is the same head's.
        kernel = np.array(head.kernel)
        kernel[:, : 2 * SHARED] *= -3.0
        head.kernel.assign(kernel)
    np.testing.assert_allclose(model.terms(values, None, FixedNoise(N), 0)["loss"], before, **ROUNDING)
    drawn = toys.model("jmvae", alpha=0.5).terms(values, None, FixedNoise(N), 0)["loss"]
    assert np.all(np.asarray(drawn) > np.asarray(before))


def test_jmvae_answers_for_all_with_the_joint_encoder_and_for_fewer_with_the_product():
    values, model = toys.values(N), toys.model("jmvae")
    codes = model.encode(values)
    everything = model.posteriors(values)
    np.testing.assert_allclose(everything[model.names].mean(), codes.joint.loc, **ROUNDING)
    np.testing.assert_allclose(model.posterior(values).stddev(), codes.joint.stddev(), **ROUNDING)
    np.testing.assert_allclose(everything["image",].mean(), codes.shared["image"].loc, rtol=1e-5)
    pair = [codes.shared[n] for n in ("vector", "text")]
    precision = sum(1 / q.stddev() ** 2 for q in pair)
    np.testing.assert_allclose(everything["vector", "text"].stddev(), precision**-0.5, rtol=1e-5)
    assert model.encode({"image": values["image"]}).joint is None
    mask = {"text": np.arange(N) % 2 == 0}
    partly = model.posterior(values, mask=mask)
    np.testing.assert_allclose(partly.mean()[::2], codes.joint.loc[::2], **ROUNDING)
    np.testing.assert_allclose(partly.mean()[1::2], everything["vector", "image"].mean()[1::2], rtol=1e-5)


@pytest.mark.parametrize(("kind", "alpha"), [("jmvae", -0.1), ("mvtcae", -0.1), ("mvtcae", 1.5)])
def test_an_alpha_that_cannot_be_is_refused(kind, alpha):
    with pytest.raises(ValueError, match="alpha must"):
        toys.model(kind, alpha=alpha)


def test_mvtcae_without_alpha_is_the_plain_bound_of_a_product():
    values, noise = toys.values(N), FixedNoise(N)
    terms = toys.model("mvtcae", 0, alpha=0.0).terms(values, None, noise, 0)
    model = toys.model("mvtcae", 0)
    log_px = {n: terms[f"log_likelihood/{n}"] for n in values}
    np.testing.assert_allclose(terms["loss"], -weighted(model, log_px, terms["divergence"], {}), rtol=1e-6)


# ---- importance samples of other posteriors, and other families ------------------------------------------------------


@pytest.mark.parametrize("kind", ["mvae", "jmvae"])
def test_one_importance_sample_has_the_expectation_of_the_plain_bound(kind):
    n = 40_000
    values = {name: np.repeat(x, n, axis=0) for name, x in toys.values(1).items()}
    noise = Noise(tf.constant([0, 1]), n)

    def losses(samples):
        return np.asarray(toys.model(kind, 2, samples=samples).terms(values, None, noise, 0)["loss"], float)

    plain, sampled, more = (losses(k) for k in (None, 1, 8))
    error = np.hypot(plain.std(), sampled.std()) / np.sqrt(n)
    assert abs(plain.mean() - sampled.mean()) < 4 * error
    assert more.mean() < plain.mean() - 10 * error


def test_mvae_s_importance_weighted_bounds_equal_numpy():
    values, noise, samples, total = toys.values(N), FixedNoise(N), 3, 0.0
    model = toys.model("mvae", 2, samples=samples)
    shared, private = experts(model, values)
    for bound, members in {"joint": list(values), **{f"only_{n}": [n] for n in values}}.items():
        precision = 1.0 + sum(shared[n][1] ** -2.0 for n in members)
        mean, deviation = sum(shared[n][0] * shared[n][1] ** -2.0 for n in members) / precision, precision**-0.5
        log_weights = []
        for k in range(samples):
            stream = f"shared/{bound}"
            c, s, kl = mean + deviation * draws(noise, stream, SHARED, samples)[:, k], {}, {}
            for n in members:
                m, d = private[n]
                s[n] = m + d * draws(noise, f"{stream}/private/{n}", 2, samples)[:, k]
                kl[n] = oracles.log_normal(s[n], m, d) - oracles.log_normal(s[n], 0.0, np.ones_like(d))
            divergence = oracles.log_normal(c, mean, deviation) - oracles.log_normal(c, 0.0, np.ones_like(c))
            log_weights.append(weighted(model, decoded_log_px(model, values, c, s, members), divergence, kl))
        total = total + logmeanexp(log_weights)
    np.testing.assert_allclose(model.terms(values, None, noise, 0)["loss"], -total, rtol=1e-5)


@pytest.mark.parametrize("private", [0, 2])
def test_laplace_posteriors_and_priors_equal_numpy(private):
    values, noise = toys.values(N), FixedNoise(N)
    model = toys.model("mmvae_iw", private, samples=4, family=LAPLACE)
    codes = model.encode(values)
    for n, q in codes.shared.items():
        features = model.coders.encoders[n](values[n])
        raw = np.asarray(model.coders.heads[n](features)[1], float)
        softmax = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(q.distribution.scale, softmax * SHARED + 1e-6, rtol=1e-5)
    shared, private_codes = (
        {n: (np.float64(q.distribution.loc), np.float64(q.distribution.scale)) for n, q in part.items()} for part in codes[:2]
    )
    locs, scales = (np.stack([shared[n][i] for n in values]) for i in (0, 1))
    wanted = importance_bound(model, values, locs, scales, private_codes, noise, 4, family="laplace")
    np.testing.assert_allclose(model.terms(values, None, noise, 0)["loss"], -wanted, rtol=1e-5)
    for subset in subsets(model.names):
        q = model.posterior(values, subset)
        np.testing.assert_allclose(q.mean(), np.mean([shared[n][0] for n in subset], axis=0), rtol=1e-4, atol=1e-5)
    samples = model.generate(4)
    assert all(np.all(np.isfinite(x)) for x in samples.values())
    assert all(np.all(np.isfinite(x)) for x in model.translate({"image": values["image"]}, seed=(1, 2)).values())


def test_laplace_draws_have_the_laplace_distribution():
    drawn = np.asarray(Noise(tf.constant([0, 1]), 100_000).laplace("x", 2))
    for x in drawn.T:
        assert scipy.stats.kstest(x, "laplace").pvalue > 1e-3


@pytest.mark.parametrize("kind", ["mvae", "mmjsd", "mopoe", "jmvae", "mvtcae", "mmvae"])
def test_a_laplace_posterior_of_a_model_of_gaussians_is_refused(kind):
    with pytest.raises(ValueError, match="normal posteriors alone, not of laplace ones"):
        toys.model(kind, family=LAPLACE)


def test_unit_weights_of_single_bounds_leave_the_joint_bound():
    values, noise = toys.values(N), FixedNoise(N)
    plain, unit = (toys.model("mvae", unit_weights_of_single_bounds=u).terms(values, None, noise, 0) for u in (False, True))
    added = sum((m.likelihood_weight - 1.0) * plain[f"only_{m.name}/log_likelihood/{m.name}"] for m in toys.modalities(2))
    np.testing.assert_allclose(unit["loss"], plain["loss"] + added, rtol=1e-5)
    for name in plain.keys() - {"loss"}:
        np.testing.assert_allclose(plain[name], unit[name], **ROUNDING)


def test_mmvae_plus_needs_private_codes():
    with pytest.raises(ValueError, match="vector has none; set --private_dim"):
        toys.model("mmvae_plus", 0)


def test_mmvae_plus_draws_another_modality_s_private_code_apart_from_its_value():
    """What x_vector is told by its private encoder changes its own reconstruction from its own expert, and no other one."""
    model, values, noise = toys.model("mmvae_plus", samples=2), toys.values(N), FixedNoise(N)
    codes = model.encode(values)
    head = model.coders.heads["vector"]
    shift = np.zeros(head.bias.shape[0], np.float32)
    shift[2 * SHARED : 2 * SHARED + 2] = 1.0
    before = model.draw(codes, noise, Gradient("iwae")).private["vector"]
    head.bias.assign_add(shift)
    after = model.draw(model.encode(values), noise, Gradient("iwae")).private["vector"]
    np.testing.assert_allclose(after[:, 0], before[:, 0] + 1.0, rtol=1e-5)
    np.testing.assert_array_equal(after[:, 1:], before[:, 1:])


def test_jmvae_s_alpha_warms_up():
    betas = Betas(beta=2.0, warmup_steps=10)
    model = toys.model("jmvae", 0, alpha=0.5, alpha_start=0.1, betas=betas)
    values, plain = toys.values(N), toys.model("jmvae", 0, alpha=0.0, betas=betas)
    found = [model.terms(values, None, FixedNoise(N), step) for step in (0, 5, 10, 20)]
    drawn = sum(x for name, x in found[0].items() if name.startswith("kl_experts"))
    rest = plain.terms(values, None, FixedNoise(N), 0)["loss"]
    for terms, alpha in zip(found, (0.1, 0.3, 0.5, 0.5), strict=True):
        np.testing.assert_allclose(terms["loss"], rest + alpha * drawn, rtol=1e-5)
    assert model.schedule(5)["alpha"] == pytest.approx(0.3)
