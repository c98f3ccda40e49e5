"""MMVAE with importance samples: the contract, its two bounds, the estimators of their gradients, Laplace codes."""

import numpy as np
import pytest
import tensorflow as tf
import toys
from contract import FEW_SAMPLES, ModelContract, ObjectiveContract
from losses import importance_bound, mmvae_iw
from toys import SHARED, FixedNoise

from mmtf.modality import subsets

N = 6


class TestImportanceMMVAE(ModelContract):
    """The one estimator whose gradient is the derivative of the sampled loss; the others have its expectation at best."""

    kind, options = "mmvae_iw", {"gradient_estimator": "iwae"}
    trained = FEW_SAMPLES


class TestTightByDReG(ObjectiveContract):
    kind, options = "mmvae_iw", {"importance_bound": "tight", "importance_samples": 3}


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("bound", ["looser", "tight"])
def test_importance_weighted_bounds_equal_numpy(bound, samples):
    values, noise = toys.values(N), FixedNoise(N)
    model = toys.model("mmvae_iw", importance_samples=samples, importance_bound=bound)
    wanted = mmvae_iw(model, values, noise, samples=samples, tight=bound == "tight")
    np.testing.assert_allclose(model.terms(values, None, noise, 0)["loss"], wanted, rtol=1e-5)


@pytest.mark.parametrize("bound", ["looser", "tight"])
def test_estimators_differ_in_the_encoders_gradient_alone(bound):
    values, found = toys.values(N), {}
    for estimator in ("iwae", "stl", "dreg"):
        model = toys.model("mmvae_iw", importance_samples=4, importance_bound=bound, gradient_estimator=estimator)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.terms(values, None, FixedNoise(N), 0)["loss"])
        variables = {name: v.value for name, v in model.named_weights().items()}
        gradients = tape.gradient(loss, variables)
        found[estimator] = float(loss), {n: np.asarray(tf.convert_to_tensor(g)) for n, g in gradients.items()}
    for estimator in ("stl", "dreg"):
        np.testing.assert_allclose(found[estimator][0], found["iwae"][0], rtol=1e-6)
        for name, wanted in found["iwae"][1].items():
            same = np.allclose(found[estimator][1][name], wanted, rtol=1e-4, atol=1e-5)
            assert same == name.startswith("decoder"), name
    # To stl the densities of both codes are constants: columns of the head for the shared code, and for the private one.
    head = next(n for n, v in model.named_weights().items() if v is model.coders.heads["vector"].kernel)
    for columns in (slice(2 * SHARED), slice(2 * SHARED, None)):
        assert not np.allclose(found["stl"][1][head][:, columns], found["iwae"][1][head][:, columns], rtol=1e-2)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"importance_samples": 0}, "importance_samples must be at least 1, not 0"),
        ({"importance_bound": "loose"}, "looser, tight, not 'loose'"),
        ({"gradient_estimator": "vimco"}, "iwae, stl, dreg, not 'vimco'"),
    ],
)
def test_bounds_that_cannot_be_are_refused(options, problem):
    with pytest.raises(ValueError, match=problem):
        toys.model("mmvae_iw", **options)


@pytest.mark.parametrize("private", [0, 2])
def test_laplace_posteriors_and_priors_equal_numpy(private):
    values, noise = toys.values(N), FixedNoise(N)
    model = toys.model("mmvae_iw", private, importance_samples=4, posterior_family="laplace")
    codes = model.encode(values)
    for n, q in codes.shared.items():
        features = model.coders.encoders[n](values[n])
        raw = np.asarray(model.coders.heads[n](features)[1], float)
        softmax = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(q.distribution.scale, softmax * SHARED + 1e-6, rtol=1e-5)
    shared, private_codes = (
        {n: (np.float64(q.distribution.loc), np.float64(q.distribution.scale)) for n, q in part.items()} for part in codes[:2]
    )
    wanted = -importance_bound(model, values, noise, shared, private_codes, samples=4, family="laplace")
    np.testing.assert_allclose(model.terms(values, None, noise, 0)["loss"], wanted, rtol=1e-5)
    for subset in subsets(model.names):
        q = model.posterior(values, subset)
        np.testing.assert_allclose(q.mean(), np.mean([shared[n][0] for n in subset], axis=0), rtol=1e-4, atol=1e-5)
    samples = model.generate(4)
    assert all(np.all(np.isfinite(x)) for x in samples.values())
    assert all(np.all(np.isfinite(x)) for x in model.translate({"image": values["image"]}, seed=(1, 2)).values())
