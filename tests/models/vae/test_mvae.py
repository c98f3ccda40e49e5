"""MVAE: the contract, the bounds of random sets, weights of single bounds, importance samples."""

import numpy as np
import oracles
import pytest
import toys
from contract import CONTRASTIVE, ModelContract, ObjectiveContract
from losses import mvae
from references import decoded_log_px, draws, experts, logmeanexp, weighted
from toys import ROUNDING, SHARED, FixedNoise

N = 6


class TestMVAE(ModelContract):
    kind = "mvae"
    trained = CONTRASTIVE


class TestRandomSubsets(ObjectiveContract):
    kind, options = "mvae", {"mvae_subsets": 2}


def test_one_modality_mvae_has_one_bound():
    """With one modality the joint and the single bound are the same, and it is counted once."""
    assert set(toys.model("mvae", 0, 1).bound_modalities()) == {"joint"}


def test_random_subsets_add_bounds_of_two_modalities():
    model, values, noise = toys.model("mvae", mvae_subsets=2), toys.values(60), FixedNoise(60)
    terms = model.terms(values, None, noise, 0)
    shown = np.stack([terms[f"subset_0/log_likelihood/{n}"] != 0 for n in model.names])
    np.testing.assert_array_equal(shown.sum(axis=0), 2)
    np.testing.assert_array_equal(shown.sum(axis=1), 40)
    # Each bound draws sets of its own.
    second = np.stack([terms[f"subset_1/log_likelihood/{n}"] != 0 for n in model.names])
    assert np.any(shown != second)
    # Each drawn bound, example by example, from the experts of its two modalities.
    found, _ = experts(model, values)
    for i in range(60):
        pair = [n for n, there in zip(model.names, shown[:, i], strict=True) if there]
        precision = 1.0 + sum(found[n][1][i] ** -2 for n in pair)
        mean = sum(found[n][0][i] * found[n][1][i] ** -2 for n in pair) / precision
        expected = oracles.kl(mean, precision**-0.5, 0.0, 1.0)
        np.testing.assert_allclose(terms["subset_0/divergence"][i], expected, rtol=1e-4)
    added = 0.0
    for bound in ("subset_0", "subset_1"):
        log_px, kls = ({n: terms[f"{bound}/{part}/{n}"] for n in values} for part in ("log_likelihood", "kl_private"))
        added += weighted(model, log_px, terms[f"{bound}/divergence"], kls)
    np.testing.assert_allclose(terms["loss"], mvae(model, values, noise) - added, rtol=1e-5)


@pytest.mark.parametrize(("options", "count"), [({"mvae_subsets": 1}, 2), ({"mvae_subsets": -1}, 3)])
def test_random_subsets_are_refused(options, count):
    with pytest.raises(ValueError, match="mvae_subsets"):
        toys.model("mvae", count=count, **options)


def test_mvae_s_importance_weighted_bounds_equal_numpy():
    values, noise, samples, total = toys.values(N), FixedNoise(N), 3, 0.0
    model = toys.model("mvae", 2, importance_samples=samples)
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


@pytest.mark.parametrize("masked", [False, True])
def test_raw_experts_of_single_bounds_are_penalised_as_in_the_release(masked):
    """The code is drawn as before, from the product with the prior: only the divergences of single bounds change."""
    values, noise = toys.values(N), FixedNoise(N)
    mask = {name: np.arange(N) % 3 != 1 for name in values} if masked else None
    models = [toys.model("mvae", quirks=quirks) for quirks in ("", "raw_experts_of_single_bounds")]
    plain, raw = (model.terms(values, mask, noise, 0) for model in models)
    shared, _ = experts(models[0], values)
    for name in plain.keys() - {"loss"}:
        if name.startswith("only_") and name.endswith("/divergence"):
            mean, deviation = shared[name.removeprefix("only_").removesuffix("/divergence")]
            expected = 0.5 * np.sum(mean**2 + deviation**2 - 2 * np.log(deviation) - 1, axis=-1)
            expected = expected if mask is None else np.where(np.arange(N) % 3 != 1, expected, 0.0)
            np.testing.assert_allclose(raw[name], expected, rtol=1e-4, atol=1e-5)
            assert not np.allclose(raw[name], plain[name])
        else:
            np.testing.assert_allclose(raw[name], plain[name], **ROUNDING)
    assert not np.allclose(raw["loss"], plain["loss"])


def test_unit_weights_of_single_bounds_leave_the_joint_bound():
    values, noise = toys.values(N), FixedNoise(N)
    plain, unit = (toys.model("mvae", quirks=u).terms(values, None, noise, 0) for u in ("", "unit_weights_of_single_bounds"))
    added = sum((m.likelihood_weight - 1.0) * plain[f"only_{m.name}/log_likelihood/{m.name}"] for m in toys.modalities(2))
    np.testing.assert_allclose(unit["loss"], plain["loss"] + added, rtol=1e-5)
    for name in plain.keys() - {"loss"}:
        np.testing.assert_allclose(plain[name], unit[name], **ROUNDING)
